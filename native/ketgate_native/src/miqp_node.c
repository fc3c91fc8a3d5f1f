/* One node: relax, bound, fix names, move the price of a name. */
#include <math.h>
#include <string.h>

#include "miqp_search.h"

enum { CUT_ROUNDS = 60 };

/* ---- turnover: sum |x_i - book_i| <= limit, as sign rows added where a point violates it ---- */

static int add_cut(mq_search *s, const double *x) {
    mq_problem *p = &s->p;
    double traded = 0;
    for (int i = 0; i < p->n; i++) traded += fabs(x[i] - p->book[i]);
    if (traded <= p->turnover + 1e-12 * (1 + p->turnover)) return 0;
    int slot = -1;
    if (p->rows < p->m + MQ_CUTS) {
        slot = p->rows++;
    } else { /* any row that neither relaxation leans on; cuts hold everywhere, so forgetting one is safe */
        for (int k = p->m; k < p->rows && slot < 0; k++)
            if (s->r.y[k] == 0 && s->trial.y[k] == 0) slot = k;
        if (slot < 0) return 0;
    }
    double *a = p->A + (size_t)slot * p->ld, limit = p->turnover;
    for (int i = 0; i < p->n; i++) {
        double move = x[i] - p->book[i];
        int grows = p->book[i] == 0 && !(p->allowed[i] & MQ_NEGATIVE); /* can only be bought */
        a[i] = move > 1e-13 || grows ? 1 : move < -1e-13 ? -1 : 0;
        limit += a[i] * p->book[i];
    }
    p->row_lower[slot] = -INFINITY;
    p->row_upper[slot] = limit;
    s->r.y[slot] = s->trial.y[slot] = 0;
    return 1;
}

void mq_relax_with_cuts(mq_search *s, mq_relax *r, const mq_choice *c, double rho) {
    mq_relax_prepare(r, c, rho, s->monitor);
    mq_relax_run(r, s->monitor);
    if (s->p.turnover == INFINITY) return;
    for (int round = 0; round < CUT_ROUNDS && !r->swollen && !mq_stopped(s) && add_cut(s, r->x); round++) {
        mq_relax_prepare(r, c, rho, s->monitor);
        mq_relax_run(r, s->monitor);
    }
}

/* ---- the price of a name ---- */

/* Names held if each x_i counts for the cheapest z_i at price s^2 / 2. */
static double names_at(const mq_search *s, double root) {
    const mq_problem *p = &s->p;
    double sum = 0;
    for (int k = 0; k < s->nonzero; k++) {
        int i = s->list[k];
        double size = fabs(s->r.x[i]), d = p->d[i];
        if (!(s->now.allowed[i] & MQ_ZERO)) {
            sum += 1;
            continue;
        }
        double up = s->r.x[i] > 0 ? p->up_positive[i] : -p->low_negative[i];
        double low = s->r.x[i] > 0 ? p->low_positive[i] : -p->up_negative[i];
        double z = d > 0 ? (root > 0 ? size * sqrt(d) / root : 1) : 0;
        if (z < size / up) z = size / up;
        if (z > 1) z = 1;
        if (size < low && z > size / low) z = size / low;
        sum += z;
    }
    return sum;
}

static double next_price(mq_search *s, double rho) {
    const mq_problem *p = &s->p;
    if (p->names_max >= p->n) return 0;
    s->nonzero = 0;
    for (int i = 0; i < p->n; i++)
        if (s->r.x[i] != 0 || !(s->now.allowed[i] & MQ_ZERO)) s->list[s->nonzero++] = i;
    double most = p->names_max;
    if (names_at(s, 0) <= most + 1e-9) return 0;
    double low = 0, high = sqrt(2 * rho) + 1e-6;
    int tries = 0;
    while (names_at(s, high) > most && tries++ < 60) low = high, high *= 2;
    if (tries > 60) return 2 * rho + 0.1;
    for (int k = 0; k < 24; k++) {
        double middle = 0.5 * (low + high);
        if (names_at(s, middle) > most)
            low = middle;
        else
            high = middle;
    }
    return 0.5 * high * high;
}

/* ---- the node ---- */

/* Whether fixing has changed what holds the present point. */
static int point_cut_off(const mq_search *s) {
    const mq_problem *p = &s->p;
    for (int i = 0; i < p->n; i++) {
        double x = s->r.x[i];
        mq_domain m = mq_domain_of(p, &s->now, i);
        if (m.zero && !m.pos && !m.neg) {
            if (x != 0) return 1;
        } else if (!m.zero) {
            double low = m.neg ? m.nl : m.pl, up = m.pos ? m.pu : m.nu;
            if (x < low - 1e-12 || x > up + 1e-12) return 1;
        }
    }
    return 0;
}

int mq_evaluate(mq_search *s, double *bound, double *rho, int rounds) {
    const mq_problem *p = &s->p;
    if (mq_rows_impossible(p, &s->now, NULL, &s->s, s->monitor)) {
        *bound = INFINITY;
        return 1;
    }
    for (int round = 0;; round++) {
        mq_relax_with_cuts(s, &s->r, &s->now, *rho);
        if (mq_stopped(s)) return 2;
        double value = mq_bound(p, &s->now, &s->r, &s->s);
        if (round == 0 || value > s->level) s->level = value;
        if (value > *bound) *bound = value >= s->ceiling ? INFINITY : value;
        if (*bound >= mq_cutoff(s)) return 1;
        if (s->r.swollen && mq_rows_impossible(p, &s->now, s->r.ray, &s->s, s->monitor)) {
            *bound = INFINITY;
            return 1;
        }
        if (s->r.swollen) mq_bound(p, &s->now, &s->r, &s->s); /* the check used the selection */
        int changed = mq_fix(&s->now, &s->s, mq_cutoff(s));
        double wanted = next_price(s, *rho);
        int moved = fabs(wanted - *rho) > 0.02 * (wanted + *rho) + 1e-12;
        int again = changed && point_cut_off(s); /* at most once a name: the count of rounds does not bind it */
        if (round + 1 >= rounds && !again) break;
        if (moved)
            *rho = wanted;
        else if (!again)
            break;
    }
    return 0;
}
