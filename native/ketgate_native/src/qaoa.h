/* QAOA on a state vector: diagonal phases and X mixers, one pass over memory a layer.
 *
 * The register is cut into tiles that fit a cache, in two ways: low tiles hold every value of the low qubits, high tiles
 * every value of the high qubits (and a short run of low ones, so that memory is read in whole lines). A mixer's qubits
 * commute, so a pass over one kind of tile ends layer k on its qubits, applies the phase of layer k + 1 and begins that
 * layer's mixer: passes alternate, and p layers take p + 1 passes instead of 2 p.
 *
 * Mixers are applied as 1 - i tan(beta) X, without their cosine; what they lack is multiplied in with the next phase.
 */
#ifndef KETGATE_QAOA_H
#define KETGATE_QAOA_H

#include <stddef.h>
#include <stdint.h>

#include "monitor.h"

enum {
    KG_QAOA_QUBITS_MAX = 34,
    KG_CELL_BITS = 8, /* a cell: the low bits of a tile, 256 amplitudes, whose phases are a product of few tables */
    KG_CELL = 1 << KG_CELL_BITS,
    KG_RUN_BITS = 4, /* low qubits of a high tile: 256 bytes in double precision; one more in single */
    KG_QAOA_STOPPED = 1,
    KG_QAOA_NO_MEMORY = -1
};

/* field . s + s pair s / 2 + table, s = 1 - 2 bit. Pointers may be NULL where there is no such part. */
typedef struct {
    const double *pair;  /* (n, n) symmetric, zero diagonal */
    const double *field; /* (n) */
    const double *table; /* (2^n) */
} kg_diagonal;

/* What is applied, layer after layer: exp(-i (gamma cost + turn . Z)), then exp(-i beta_q X_q). */
typedef struct {
    int n; /* qubits, at least KG_CELL_BITS */
    /* The state is the half of one that equals itself with all bits flipped, with 0 on the qubit left out. That qubit's X
     * flips all others. */
    int folded;
    int layers; /* at least 1 */
    const double *gamma;  /* (layers) */
    const double *turn;   /* (layers, n) or NULL */
    const double *beta;   /* (layers, n + 1): the last is the left-out qubit's */
    const double *start;  /* (n, 2) real amplitudes of 0 and 1, or NULL: uniform */
    kg_diagonal cost, observable;
    double observable_offset;
} kg_qaoa_program;

typedef struct {
    int bits, outer;                  /* tile bits, and the others */
    int run;                          /* low tile bits that are the low qubits */
    int qubit[KG_QAOA_QUBITS_MAX];    /* of each tile bit, then of each outer bit */
} kg_tiling;

typedef struct kg_qaoa_isa kg_qaoa_isa;

typedef struct {
    const kg_qaoa_isa *isa;
    int n, single; /* single precision */
    int tilings;   /* 1: the register is one tile */
    kg_tiling tiling[2];
    void *psi, *lambda; /* 2^n amplitudes: `lanes` real parts, then as many imaginary ones, and so on */
    int lanes;
    double norm; /* amplitudes are norm times what is stored */
} kg_qaoa_state;

/* 0 or KG_QAOA_NO_MEMORY. */
int kg_qaoa_state_make(kg_qaoa_state *state, int n, int single, const kg_qaoa_isa *isa);
void kg_qaoa_state_free(kg_qaoa_state *state);
size_t kg_qaoa_state_bytes(int n, int single);

/* The expectation of the observable; the state is left in `state` with keep. 0 or a reason as above. */
int kg_qaoa_forward(kg_qaoa_state *state, const kg_qaoa_program *program, int keep, int threads, kg_monitor *monitor,
                    double *expectation);

/* Also derivatives: by each gamma (layers), by each turn (layers, n), by each beta (layers, n + 1). by_turn may be NULL.
 * The state is lost. */
int kg_qaoa_gradient(kg_qaoa_state *state, const kg_qaoa_program *program, int threads, kg_monitor *monitor,
                     double *expectation, double *by_gamma, double *by_turn, double *by_beta);

/* What can be asked of a kept state; complex numbers are pairs. */
void kg_qaoa_export(const kg_qaoa_state *state, uint64_t from, uint64_t count, double *out);
/* Draws; counts[k] tells how often index[k] came, ascending. Room for shots entries. Returns how many, or -1. */
int64_t kg_qaoa_sample(const kg_qaoa_state *state, uint64_t shots, uint64_t seed, uint64_t *index, int64_t *counts);
/* Least and greatest value of a diagonal, and how much of the state has a value of at most `bound`. */
int kg_diagonal_extremes(const kg_diagonal *diagonal, int n, kg_monitor *monitor, double *least, double *greatest,
                         uint64_t *least_at);
int kg_qaoa_share_below(const kg_qaoa_state *state, const kg_diagonal *diagonal, double bound, kg_monitor *monitor,
                        double *share);

const kg_qaoa_isa *kg_qaoa_isa_named(const char *name); /* NULL name: the best; NULL: unknown or not here */
const char *kg_qaoa_isa_name(const kg_qaoa_isa *isa);

#endif
