#ifndef KETGATE_POOL_H
#define KETGATE_POOL_H

#include <pthread.h>
#include <stdint.h>

/* The k best distinct solutions seen, by (energy, spins): the order of offers does not change what is kept. */
typedef struct {
    int n, capacity, count;
    int8_t *spins;        /* (capacity, n), slots in no order */
    double *energies;     /* (capacity) by rank */
    int64_t *occurrences; /* by rank */
    int *slot;            /* rank -> slot */
    pthread_mutex_t lock;
} kg_pool;

int kg_pool_init(kg_pool *pool, int capacity, int n);
void kg_pool_free(kg_pool *pool);
/* 1 if it became the best. */
int kg_pool_offer(kg_pool *pool, double energy, const int8_t *spins);
double kg_pool_threshold(kg_pool *pool); /* energies above it would not be kept */

#endif
