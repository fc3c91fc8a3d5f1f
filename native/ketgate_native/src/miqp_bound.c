/* Lagrangian bounds, valid at any point (x, y) of the relaxation.
 *
 * For every feasible z:  1/2 z'Qz >= z'Qt x - 1/2 x'Qt x + 1/2 sum d_i z_i^2   (Qt = Q - diag(d) is semidefinite),
 * so the objective is at least a constant plus a sum over names, minimised exactly over each name's own domain
 * ({0}, intervals, lots) and over which names are held. Names are then fixed by exchanging one in that sum. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "miqp_internal.h"

typedef struct { double curvature, slope, buy, sell, book, lot; } mq_curve;

static double curve_at(const mq_curve *f, double x) {
    double move = x - f->book;
    return (0.5 * f->curvature * x + f->slope) * x + (move > 0 ? f->buy * move : -f->sell * move);
}

static double smooth_argmin(const mq_curve *f, double slope, double from, double to) {
    double x = f->curvature > 0 ? -slope / f->curvature : slope > 0 ? from : slope < 0 ? to : from;
    return x < from ? from : x > to ? to : x;
}

static double curve_min(const mq_curve *f, double from, double to) {
    double x;
    if (to <= f->book)
        x = smooth_argmin(f, f->slope - f->sell, from, to);
    else if (from >= f->book)
        x = smooth_argmin(f, f->slope + f->buy, from, to);
    else {
        x = smooth_argmin(f, f->slope - f->sell, from, f->book);
        if (x >= f->book) x = smooth_argmin(f, f->slope + f->buy, f->book, to);
    }
    if (f->lot <= 0) return curve_at(f, x);
    double below = floor(x / f->lot) * f->lot, above = below + f->lot;
    if (below < from - 1e-9 * f->lot) below = above;
    if (above > to + 1e-9 * f->lot) above = below;
    return fmin(curve_at(f, below), curve_at(f, above));
}

static double held_min(const mq_domain *m, const mq_curve *f) {
    double best = INFINITY;
    if (m->pos) best = curve_min(f, m->pl, m->pu);
    if (m->neg) best = fmin(best, curve_min(f, m->nl, m->nu));
    return best;
}

/* Bring the `wanted` names of smallest key to the front of order (ties by name). */
static void split(int *order, int count, int wanted, const double *key) {
    int low = 0, high = count - 1;
    while (low < high) {
        int pivot = order[low + (high - low) / 2], i = low, j = high;
        while (i <= j) {
            while (key[order[i]] < key[pivot] || (key[order[i]] == key[pivot] && order[i] < pivot)) i++;
            while (key[order[j]] > key[pivot] || (key[order[j]] == key[pivot] && order[j] > pivot)) j--;
            if (i > j) break;
            int swap = order[i];
            order[i++] = order[j], order[j--] = swap;
        }
        if (wanted - 1 <= j)
            high = j;
        else if (wanted - 1 >= i)
            low = i;
        else
            return;
    }
}

/* The minimum over names and count of a sum of curves; INFINITY if no choice is left. */
static double select_names(const mq_problem *p, const mq_choice *c, const double *slope, int with_curvature,
                           double trade_price, mq_selection *s) {
    double total = 0;
    s->held = s->undecided = 0;
    for (int i = 0; i < p->n; i++) {
        mq_domain m = mq_domain_of(p, c, i);
        s->delta[i] = NAN;
        if (!m.zero && !m.pos && !m.neg) return s->value = INFINITY;
        mq_curve f = {with_curvature ? p->d[i] : 0, slope ? slope[i] : 0, 0, 0, p->book[i], p->lot[i]};
        if (with_curvature) f.buy = p->buy[i], f.sell = p->sell[i];
        if (trade_price > 0) f.buy = f.sell = trade_price;
        double nothing = curve_at(&f, 0);
        if (!m.pos && !m.neg) {
            total += nothing;
        } else if (!m.zero) {
            total += held_min(&m, &f);
            s->held++;
        } else {
            total += nothing;
            s->delta[i] = held_min(&m, &f) - nothing;
            s->order[s->undecided++] = i;
        }
    }
    s->chosen_max = p->names_max - s->held;
    s->chosen_min = p->names_min > s->held ? p->names_min - s->held : 0;
    if (s->chosen_max > s->undecided) s->chosen_max = s->undecided;
    if (s->chosen_max < s->chosen_min || s->chosen_max < 0) return s->value = INFINITY;
    int negative = 0;
    for (int k = 0; k < s->undecided; k++) negative += s->delta[s->order[k]] < 0;
    s->chosen = negative < s->chosen_min ? s->chosen_min : negative > s->chosen_max ? s->chosen_max : negative;
    if (s->chosen > 0 && s->chosen < s->undecided) split(s->order, s->undecided, s->chosen, s->delta);
    for (int k = 0; k < s->chosen; k++) total += s->delta[s->order[k]];
    return s->value = total;
}

