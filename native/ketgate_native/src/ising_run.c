/* What every solver of a run shares: stops, and offers in float64. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ising.h"

int kg_run_stopped(kg_run *run) {
    if (atomic_load_explicit(&run->interrupted, memory_order_relaxed)) return 1; /* thousands of items may yet ask */
    if (run->monitor && kg_should_stop(run->monitor)) {
        atomic_store_explicit(&run->interrupted, 1, memory_order_relaxed);
        return 1;
    }
    return atomic_load_explicit(&run->no_memory, memory_order_relaxed);
}

static void keep(kg_run *run, double energy, const int8_t *spins) {
    if (kg_pool_offer(run->pool, energy, spins) && run->monitor)
        kg_offer(run->monitor, energy, spins, atomic_load(&run->work));
}

/* float32 fields cannot see gains below about 1e-7 of the largest field: finish in float64, best spin first. */
static void polish(const kg_ising *p, int8_t *spins) {
    enum { FLIPS_MAX = 8, PAIRS_MAX = 1 << 22 };
    double *field = p->above[p->n] <= PAIRS_MAX ? malloc(((size_t)p->n + 1) * sizeof *field) : NULL;
    for (int flips = 0; field && flips < FLIPS_MAX; flips++) {
        memcpy(field, p->linear, (size_t)p->n * sizeof *field);
        for (int i = 0; i < p->n; i++)
            for (int64_t e = p->above[i]; e < p->above[i + 1]; e++) {
                field[i] += p->weight[e] * spins[p->col[e]];
                field[p->col[e]] += p->weight[e] * spins[i];
            }
        int best = -1;
        double gain = 1e-13 * p->unit;
        for (int i = 0; i < p->n; i++)
            if (spins[i] * field[i] > gain) best = i, gain = spins[i] * field[i];
        if (best < 0) break;
        spins[best] = (int8_t)-spins[best];
    }
    free(field);
}

void kg_run_offer(kg_run *run, int8_t *spins, double search_energy) {
    double energy;
    if (run->p->integer) {
        energy = run->p->offset + run->p->unit * search_energy;
    } else {
        if (!atomic_load(&run->interrupted)) polish(run->p, spins); /* after a stop, several passes are too many */
        energy = kg_ising_energy(run->p, spins);
    }
    keep(run, energy, spins);
}

void kg_run_offer_evaluated(kg_run *run, const int8_t *spins) { keep(run, kg_ising_energy(run->p, spins), spins); }

void kg_run_begin(kg_run *run) {
    const kg_ising *p = run->p;
    if (run->initial_count == 0) {
        int8_t *up = malloc((size_t)p->n + 1);
        if (!up) {
            atomic_store(&run->no_memory, 1);
            return;
        }
        memset(up, 1, (size_t)p->n + 1);
        keep(run, p->energy_all_up, up);
        free(up);
    }
    for (int k = 0; k < run->initial_count && (k == 0 || !kg_run_stopped(run)); k++) {
        const int8_t *spins = run->initial + (int64_t)k * p->n;
        keep(run, kg_ising_energy(p, spins), spins);
    }
}
