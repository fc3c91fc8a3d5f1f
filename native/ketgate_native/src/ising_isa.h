/* The hot loops, compiled once for each instruction set; all variants give the same bytes.
 *
 * Lanes (sparse layout): state[i * lanes + l] is spin i of replica l, as +-1 in the lane type; fields likewise hold
 * f_i = h_i + sum_j J_ij s_j. Rows (dense layout, and tabu): one state, spins and fields as float vectors over i.
 */
#ifndef KETGATE_ISING_ISA_H
#define KETGATE_ISING_ISA_H

#include "ising.h"

enum { KG_LANES_MAX = 32, KG_CHUNK = 64 };

typedef struct {
    const kg_ising *p;
    void *spins, *fields; /* (n, lanes) */
    void *thresholds;     /* a flip is accepted when s f > threshold */
    uint32_t rows, step;  /* the thresholds of a visit start at step * (random below rows) */
} kg_lanes;

typedef struct {
    const kg_ising *p;
    float *spins, *fields;     /* (padded to KG_CHUNK): padding has spin 1 and field -inf, so it never moves */
    double energy;             /* in search units, without the offset */
    int32_t *until;            /* tabu: first iteration at which the spin may move again */
    float *free_max, *any_max; /* tabu: by chunk, the largest s f of a spin that may move, and of any */
} kg_row_state;

typedef struct kg_isa {
    const char *name;
    int (*supported)(void);
    int lanes[3]; /* by kg_lane */
    void (*lanes_start[3])(kg_lanes *state, int from, int to); /* fields from spins */
    void (*lanes_visit[3])(kg_lanes *state, int from, int to, uint64_t *random);
    int (*lanes_descend[3])(kg_lanes *state, int from, int to); /* strict descent; whether anything moved */
    void (*lanes_energy[3])(const kg_lanes *state, int from, int to, double *energy); /* adds sum s (f + h) */
    /* thresholds from exponential variates, scale = temperature / 2 by lane; count a multiple of lanes */
    void (*lanes_thresholds[3])(kg_lanes *state, const float *exponentials, int count, const float *scale);
    void (*rows_visit[3])(kg_row_state *state, int from, int to, const float *exponentials, float scale);
    void (*rows_flip[3])(kg_row_state *state, int spin);
    void (*rows_flip_scan[3])(kg_row_state *state, int spin, int32_t iteration); /* flip, then scan every chunk */
    void (*scan)(kg_row_state *state, int chunk, int32_t iteration);
} kg_isa;

extern const kg_isa kg_isa_base;
#if defined(__x86_64__)
extern const kg_isa kg_isa_avx2, kg_isa_avx512;
#endif

const kg_isa *kg_isa_named(const char *name); /* NULL name: the best; NULL result: unknown or not supported here */

#endif
