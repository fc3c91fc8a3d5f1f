/* A large diagonal d with Q - diag(d) positive semidefinite.
 *
 * Maximises sum_i weight_i d_i + mu log det(Q - diag(d)) over d >= 0 by coordinate ascent with rank-one updates of
 * the inverse, mu falling. The optimum of the perspective bound over d is a semidefinite program whose gradient is
 * such a weight; the barrier makes an inexact answer safe. */
#include <math.h>
#include <string.h>

#include "miqp_internal.h"

enum { SWEEPS = 14 };

/* Inverse of a symmetric positive definite matrix in place; 0, or -1 if it is not one. */
static int invert(const mq_vector *vec, int n, size_t ld, double *M, double *L) {
    for (int i = 0; i < n; i++)
        for (int j = 0; j <= i; j++) {
            double sum = M[i * ld + j] - vec->dot(j, L + i * ld, L + j * ld);
            if (i == j) {
                if (!(sum > 0)) return -1;
                L[i * ld + i] = sqrt(sum);
            } else {
                L[i * ld + j] = sum / L[j * ld + j];
            }
        }
    for (int i = 0; i < n; i++) { /* M = inverse of L, lower, by rows */
        double *row = M + i * ld;
        memset(row, 0, (size_t)n * sizeof(double));
        for (int j = 0; j < i; j++) vec->axpy(j + 1, -L[i * ld + j], M + j * ld, row);
        row[i] = 1;
        for (int j = 0; j <= i; j++) row[j] /= L[i * ld + i];
    }
    memset(L, 0, (size_t)n * ld * sizeof(double));
    for (int k = 0; k < n; k++) /* L = M'M, the inverse */
        for (int i = 0; i <= k; i++) vec->axpy(i + 1, M[k * ld + i], M + k * ld, L + i * ld);
    for (int i = 0; i < n; i++)
        for (int j = 0; j <= i; j++) M[i * ld + j] = M[j * ld + i] = L[i * ld + j];
    return 0;
}

static int is_definite(const mq_problem *p, const double *d, double *L) {
    int n = p->n;
    size_t ld = p->ld;
    for (int i = 0; i < n; i++)
        for (int j = 0; j <= i; j++) {
            double sum = p->Q[i * ld + j] - (i == j ? d[i] : 0) - p->vec->dot(j, L + i * ld, L + j * ld);
            if (i == j) {
                if (!(sum > 1e-12 * p->Q[i * ld + i])) return 0;
                L[i * ld + i] = sqrt(sum);
            } else {
                L[i * ld + j] = sum / L[j * ld + j];
            }
        }
    return 1;
}

void mq_set_diagonal(mq_problem *p) {
    for (int i = 0; i < p->n; i++) {
        memcpy(p->Qt + (size_t)i * p->ld, p->Q + (size_t)i * p->ld, p->ld * sizeof(double));
        p->Qt[(size_t)i * p->ld + i] -= p->d[i];
    }
}

void mq_diagonal(mq_problem *p, const double *weight, double *work, kg_monitor *monitor) {
    int n = p->n;
    size_t ld = p->ld;
    double *M = work, *L = work + (size_t)n * ld, *d = p->d;
    memset(d, 0, (size_t)n * sizeof(double));
    memcpy(M, p->Q, (size_t)n * ld * sizeof(double));
    if (invert(p->vec, n, ld, M, L)) {
        mq_set_diagonal(p);
        return; /* singular: nothing can be taken off every name */
    }
    double mu = 0;
    for (int i = 0; i < n; i++) mu += weight[i] * p->Q[i * ld + i];
    mu *= 0.1 / n;
    for (int sweep = 0; sweep < SWEEPS; sweep++, mu *= 0.5) {
        for (int i = 0; i < n; i++) {
            double inverse = M[i * ld + i];
            if (!(weight[i] > 0) || !(inverse > 0)) continue;
            double step = 1 / inverse - mu / weight[i];
            if (d[i] + step < 0) step = -d[i];
            double factor = step / (1 - step * inverse);
            if (!isfinite(factor) || fabs(step) < 1e-9 * p->Q[i * ld + i]) continue;
            d[i] += step;
            memcpy(L, M + i * ld, (size_t)n * sizeof(double));
            for (int j = 0; j < n; j++)
                if (L[j] != 0) p->vec->axpy(n, factor * L[j], L, M + j * ld);
        }
        if (monitor && kg_should_stop(monitor)) break;
    }
    double keep = 1 - 1e-7;
    for (int attempt = 0; attempt < 8; attempt++) { /* rounding of the updates: shrink until it is certain */
        for (int i = 0; i < n; i++) d[i] *= keep;
        if (is_definite(p, d, L)) break;
        keep = attempt < 6 ? 1 - 10 * (1 - keep) : 0;
        if (keep < 0) keep = 0;
    }
    mq_set_diagonal(p);
}