double mq_bound(const mq_problem *p, const mq_choice *c, const mq_relax *r, mq_selection *s) {
    double constant = 0, quadratic = 0;
    for (int k = 0; k < p->rows; k++) {
        double y = r->y[k];
        if (y == 0) continue;
        constant += y * (y > 0 ? p->row_lower[k] : p->row_upper[k]);
        quadratic += y * p->vec->dot(p->n, p->A + (size_t)k * p->ld, r->x);
    }
    for (int i = 0; i < p->n; i++) quadratic += r->x[i] * (r->gamma[i] - p->c[i]); /* = x'Qt x */
    double sum = select_names(p, c, r->gamma, 1, 0, s);
    if (sum == INFINITY) return INFINITY;
    s->value = constant - 0.5 * quadratic + sum;
    if (isnan(s->value)) s->value = -INFINITY;
    return s->value;
}

int mq_fix(mq_choice *c, const mq_selection *s, double cutoff) {
    int changed = 0;
    double worst = -INFINITY, next = INFINITY;
    for (int k = 0; k < s->chosen; k++) worst = fmax(worst, s->delta[s->order[k]]);
    for (int k = s->chosen; k < s->undecided; k++) next = fmin(next, s->delta[s->order[k]]);
    int must_fill = s->chosen == s->chosen_min;
    double refill = must_fill ? next : fmin(0, next);
    for (int k = 0; k < s->undecided; k++) {
        int i = s->order[k];
        double delta = s->delta[i];
        if (k < s->chosen) {
            if (s->value - delta + refill < cutoff) continue;
            c->allowed[i] &= (unsigned char)~MQ_ZERO;
        } else {
            double with = s->value + delta;
            if (s->chosen == s->chosen_max || (must_fill && worst > 0)) with -= worst; /* -worst = inf: none fits */
            if (with < cutoff) continue;
            c->allowed[i] = MQ_ZERO;
        }
        changed++;
    }
    return changed;
}

/* ---- rows that no choice can satisfy ---- */

int mq_rows_impossible(const mq_problem *p, const mq_choice *c, const double *y, mq_selection *s,
                       kg_monitor *monitor) {
    double *slope = s->slope;
    for (int k = 0; k < p->m; k++) {
        if (monitor && kg_should_stop(monitor)) return 0;
        const double *a = p->A + (size_t)k * p->ld;
        double room = 1e-9 * (1 + fmax(p->row_lower[k] > -INFINITY ? fabs(p->row_lower[k]) : 0,
                                       p->row_upper[k] < INFINITY ? fabs(p->row_upper[k]) : 0));
        if (p->row_upper[k] < INFINITY && select_names(p, c, a, 0, 0, s) > p->row_upper[k] + room) return 1;
        if (p->row_lower[k] == -INFINITY) continue;
        for (int i = 0; i < p->n; i++) slope[i] = -a[i];
        if (select_names(p, c, slope, 0, 0, s) > -p->row_lower[k] + room) return 1;
    }
    double trade_room = 1e-9 * (1 + p->turnover);
    if (p->turnover < INFINITY && select_names(p, c, NULL, 0, 1.0, s) > p->turnover + trade_room) return 1;
    if (!y) return 0;
    double need = 0, size = 0;
    memset(slope, 0, (size_t)p->n * sizeof(double));
    for (int k = 0; k < p->rows; k++) size = fmax(size, fabs(y[k]));
    if (!(size > 0)) return 0;
    for (int k = 0; k < p->rows; k++) {
        double v = y[k] / size;
        if (v == 0 || (v > 0 ? p->row_lower[k] == -INFINITY : p->row_upper[k] == INFINITY)) continue;
        need += v * (v > 0 ? p->row_lower[k] : p->row_upper[k]);
        p->vec->axpy(p->n, -v, p->A + (size_t)k * p->ld, slope);
    }
    return need + select_names(p, c, slope, 0, 0, s) > 1e-8 * (1 + fabs(need));
}
