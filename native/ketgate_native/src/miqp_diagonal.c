/* A large diagonal d with Q - diag(d) positive semidefinite.
 *
 * Maximises sum_i weight_i d_i + mu log det(Q - diag(d)) over d >= 0 by coordinate ascent with rank-one updates of
 * the inverse, mu falling. The optimum of the perspective bound over d is a semidefinite program whose gradient is
 * such a weight; the barrier makes an inexact answer safe. */
#include <math.h>
#include <string.h>

#include "miqp_internal.h"

enum { ROWS_BETWEEN_POLLS = 256, TILE = 32 };

static int stopped(kg_monitor *monitor) { return monitor && kg_should_stop(monitor); }

/* Inverse of a symmetric positive definite matrix in place; 0, or -1 if it is not one or time is up. */
static int invert(const mq_vector *vec, int n, size_t ld, double *M, double *L, kg_monitor *monitor) {
    for (int i = 0; i < n; i++) {
        if (stopped(monitor)) return -1;
        for (int j = 0; j <= i; j++) {
            double sum = M[i * ld + j] - vec->dot(j, L + i * ld, L + j * ld);
            if (i == j) {
                if (!(sum > 0)) return -1;
                L[i * ld + i] = sqrt(sum);
            } else {
                L[i * ld + j] = sum / L[j * ld + j];
            }
        }
    }
    for (int i = 0; i < n; i++) { /* M = inverse of L, lower, by rows */
        if (stopped(monitor)) return -1;
        double *row = M + i * ld;
        memset(row, 0, (size_t)n * sizeof(double));
        for (int j = 0; j < i; j++) vec->axpy(j + 1, -L[i * ld + j], M + j * ld, row);
        row[i] = 1;
        for (int j = 0; j <= i; j++) row[j] /= L[i * ld + i];
    }
    for (int k = 0; k < n; k++) { /* L = M'M, the inverse, a row more with each k */
        if (stopped(monitor)) return -1;
        memset(L + k * ld, 0, (size_t)n * sizeof(double));
        for (int i = 0; i <= k; i++) vec->axpy(i + 1, M[k * ld + i], M + k * ld, L + i * ld);
    }
    for (int i0 = 0; i0 < n; i0 += TILE) { /* by tiles: a column is a cache line an element */
        if (stopped(monitor)) return -1;
        int i1 = i0 + TILE < n ? i0 + TILE : n;
        for (int j0 = 0; j0 <= i0; j0 += TILE)
            for (int i = i0; i < i1; i++)
                for (int j = j0; j < j0 + TILE && j <= i; j++) M[i * ld + j] = M[j * ld + i] = L[i * ld + j];
    }
    return 0;
}

/* L L' = B - diag(d) over the listed names, where B = Q: whether rounding left it definite. */
static int is_definite(const mq_problem *p, const int *name, int n, size_t ld, const double *d, double *L,
                       kg_monitor *monitor) {
    for (int i = 0; i < n; i++) {
        if (stopped(monitor)) return 0;
        const double *q = p->Qt + (size_t)name[i] * p->ld;
        for (int j = 0; j <= i; j++) {
            double sum = (i == j ? p->q[name[i]] - d[name[i]] : q[name[j]]) - p->vec->dot(j, L + i * ld, L + j * ld);
            if (i == j) {
                if (!(sum > 1e-12 * p->q[name[i]])) return 0;
                L[i * ld + i] = sqrt(sum);
            } else {
                L[i * ld + j] = sum / L[j * ld + j];
            }
        }
    }
    return 1;
}

void mq_set_diagonal(mq_problem *p) {
    for (int i = 0; i < p->n; i++) p->Qt[(size_t)i * p->ld + i] = p->q[i] - p->d[i];
}

/* One sweep of coordinate ascent; M is the inverse of Q - diag(d) over the names. */
static void sweep(const mq_problem *p, const int *name, int n, size_t ld, const double *weight, double mu, double *d,
                  double *M, double *column, kg_monitor *monitor) {
    for (int i = 0; i < n && !stopped(monitor); i++) {
        double inverse = M[i * ld + i], w = weight[name[i]], diagonal = p->q[name[i]];
        if (!(w > 0) || !(inverse > 0)) continue;
        double step = 1 / inverse - mu / w;
        if (d[name[i]] + step < 0) step = -d[name[i]];
        double factor = step / (1 - step * inverse);
        if (!isfinite(factor) || fabs(step) < 1e-4 * diagonal) continue;
        d[name[i]] += step;
        memcpy(column, M + i * ld, (size_t)n * sizeof(double));
        for (int j = 0; j < n && !(j % ROWS_BETWEEN_POLLS == 0 && stopped(monitor)); j++)
            if (column[j] != 0) p->vec->axpy(n, factor * column[j], column, M + j * ld);
    }
}

void mq_diagonal(mq_problem *p, const int *name, int n, const double *weight, int sweeps, double *work,
                 kg_monitor *monitor) {
    size_t ld = ((size_t)n + 7) / 8 * 8;
    double *M = work, *L = work + (size_t)n * ld, *d = p->d, mu = 0;
    memset(d, 0, (size_t)p->n * sizeof(double));
    for (int i = 0; i < n && !stopped(monitor); i++) {
        const double *q = p->Qt + (size_t)name[i] * p->ld;
        for (int j = 0; j < n; j++) M[i * ld + j] = q[name[j]];
        M[i * ld + i] = p->q[name[i]];
        mu += weight[name[i]] * p->q[name[i]];
    }
    if (n > 0 && invert(p->vec, n, ld, M, L, monitor) == 0) {
        mu *= 0.1 / n;
        for (int k = 0; k < sweeps && !stopped(monitor); k++, mu *= 0.5)
            sweep(p, name, n, ld, weight, mu, d, M, L, monitor);
        double keep = 1 - 1e-7;
        for (int attempt = 0; attempt < 8; attempt++) { /* rounding of the updates: shrink until it is certain */
            for (int i = 0; i < n; i++) d[name[i]] *= keep;
            if (is_definite(p, name, n, ld, d, L, monitor)) break;
            keep = attempt < 6 ? 1 - 10 * (1 - keep) : 0;
            if (keep < 0) keep = 0;
        }
    } /* singular: nothing can be taken off every name, d stays 0 */
    mq_set_diagonal(p);
}
