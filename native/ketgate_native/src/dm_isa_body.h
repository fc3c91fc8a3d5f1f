/* Bodies of dm_isa.h. Sums run in one fixed order in every lane, without fused multiply-add: the same bytes everywhere. */
#include <string.h>

#define KG_JOIN2(a, b) a##_##b
#define KG_JOIN(a, b) KG_JOIN2(a, b)
#define NAME(f) KG_JOIN(f, ISA)

typedef double v8 __attribute__((vector_size(64)));

static inline size_t NAME(spread)(size_t outer, const kg_gather *g) {
    for (int k = 0; k < g->taken; k++) {
        size_t low = ((size_t)1 << g->position[k]) - 1;
        outer = ((outer & ~low) << 1) | (outer & low);
    }
    return outer | g->fixed;
}

/* Where the lanes stand. 8: next to each other; 4: two runs of four; 1: anywhere. */
static inline int NAME(place)(size_t *base, size_t outer, int lanes, const kg_gather *g) {
    for (int l = 0; l < lanes; l++) base[l] = NAME(spread)(outer + (size_t)l, g);
    if (lanes < KG_DM_LANES) return 1;
    if (base[7] - base[0] == 7) return 8;
    return base[3] - base[0] == 3 && base[7] - base[4] == 3 ? 4 : 1;
}

static inline void NAME(load)(double *to, const double *x, const size_t *base, int run, int lanes, size_t offset) {
    if (run == 8) {
        memcpy(to, x + base[0] + offset, 8 * sizeof *to);
    } else if (run == 4) {
        memcpy(to, x + base[0] + offset, 4 * sizeof *to);
        memcpy(to + 4, x + base[4] + offset, 4 * sizeof *to);
    } else {
        int l = 0;
        for (; l < lanes; l++) to[l] = x[base[l] + offset];
        for (; l < KG_DM_LANES; l++) to[l] = 0.0;
    }
}

static inline void NAME(save)(double *x, const double *from, const size_t *base, int run, int lanes, size_t offset) {
    if (run == 8) {
        memcpy(x + base[0] + offset, from, 8 * sizeof *from);
    } else if (run == 4) {
        memcpy(x + base[0] + offset, from, 4 * sizeof *from);
        memcpy(x + base[4] + offset, from + 4, 4 * sizeof *from);
    } else {
        for (int l = 0; l < lanes; l++) x[base[l] + offset] = from[l];
    }
}

static void NAME(real_apply)(double *x, const kg_gather *g, const kg_rows *m, size_t from, size_t to, double *scratch) {
    v8 *in = (v8 *)scratch;
    size_t base[KG_DM_LANES];
    for (size_t outer = from; outer < to; outer += KG_DM_LANES) {
        int lanes = to - outer < KG_DM_LANES ? (int)(to - outer) : KG_DM_LANES;
        int run = NAME(place)(base, outer, lanes, g);
        for (int d = 0; d < g->dim; d++) NAME(load)((double *)&in[d], x, base, run, lanes, g->offset[d]);
        for (int r = 0; r < g->dim; r++) {
            v8 sum = {0};
            for (int32_t e = m->start[r]; e < m->start[r + 1]; e++) sum += m->real[e] * in[m->column[e]];
            NAME(save)(x, (const double *)&sum, base, run, lanes, g->offset[r]);
        }
    }
}

static void NAME(complex_apply)(double *re, double *im, const kg_gather *g, const kg_rows *m, double *scratch) {
    v8 *in_re = (v8 *)scratch, *in_im = in_re + g->dim;
    size_t base[KG_DM_LANES];
    for (size_t outer = 0; outer < g->outer; outer += KG_DM_LANES) {
        int lanes = g->outer - outer < KG_DM_LANES ? (int)(g->outer - outer) : KG_DM_LANES;
        int run = NAME(place)(base, outer, lanes, g);
        for (int d = 0; d < g->dim; d++) {
            NAME(load)((double *)&in_re[d], re, base, run, lanes, g->offset[d]);
            NAME(load)((double *)&in_im[d], im, base, run, lanes, g->offset[d]);
        }
        for (int r = 0; r < g->dim; r++) {
            v8 sum_re = {0}, sum_im = {0};
            for (int32_t e = m->start[r]; e < m->start[r + 1]; e++) {
                double a = m->real[e], b = m->imaginary[e];
                v8 x = in_re[m->column[e]], y = in_im[m->column[e]];
                sum_re += a * x - b * y;
                sum_im += a * y + b * x;
            }
            NAME(save)(re, (const double *)&sum_re, base, run, lanes, g->offset[r]);
            NAME(save)(im, (const double *)&sum_im, base, run, lanes, g->offset[r]);
        }
    }
}

static void NAME(reduced)(const double *re, const double *im, const kg_gather *g, double *rho) {
    v8 sum[KG_DM_REDUCED_MAX * (KG_DM_REDUCED_MAX + 1)], x[KG_DM_REDUCED_MAX], y[KG_DM_REDUCED_MAX];
    size_t base[KG_DM_LANES];
    int dim = g->dim;
    memset(sum, 0, sizeof(v8) * (size_t)(dim * (dim + 1)));
    for (size_t outer = 0; outer < g->outer; outer += KG_DM_LANES) {
        int lanes = g->outer - outer < KG_DM_LANES ? (int)(g->outer - outer) : KG_DM_LANES;
        int run = NAME(place)(base, outer, lanes, g);
        v8 *at = sum;
        for (int i = 0; i < dim; i++) {
            NAME(load)((double *)&x[i], re, base, run, lanes, g->offset[i]);
            NAME(load)((double *)&y[i], im, base, run, lanes, g->offset[i]);
            for (int j = 0; j <= i; j++, at += 2) {
                at[0] += x[i] * x[j] + y[i] * y[j];
                at[1] += y[i] * x[j] - x[i] * y[j];
            }
        }
    }
    v8 *at = sum;
    for (int i = 0; i < dim; i++)
        for (int j = 0; j <= i; j++, at += 2) {
            double real = 0.0, imaginary = 0.0;
            for (int l = 0; l < KG_DM_LANES; l++) real += at[0][l], imaginary += at[1][l];
            rho[2 * (i * dim + j)] = rho[2 * (j * dim + i)] = real;
            rho[2 * (i * dim + j) + 1] = imaginary;
            rho[2 * (j * dim + i) + 1] = -imaginary;
        }
}

const kg_dm_isa KG_JOIN(kg_dm_isa, ISA) = {
    .name = ISA_NAME,
    .supported = ISA_SUPPORTED,
    .real_apply = NAME(real_apply),
    .complex_apply = NAME(complex_apply),
    .reduced = NAME(reduced),
};
