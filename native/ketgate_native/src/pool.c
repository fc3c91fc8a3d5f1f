#include "pool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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
