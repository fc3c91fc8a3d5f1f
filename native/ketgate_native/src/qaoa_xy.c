#include "qaoa_xy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define KG_VECTOR_BYTES 16
#define WIDE_FMA(a, b, c) ((a) * (b) + (c))
#define WIDE_FNMA(a, b, c) ((c) - (a) * (b))
#include "qaoa_sincos_body.h"

enum { RUN = 256 }; /* phases computed at a time */

int kg_xy_space_make(kg_xy_space *s, int n, int ones) {
    memset(s, 0, sizeof *s);
    s->n = n, s->ones = ones, s->low = (n + 1) / 2;
    const size_t lows = (size_t)1 << s->low, highs = (size_t)1 << (n - s->low);
    s->base = malloc(highs * sizeof *s->base);
    s->rank = malloc(lows * sizeof *s->rank);
    s->lows = malloc(lows * sizeof *s->lows);
    s->first = calloc((size_t)s->low + 2, sizeof *s->first);
    s->acted = malloc(lows * sizeof *s->acted);
    s->partner = malloc(lows * sizeof *s->partner);
    s->acted_first = calloc((size_t)s->low + 2, sizeof *s->acted_first);
    if (!s->base || !s->rank || !s->lows || !s->first || !s->acted || !s->partner || !s->acted_first) {
        kg_xy_space_free(s);
        return KG_XY_NO_MEMORY;
    }
    int32_t at = 0;
    for (int w = 0; w <= s->low; w++) {
        s->first[w] = at;
        for (size_t x = 0; x < lows; x++)
            if (__builtin_popcountll(x) == w) s->rank[x] = at - s->first[w], s->lows[at++] = (uint32_t)x;
    }
    s->first[s->low + 1] = at;
    for (size_t h = 0; h < highs; h++) {
        int w = ones - __builtin_popcountll(h);
        s->base[h] = s->size;
        if (w >= 0 && w <= s->low) s->size += s->first[w + 1] - s->first[w];
    }
    return 0;
}

void kg_xy_space_free(kg_xy_space *s) {
    free(s->base), free(s->rank), free(s->lows), free(s->first);
    free(s->acted), free(s->partner), free(s->acted_first);
    memset(s, 0, sizeof *s);
}

/* The low halves that go with a high one; how many. */
static int64_t row(const kg_xy_space *s, uint64_t high, const uint32_t **lows) {
    int w = s->ones - __builtin_popcountll(high);
    if (w < 0 || w > s->low) return 0;
    *lows = s->lows + s->first[w];
    return s->first[w + 1] - s->first[w];
}

void kg_xy_states(const kg_xy_space *s, uint64_t *out) {
    const uint32_t *lows = NULL;
    for (uint64_t high = 0; high < (uint64_t)1 << (s->n - s->low); high++) {
        int64_t count = row(s, high, &lows);
        for (int64_t k = 0; k < count; k++) *out++ = high << s->low | lows[k];
    }
}

typedef struct {
    double *re, *im;
} vector;

static void rotate(vector v, int64_t a, int64_t b, double c, double s) {
    double ar = v.re[a], ai = v.im[a], br = v.re[b], bi = v.im[b];
    v.re[a] = c * ar + s * bi, v.im[a] = c * ai - s * br;
    v.re[b] = c * br + s * ai, v.im[b] = c * bi - s * ar;
}

/* The low halves with the pattern `own` on the bits of `flip`. */
static void list_acted(const kg_xy_space *s, uint32_t own, uint32_t flip) {
    int32_t at = 0;
    for (int w = 0; w <= s->low; w++) {
        s->acted_first[w] = at;
        for (int32_t k = s->first[w]; k < s->first[w + 1]; k++)
            if ((s->lows[k] & flip) == own)
                s->acted[at] = k - s->first[w], s->partner[at++] = s->rank[s->lows[k] ^ flip];
    }
    s->acted_first[s->low + 1] = at;
}

