/* Ising problems as the kernels read them, and the solvers.
 *
 * Search units: integer problems are scaled by a power of two and divided by their common divisor, real ones scaled so
 * that no local field exceeds 1; energy = offset + unit * (energy in search units). Only float64 energies leave.
 */
#ifndef KETGATE_ISING_H
#define KETGATE_ISING_H

#include <stdatomic.h>
#include <stdint.h>

#include "monitor.h"
#include "pool.h"
#include "rng.h"

typedef enum { KG_INT8, KG_INT16, KG_FLOAT32 } kg_lane;

typedef struct {
    int32_t col;
    uint32_t twice; /* 2 J in the lane type, repeated to fill 4 bytes: broadcast by one load */
} kg_edge;

typedef struct kg_ising {
    int n;
    double offset;
    double *linear;  /* (n) */
    int64_t *above;  /* (n + 1) start of row i's couplings with j > i */
    int32_t *col;    /* (pairs) */
    double *weight;  /* (pairs), float64 as given: what energies are evaluated from */
    double energy_all_up;

    double unit;
    int integer;      /* search arithmetic is exact */
    kg_lane lane;     /* of fields in the sparse layout, of rows in the dense one */
    float *field;     /* (n) linear in search units */
    int64_t *start;   /* (n + 1), sparse: both directions */
    kg_edge *edges;   /* sparse */
    float *weight32;  /* sparse: J in search units, beside edges */
    void *rows;       /* dense: (n, stride) J in search units, diagonal zero */
    int64_t stride;
    float *field_up; /* dense: (stride) local fields of the all-up state, -inf in the padding */
    double search_energy_up;
    int dense;
    float beta_hot, beta_cold; /* default inverse temperatures in search units */
} kg_ising;

typedef struct {
    int n;
    const double *linear; /* (n) */
    int64_t count;
    const int64_t *row, *col; /* (count) */
    const double *weight;     /* (count) */
    double offset;
    int binary; /* of x in {0, 1}, where x x = x; else of spins, and row[k] != col[k] */
} kg_ising_input;

enum {
    KG_BUILD_OK = 0,
    KG_BUILD_NO_MEMORY = -1,
    KG_BUILD_TOO_LARGE = -2, /* magnitudes sum to more than 1e300 */
    KG_BUILD_STOPPED = -3,   /* the monitor said so */
    KG_BUILD_LINEAR = -4,    /* linear[at] is not finite */
    KG_BUILD_ROW = -5,       /* row[at] is out of range */
    KG_BUILD_COL = -6,       /* col[at] is out of range */
    KG_BUILD_WEIGHT = -7,    /* weight[at] is not finite */
    KG_BUILD_TWICE = -8      /* row[at] == col[at] */
};

/* Checks the input, and takes nothing over; looks at the monitor (which may be NULL) every few hundred microseconds.
 * Whatever it returns, kg_ising_free. */
int kg_ising_build(kg_ising *p, const kg_ising_input *in, kg_monitor *monitor, int64_t *at);
void kg_ising_free(kg_ising *p);
int64_t kg_ising_pairs(const kg_ising *p);
double kg_ising_energy(const kg_ising *p, const int8_t *spins); /* float64, from the weights given */

/* One call of a solver. */
typedef struct kg_run {
    const kg_ising *p;
    const struct kg_isa *isa;
    kg_pool *pool;
    kg_monitor *monitor;
    uint64_t seed;
    int threads;
    const int8_t *initial; /* (initial_count, n) or NULL */
    int initial_count;
    atomic_llong work; /* moves evaluated */
    atomic_int no_memory;
    atomic_int interrupted; /* a stop cut something off */
} kg_run;

/* Offer a state that ended a search. energy: in search units when p->integer (exact), else ignored and evaluated. */
void kg_run_offer(kg_run *run, int8_t *spins, double search_energy);
void kg_run_offer_evaluated(kg_run *run, const int8_t *spins); /* the energy is evaluated, the spins are left alone */
int kg_run_stopped(kg_run *run);
void kg_run_begin(kg_run *run); /* offers the all-up state or the warm starts: there is always a solution */

typedef struct {
    int64_t sweeps;
    float beta_start, beta_end; /* search units */
} kg_schedule;

void kg_anneal(kg_run *run, kg_schedule schedule, int replicas);
void kg_tempering(kg_run *run, kg_schedule ladder, int ladders);
void kg_tabu(kg_run *run, int64_t iterations, int restarts, int tenure);
void kg_search(kg_run *run, int64_t work_max);

#endif
