#include <math.h>
#include <string.h>

#include "miqp_relax.h"

/* Lets directions without curvature be long steps instead of divisions by zero; gradients stay exact, so the
 * point that is reached is not moved by it. */
static const double RIDGE = 1e-7;

enum { BAND = 16 };

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
        if ((k % 32 == 31 || k > 256) && monitor && kg_should_stop(monitor)) {
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
    /* Rotate away the entry right of the diagonal, in bands of rows: column by column over all rows would be a cache
     * line an element, and row by row each step would wait for the last. */
    for (int top = k; top < r->nf; top += BAND) {
        int end = top + BAND < r->nf ? top + BAND : r->nf;
        for (int j = k; j < end; j++) {
            if (j >= top) {
                double *z = row(r, j), length = hypot(z[j], z[j + 1]);
                r->cosine[j] = z[j] / length;
                r->sine[j] = z[j + 1] / length;
                z[j] = length;
            }
            for (int i = j < top ? top : j + 1; i < end; i++) {
                double *z = row(r, i), left = z[j], right = z[j + 1];
                z[j] = r->cosine[j] * left + r->sine[j] * right;
                z[j + 1] = r->cosine[j] * right - r->sine[j] * left;
            }
        }
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