/* One gate on psi; with lambda both, and the sum of Im <lambda| (XX + YY)/2 |psi>. */
static double gate(const kg_xy_space *s, const int32_t pair[2], double beta, vector psi, const vector *lambda) {
    const uint64_t own = (uint64_t)1 << pair[0], flip = own | (uint64_t)1 << pair[1], mask = ((uint64_t)1 << s->low) - 1;
    const uint64_t own_high = own >> s->low, flip_high = flip >> s->low;
    const double c = cos(beta), sn = sin(beta);
    double sum = 0.0;
    list_acted(s, (uint32_t)(own & mask), (uint32_t)(flip & mask));
    for (uint64_t high = 0; high < (uint64_t)1 << (s->n - s->low); high++) {
        const int w = s->ones - __builtin_popcountll(high);
        if ((high & flip_high) != own_high || w < 0 || w > s->low) continue;
        const int64_t base = s->base[high], other = s->base[high ^ flip_high];
        for (int32_t k = s->acted_first[w]; k < s->acted_first[w + 1]; k++) {
            int64_t a = base + s->acted[k], b = other + s->partner[k];
            if (lambda) {
                sum += lambda->re[a] * psi.im[b] - lambda->im[a] * psi.re[b];
                sum += lambda->re[b] * psi.im[a] - lambda->im[b] * psi.re[a];
                rotate(*lambda, a, b, c, sn);
            }
            rotate(psi, a, b, c, sn);
        }
    }
    return sum;
}

static void phase(const kg_xy_program *p, double gamma, vector v) {
    double angle[RUN], c[RUN], s[RUN];
    for (int64_t from = 0; from < p->space->size; from += RUN) {
        int64_t count = p->space->size - from < RUN ? p->space->size - from : RUN;
        for (int64_t k = 0; k < count; k++) angle[k] = gamma * p->cost[from + k];
        sincos_many((size_t)count, angle, c, s);
        for (int64_t k = 0; k < count; k++) {
            double re = v.re[from + k], im = v.im[from + k];
            v.re[from + k] = re * c[k] + im * s[k], v.im[from + k] = im * c[k] - re * s[k];
        }
    }
}

static int stop(const kg_xy_program *p) { return p->monitor && kg_should_stop(p->monitor); }

int kg_xy_forward(const kg_xy_program *p, double *psi, double *expectation) {
    const int64_t size = p->space->size;
    vector v = {psi, psi + size};
    for (int64_t k = 0; k < size; k++) v.re[k] = 1.0 / sqrt((double)size), v.im[k] = 0.0;
    for (int layer = 0; layer < p->layers; layer++) {
        phase(p, p->gamma[layer], v);
        for (int g = 0; g < p->pairs; g++) {
            if (stop(p)) return KG_XY_STOPPED;
            gate(p->space, p->pair + 2 * g, p->beta[layer], v, NULL);
        }
    }
    double sum = 0.0;
    for (int64_t k = 0; k < size; k++) sum += (v.re[k] * v.re[k] + v.im[k] * v.im[k]) * p->cost[k];
    *expectation = sum;
    return 0;
}

int kg_xy_gradient(const kg_xy_program *p, double *psi, double *lambda, double *expectation, double *by_gamma,
                   double *by_beta) {
    const int64_t size = p->space->size;
    vector v = {psi, psi + size}, l = {lambda, lambda + size};
    int status = kg_xy_forward(p, psi, expectation);
    if (status) return status;
    for (int64_t k = 0; k < size; k++) l.re[k] = p->cost[k] * v.re[k], l.im[k] = p->cost[k] * v.im[k];
    for (int layer = p->layers - 1; layer >= 0; layer--) {
        by_beta[layer] = by_gamma[layer] = 0.0;
        for (int g = p->pairs - 1; g >= 0; g--) {
            if (stop(p)) return KG_XY_STOPPED;
            by_beta[layer] += 2.0 * gate(p->space, p->pair + 2 * g, -p->beta[layer], v, &l);
        }
        for (int64_t k = 0; k < size; k++)
            by_gamma[layer] += 2.0 * p->cost[k] * (l.re[k] * v.im[k] - l.im[k] * v.re[k]);
        phase(p, -p->gamma[layer], v), phase(p, -p->gamma[layer], l);
    }
    return 0;
}
