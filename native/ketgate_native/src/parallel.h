/* Run independent work items on a few threads. Items are taken in order from one counter, so which thread runs
 * an item is not fixed: an item's result must depend on its index alone. Threads inherit the caller's priority. */
#ifndef KETGATE_PARALLEL_H
#define KETGATE_PARALLEL_H

#include <pthread.h>
#include <stdatomic.h>

enum { KG_THREADS_MAX = 64 };

typedef void (*kg_item)(void *context, int index);

typedef struct {
    kg_item run;
    void *context;
    int count;
    atomic_int next;
} kg_parallel_job;

static inline void *kg_parallel_worker(void *argument) {
    kg_parallel_job *job = argument;
    for (;;) {
        int index = atomic_fetch_add(&job->next, 1);
        if (index >= job->count) return NULL;
        job->run(job->context, index);
    }
}

/* The calling thread works too; a thread that cannot be started is done without. */
static inline void kg_parallel_for(int threads, int count, kg_item run, void *context) {
    kg_parallel_job job = {.run = run, .context = context, .count = count};
    pthread_t started[KG_THREADS_MAX];
    int extra = 0;
    if (threads > count) threads = count;
    if (threads > KG_THREADS_MAX) threads = KG_THREADS_MAX;
    while (extra < threads - 1 && pthread_create(&started[extra], NULL, kg_parallel_worker, &job) == 0) extra++;
    kg_parallel_worker(&job);
    for (int i = 0; i < extra; i++) pthread_join(started[i], NULL);
}

#endif
