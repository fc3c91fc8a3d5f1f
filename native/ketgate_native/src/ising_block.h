/* One unit of annealing: a block of replicas across SIMD lanes (sparse) or one state (dense), with its own random
 * stream, so that what it finds depends on the seed and its index alone. */
#ifndef KETGATE_ISING_BLOCK_H
#define KETGATE_ISING_BLOCK_H

#include "ising.h"
#include "ising_isa.h"

typedef struct {
    kg_run *run;
    int lanes; /* replicas it holds: 1 when dense */
    kg_rng rng;
    uint64_t random;      /* where in the pool of thresholds a visit reads */
    float *exponentials;  /* pool of variates, partly renewed each sweep */
    int pool, next, thresholds;
    int64_t sweeps;
    kg_lanes state;
    kg_row_state row;
    double energy[KG_LANES_MAX]; /* search units, after kg_block_measure */
    int8_t *spins;               /* (n) scratch for one solution */
} kg_block;

int kg_block_init(kg_block *b, kg_run *run, uint64_t stream); /* 0, or -1 without memory */
void kg_block_free(kg_block *b);
int kg_block_lanes(const kg_run *run);

/* Random spins, or from `from` (lanes states of n int8, by pointer; NULL entries: random). 0 when stopped. */
int kg_block_start(kg_block *b, const int8_t *const *from);
/* Every lane from its row of (lanes, n) states. 0 when stopped. */
int kg_block_load(kg_block *b, const int8_t *states);
/* One sweep at temperature t[l] / 2 (search units) in each lane; uniform: all lanes alike. 0 when stopped. */
int kg_block_sweep(kg_block *b, const float *half_temperature, int uniform);
int kg_block_descend(kg_block *b); /* 0 when stopped: lanes may then not be local minima */
void kg_block_measure(kg_block *b);
void kg_block_read(kg_block *b, int lane, int8_t *spins);
void kg_block_offer_lowest(kg_block *b); /* measures */
/* Offer what the first `count` lanes hold, best first; needs energies measured. */
void kg_block_offer(kg_block *b, int count);

/* Anneal a started block and descend. Runs at most sweeps_max of the schedule: what is cut off so, or by a stop, leaves
 * the lanes as they are. 1 when it came to its end. snapshots: offer the lowest lane now and then once it is cold. */
int kg_block_anneal(kg_block *b, kg_schedule schedule, int64_t sweeps_max, int snapshots);

#endif
