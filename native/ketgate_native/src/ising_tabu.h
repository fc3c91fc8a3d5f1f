#ifndef KETGATE_ISING_TABU_H
#define KETGATE_ISING_TABU_H

#include "ising.h"

enum { KG_ELITE = 8 };

typedef struct {
    int count;              /* at most KG_ELITE */
    const int8_t *spins;    /* (count, n) */
    const double *energies; /* search units */
} kg_elite;

/* One trajectory from `initial` (NULL: a recombination of the elite, or random), with `elite` (or NULL) to begin with. */
void kg_tabu_trajectory(kg_run *run, uint64_t stream, int64_t iterations, int tenure, const int8_t *initial,
                        const kg_elite *elite);

#endif
