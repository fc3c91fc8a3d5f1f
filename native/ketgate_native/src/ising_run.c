/* What every solver of a run shares: the pool of solutions, stops, and offers in float64. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ising.h"

int kg_pool_init(kg_pool *pool, int capacity, int n) {
    memset(pool, 0, sizeof *pool);
    pool->n = n;
    pool->capacity = capacity;
    pool->spins = malloc((size_t)capacity * (size_t)n + 1);
    pool->energies = malloc((size_t)capacity * sizeof *pool->energies);
    pool->occurrences = malloc((size_t)capacity * sizeof *pool->occurrences);
    pool->slot = malloc((size_t)capacity * sizeof *pool->slot);
    if (pool->spins && pool->energies && pool->occurrences && pool->slot && !pthread_mutex_init(&pool->lock, NULL))
        return 0;
    free(pool->spins), free(pool->energies), free(pool->occurrences), free(pool->slot);
    memset(pool, 0, sizeof *pool);
    return -1;
}

void kg_pool_free(kg_pool *pool) {
    if (!pool->slot) return;
    free(pool->spins), free(pool->energies), free(pool->occurrences), free(pool->slot);
    pthread_mutex_destroy(&pool->lock);
    memset(pool, 0, sizeof *pool);
}

double kg_pool_threshold(kg_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    double worst = pool->count < pool->capacity ? INFINITY : pool->energies[pool->count - 1];
    pthread_mutex_unlock(&pool->lock);
    return worst;
}

static int offer_locked(kg_pool *pool, double energy, const int8_t *spins) {
    size_t n = (size_t)pool->n;
    int rank = 0;
    for (; rank < pool->count && pool->energies[rank] <= energy; rank++) {
        if (pool->energies[rank] < energy) continue;
        int order = n ? memcmp(pool->spins + (size_t)pool->slot[rank] * n, spins, n) : 0;
        if (order == 0) {
            pool->occurrences[rank]++;
            return 0;
        }
        if (order > 0) break;
    }
    if (rank == pool->capacity) return 0;
    int slot = pool->count;
    if (pool->count == pool->capacity) slot = pool->slot[pool->count - 1];
    else pool->count++;
    for (int k = pool->count - 1; k > rank; k--) {
        pool->energies[k] = pool->energies[k - 1];
        pool->occurrences[k] = pool->occurrences[k - 1];
        pool->slot[k] = pool->slot[k - 1];
    }
    pool->energies[rank] = energy;
    pool->occurrences[rank] = 1;
    pool->slot[rank] = slot;
    if (n) memcpy(pool->spins + (size_t)slot * n, spins, n);
    return rank == 0;
}

int kg_pool_offer(kg_pool *pool, double energy, const int8_t *spins) {
    pthread_mutex_lock(&pool->lock);
    int best = offer_locked(pool, energy, spins);
    pthread_mutex_unlock(&pool->lock);
    return best;
}

int kg_run_stopped(kg_run *run) {
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
        polish(run->p, spins);
        energy = kg_ising_energy(run->p, spins);
    }
    keep(run, energy, spins);
}

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
