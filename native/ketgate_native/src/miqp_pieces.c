/* The convex piece-wise quadratic envelope of one name in a node.
 *
 * Where a name may be 0 or lie in [l, u] at the price rho + d x^2 / 2, the envelope is a line from 0 to the tangent
 * point t = clamp(sqrt(2 rho / d), l, u), then the parabola (Frangioni and Gentile 2006, perspective cuts). */
#include <math.h>
#include <string.h>

#include "miqp_internal.h"
#include "miqp_relax.h"

static void push(mq_pieces *q, double from, double to, double a, double h, double g) {
    if (to <= from) return;
    if (q->count == 0) q->b[0] = from;
    int s = q->count++;
    q->b[s + 1] = to;
    q->a[s] = a;
    q->h[s] = h;
    q->g[s] = g;
}

static double tangent(double rho, double d, double low, double up) {
    double t = rho <= 0 ? low : d > 0 ? sqrt(2 * rho / d) : up;
    return t < low ? low : t > up ? up : t;
}

/* Split at the book, where the slope jumps from -sell to +buy. */
static void add_costs(mq_pieces *q, double book, double buy, double sell) {
    for (int s = 0; s < q->count; s++) {
        if (!(q->b[s] < book && book < q->b[s + 1])) continue;
        for (int k = q->count; k > s; k--) {
            q->b[k + 1] = q->b[k];
            q->a[k] = q->a[k - 1], q->h[k] = q->h[k - 1], q->g[k] = q->g[k - 1];
        }
        q->b[s + 1] = book;
        q->count++;
        break;
    }
    for (int s = 0; s < q->count; s++) q->a[s] += q->b[s] >= book ? buy : -sell;
}

void mq_pieces_build(const mq_problem *p, const mq_choice *c, int i, double rho, mq_pieces *q) {
    mq_domain m = mq_domain_of(p, c, i);
    double d = p->d[i];
    q->count = 0;
    q->b[0] = q->tp = q->tn = 0;
    if (!m.pos && !m.neg) return;
    if (!m.zero) {
        double from = m.neg ? m.nl : m.pl, to = m.pos ? m.pu : m.nu;
        q->b[0] = from;
        push(q, from, to, 0, d, 0);
    } else {
        double counted = m.pos && m.neg ? 0.0 : 1.0; /* counting a name with two signs is not convex */
        if (m.neg) {
            double t = tangent(rho, d, -m.nu, -m.nl);
            q->tn = t;
            push(q, m.nl, -t, 0, d, 0);
            if (t > 0) push(q, -t, 0, -(rho + 0.5 * d * t * t) / t, 0, -counted / t);
        }
        if (m.pos) {
            double t = tangent(rho, d, m.pl, m.pu);
            q->tp = t;
            if (t > 0) push(q, 0, t, (rho + 0.5 * d * t * t) / t, 0, counted / t);
            push(q, t, m.pu, 0, d, 0);
        }
    }
    if (p->has_costs) add_costs(q, p->book[i], p->buy[i], p->sell[i]);
}

double mq_pieces_fraction(const mq_pieces *q, double x) {
    double size = fabs(x), t = x > 0 ? q->tp : q->tn;
    return size == 0 ? 0.0 : size < t ? size / t : 1.0;
}
