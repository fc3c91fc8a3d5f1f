#include <math.h>
#include <string.h>

#include "miqp_relax.h"

/* Lets directions without curvature be long steps instead of divisions by zero; gradients stay exact, so the
 * point that is reached is not moved by it. */
static const double RIDGE = 1e-7;

static double *row(const mq_relax *r, int k) { return r->L + (size_t)k * r->p->n; }

static void append(mq_relax *r, int k, int name) {
    const mq_problem *p = r->p;
    const mq_pieces *q = &r->piece[name];
    double *z = row(r, k);
    const double *column = p->Qt + (size_t)name * p->ld;
    for (int j = 0; j < k; j++) z[j] = (column[r->free[j]] - p->vec->dot(j, row(r, j), z)) / row(r, j)[j];
    double diagonal = column[name] + q->h[r->at[name]];
    double rest = diagonal - p->vec->dot(k, z, z);
    double least = RIDGE * (1 + diagonal);
    z[k] = sqrt(rest > least ? rest : least);
}

void mq_factor_append(mq_relax *r, int name) {
    r->free[r->nf] = name;
    r->where[name] = r->nf;
    append(r, r->nf, name);
    r->nf++;
}

void mq_factor_all(mq_relax *r, kg_monitor *monitor) {
    for (int k = 0; k < r->nf; k++) {
        if (monitor && kg_should_stop(monitor)) {
            for (int j = k; j < r->nf; j++) r->where[r->free[j]] = -1;
            r->nf = k;
            return;
        }
        r->where[r->free[k]] = k;
        append(r, k, r->free[k]);
    }
}

void mq_factor_remove(mq_relax *r, int k) {
    r->where[r->free[k]] = -1;
    for (int j = k; j + 1 < r->nf; j++) {
        r->free[j] = r->free[j + 1];
        r->where[r->free[j]] = j;
        memcpy(row(r, j), row(r, j + 1), (size_t)(j + 2) * sizeof(double));
    }
    r->nf--;
    /* Rotate away the entry right of the diagonal. A row meets all rotations before it at once: column by column would
     * be a cache line an element. */
    for (int i = k; i < r->nf; i++) {
        double *z = row(r, i);
        for (int j = k; j < i; j++) {
            double left = z[j], right = z[j + 1];
            z[j] = r->cosine[j] * left + r->sine[j] * right;
            z[j + 1] = r->cosine[j] * right - r->sine[j] * left;
        }
        double length = hypot(z[i], z[i + 1]);
        r->cosine[i] = z[i] / length;
        r->sine[i] = z[i + 1] / length;
        z[i] = length;
    }
}

void mq_factor_forward(const mq_relax *r, double *b) {
    for (int k = 0; k < r->nf; k++) b[k] = (b[k] - r->p->vec->dot(k, row(r, k), b)) / row(r, k)[k];
}

void mq_factor_backward(const mq_relax *r, double *b) {
    for (int k = r->nf - 1; k >= 0; k--) {
        b[k] /= row(r, k)[k];
        r->p->vec->axpy(k, -b[k], row(r, k), b);
    }
}
