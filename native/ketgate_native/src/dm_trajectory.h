/* Random trajectories of noisy circuits on state vectors.
 *
 * Shot s draws u(s, step) from a hash of (seed, s, step): what happens to it depends on nothing else, whatever the number
 * of threads. Shots whose choices agree share one state: a group runs until its shots part, then the larger part goes on
 * and the others wait with a copy of the state, or, when copies would be too many, begin anew and arrive at the same place.
 */
#ifndef KETGATE_DM_TRAJECTORY_H
#define KETGATE_DM_TRAJECTORY_H

#include "dm_isa.h"
#include "monitor.h"

enum { KG_STEP_CHANNEL = 0, KG_STEP_BRANCH = 1, KG_STEP_JUMP = 2 };
enum { KG_TRAJECTORY_DONE = 0, KG_TRAJECTORY_STOPPED = 1, KG_TRAJECTORY_NO_MEMORY = 2 };
enum { KG_BRANCHES_MAX = 1024, KG_CHANNEL_QUBITS_MAX = 4, KG_UNITARY_QUBITS_MAX = 5 };

/* Columns of a row of the table of steps. CHANNEL: Kraus operators A_m on `targets` qubits (one: a gate, which may have
 * controls), chosen with fixed probabilities (norm_free) or with those of the state; record: the bit that takes the choice
 * 0 or 1, read wrongly with the probabilities of `flips`. BRANCH: where a comparison of bits fails, on to `jump`. */
enum {
    KG_KIND, KG_TARGETS, KG_CONTROLS, KG_QUBITS, KG_CONTROL_VALUES, KG_BRANCHES, KG_MATRICES, KG_EFFECTS, KG_WEIGHTS,
    KG_NORM_FREE, KG_RECORD, KG_JUMP, KG_BITS, KG_BIT_COUNT, KG_COMPARISON, KG_VALUE, KG_COLUMNS
};

typedef struct {
    int qubits;
    int64_t steps;
    const int64_t *table;   /* (steps, KG_COLUMNS) */
    const double *flips;    /* (steps, 2): P(read 1 | 0), P(read 0 | 1) */
    const int32_t *numbers; /* qubits and bits of steps, joined */
    int64_t number_count;
    const double *matrices; /* interleaved complex, joined */
    int64_t matrix_count;   /* complex numbers */
    const double *effects;  /* A^dagger A of state-dependent choices, alike */
    int64_t effect_count;
    const double *weights; /* norm_free: the probabilities; else the least that the first one can have */
    int64_t weight_count;
    int bits;
} kg_program;

typedef struct {
    int64_t shots;
    uint64_t seed;
    int samples;         /* basis states to draw from the last state of each shot */
    int64_t *sampled;    /* (shots, samples) */
    uint64_t *memory;    /* (shots, words) bits */
    int words;
    int observables;
    const int64_t *terms; /* (observables + 1) first term of each */
    const double *coefficients;
    const uint64_t *x, *z;
    double *values; /* (shots, observables) */
    int threads;
    int64_t copies_max; /* states kept for groups that wait, in each thread */
    const kg_dm_isa *isa;
    kg_monitor *monitor;
} kg_trajectories;

/* The first step that is not sound, or -1. Jumps go forward only, so that every program ends. */
int64_t kg_program_check(const kg_program *p);
int kg_trajectories_run(const kg_program *p, const kg_trajectories *t);

/* dm_final.c: what is read from a normalised or unnormalised state */
typedef struct {
    double u;
    int64_t slot;
} kg_draw;
double kg_state_norm(const double *re, const double *im, size_t size);
void kg_state_sample(const double *re, const double *im, size_t size, kg_draw *draws, int64_t count, int64_t *out);
double kg_state_expectation(const double *re, const double *im, size_t size, uint64_t x, uint64_t z);

#endif
