/* What the solver claims, measured on the request's own numbers: residuals, duals, certificates. */
#include "qp_problem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void kg_problem_multiply(const kg_problem *t, const double *x, double *into) {
    const kg_qp *p = t->p;
    if (p->q) {
        int count = 0;
        double alpha[64];
        int index[64];
        for (int i = 0; i < p->n; i++) { /* in batches, so that no memory is needed */
            if (x[i] == 0.0) continue;
            alpha[count] = x[i];
            index[count++] = i;
            if (count == 64) {
                p->la->add_rows(p->n, count, alpha, index, p->q, p->n, into);
                count = 0;
            }
        }
        p->la->add_rows(p->n, count, alpha, index, p->q, p->n, into);
        return;
    }
    for (int i = 0; i < p->n; i++) into[i] += p->own[i] * x[i];
    for (int f = 0; f < p->k; f++) {
        const double *row = p->factor + (size_t)f * p->n;
        p->la->axpy(p->n, p->la->dot(p->n, row, x), row, into);
    }
}

/* How far -g is outside what bounds and cost allow at x; the bound's multiplier into *dual. */
static double stationarity(const kg_problem *t, int i, double g, double *dual) {
    const kg_qp *p = t->p;
    double x = t->x[i], value = -g, from = t->slope[i], to = t->slope[i];
    if (t->kink[i] > -INFINITY && x <= t->kink[i]) {
        from = t->slope_below[i];
        if (x < t->kink[i]) to = from;
    }
    *dual = 0.0;
    if (value > to) {
        if (x < p->upper[i]) return value - to;
        *dual = value - to;
    } else if (value < from) {
        if (x > p->lower[i]) return from - value;
        *dual = value - from;
    }
    return 0.0;
}

void kg_problem_measure(kg_problem *t, kg_qp_result *out) {
    const kg_qp *p = t->p;
    double *g = t->gradient, objective = 0.0, worst = 0.0, rows_worst = 0.0;
    memset(g, 0, p->n * sizeof(double));
    kg_problem_multiply(t, t->x, g);
    double scale = p->la->largest(p->n, g);
    for (int i = 0; i < p->n; i++) {
        objective += (0.5 * g[i] + p->c[i]) * t->x[i];
        if (p->kink) {
            double away = t->x[i] - p->kink[i];
            objective += away > 0.0 ? p->buy[i] * away : -p->sell[i] * away;
        }
    }
    double *dual = t->base; /* done with by now */
    memset(dual, 0, p->n * sizeof(double));
    for (int j = 0; j < p->m; j++) {
        out->dual_rows[j] = t->y[p->k + j] / t->row_scale[j];
        p->la->axpy(p->n, out->dual_rows[j], p->a + (size_t)j * p->n, dual);
    }
    scale = fmax(fmax(scale, p->la->largest(p->n, dual)), fmax(p->la->largest(p->n, p->c), t->g_floor));
    for (int i = 0; i < p->n; i++)
        worst = fmax(worst, stationarity(t, i, g[i] + p->c[i] + dual[i], &out->dual_bounds[i]));
    for (int j = 0; j < p->m; j++) {
        double value = p->la->dot(p->n, p->a + (size_t)j * p->n, t->x), y = out->dual_rows[j];
        double violation = fmax(fmax(value - p->row_upper[j], p->row_lower[j] - value), 0.0);
        double bound = y > 0.0 ? p->row_upper[j] : p->row_lower[j];
        if (isfinite(bound)) violation /= fmax(1.0, fabs(bound));
        /* a multiplier on a row that is not at its bound is as wrong as the row's distance */
        if (fabs(y) > p->tolerance * scale && isfinite(bound))
            violation = fmax(violation, fabs(value - bound) / fmax(1.0, fabs(bound)));
        rows_worst = fmax(rows_worst, violation);
        out->row_state[j] = t->row_state[p->k + j];
    }
    memcpy(out->x, t->x, p->n * sizeof(double));
    memcpy(out->state, t->state, p->n);
    out->objective = objective;
    out->kkt_residual = fmax(scale > 0.0 ? worst / scale : 0.0, rows_worst);
    double sum = objective + scale; /* unlike a maximum, it shows a NaN */
    for (int i = 0; i < p->n; i++) sum += g[i] + dual[i];
    if (!isfinite(sum)) out->kkt_residual = INFINITY;
}

int kg_problem_farkas(kg_problem *t, const double *dy, kg_qp_result *out) {
    const kg_qp *p = t->p;
    double largest = p->la->largest(p->m, dy + p->k), highest = 0.0, lowest = 0.0, scale = 0.0;
    if (!(largest > 0.0) || !isfinite(largest)) return 0;
    double *sum = t->gradient;
    memset(sum, 0, p->n * sizeof(double));
    for (int j = 0; j < p->m; j++) {
        double y = dy[p->k + j] / largest;
        if (fabs(y) < 1e-9) y = 0.0;
        if ((y > 0.0 && p->row_upper[j] == INFINITY) || (y < 0.0 && p->row_lower[j] == -INFINITY)) y = 0.0;
        out->farkas[j] = y / t->row_scale[j];
        if (y == 0.0) continue;
        double term = out->farkas[j] * (y > 0.0 ? p->row_upper[j] : p->row_lower[j]);
        highest += term;
        scale += fabs(term);
        p->la->axpy(p->n, y, t->rows + (size_t)(p->k + j) * p->n, sum);
    }
    for (int i = 0; i < p->n; i++) { /* the least that A'y x can be within the bounds */
        double bound = sum[i] > 0.0 ? p->lower[i] : p->upper[i];
        if (!isfinite(bound)) {
            if (fabs(sum[i]) > 1e-9) return 0;
            sum[i] = 0.0;
        } else if (sum[i] != 0.0) {
            lowest += sum[i] * bound;
            scale += fabs(sum[i] * bound);
        }
        out->ray[i] = -sum[i];
    }
    return lowest - highest > p->tolerance * fmax(scale, 1e-300);
}

int kg_problem_ray(kg_problem *t, double *d, kg_qp_result *out) {
    const kg_qp *p = t->p;
    double largest = p->la->largest(p->n, d), descent = 0.0, linear = 0.0, curvature = 0.0;
    if (!(largest > 0.0) || !isfinite(largest)) return 0;
    for (int i = 0; i < p->n; i++) {
        d[i] /= largest;
        if (fabs(d[i]) < 1e-9) d[i] = 0.0;
        if ((d[i] > 0.0 && p->upper[i] < INFINITY) || (d[i] < 0.0 && p->lower[i] > -INFINITY)) {
            if (fabs(d[i]) > 1e-6) return 0;
            d[i] = 0.0;
        }
        double slope = p->kink == NULL ? 0.0 : (d[i] > 0.0 ? p->buy[i] : -p->sell[i]);
        descent += (p->c[i] + slope) * d[i];
        linear = fmax(linear, fabs(p->c[i] + slope));
        curvature = fmax(curvature, t->curvature[i]);
        out->ray[i] = d[i];
    }
    if (!(descent < -1e-9 * linear)) return 0;
    for (int j = p->k; j < t->r; j++) {
        double along = p->la->dot(p->n, t->rows + (size_t)j * p->n, d);
        if (along > 1e-8 && p->row_upper[j - p->k] < INFINITY) return 0;
        if (along < -1e-8 && p->row_lower[j - p->k] > -INFINITY) return 0;
    }
    double *flat = t->gradient;
    memset(flat, 0, p->n * sizeof(double));
    kg_problem_multiply(t, d, flat);
    return p->la->largest(p->n, flat) <= 1e-8 * curvature;
}
