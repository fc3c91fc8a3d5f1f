/* QAOA among the states with a given number of ones: XY mixers keep it exactly, as no other state is stored.
 *
 * States stand in ascending order. The rank of x is base[high half of x] + rank of the low half among those of its own
 * number of ones: two look-ups.
 */
#ifndef KETGATE_QAOA_XY_H
#define KETGATE_QAOA_XY_H

#include <stdint.h>

#include "monitor.h"

enum { KG_XY_QUBITS_MAX = 34, KG_XY_STOPPED = 1, KG_XY_NO_MEMORY = -1 };

typedef struct {
    int n, ones, low; /* low: bits of the low half */
    int64_t size;     /* states */
    int64_t *base;    /* (2^(n - low)) */
    int32_t *rank;    /* (2^low) */
    uint32_t *lows;   /* low halves by their number of ones, ascending within */
    int32_t *first;   /* (low + 2): where each number of ones begins in lows */
    /* Of one gate: ranks of the low halves that it acts on, by number of ones, and of those they are turned into. */
    int32_t *acted, *partner, *acted_first;
} kg_xy_space;

int kg_xy_space_make(kg_xy_space *space, int n, int ones); /* 0 or KG_XY_NO_MEMORY */
void kg_xy_space_free(kg_xy_space *space);
void kg_xy_states(const kg_xy_space *space, uint64_t *out);

typedef struct {
    const kg_xy_space *space;
    const double *cost;       /* (size) */
    int pairs, layers;
    const int32_t *pair;      /* (pairs, 2): exp(-i beta (XX + YY) / 2) on each, in this order */
    const double *gamma, *beta; /* (layers) */
    kg_monitor *monitor;
} kg_xy_program;

/* psi, lambda: (size) complex numbers, real parts then imaginary ones. psi begins uniform. 0 or a reason as above. */
int kg_xy_forward(const kg_xy_program *program, double *psi, double *expectation);
int kg_xy_gradient(const kg_xy_program *program, double *psi, double *lambda, double *expectation, double *by_gamma,
                   double *by_beta);

#endif
