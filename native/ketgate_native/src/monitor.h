/* The channel between a running kernel and its caller: stop requests in, incumbents out.
 *
 * A kernel polls kg_should_stop() between sweeps or nodes and calls kg_offer() when it has found
 * something better. Neither touches Python. Readers wait on the condition variable without the GIL.
 * Offers never change the search, so a run with a reader and a run without one visit the same states.
 */
#ifndef KETGATE_MONITOR_H
#define KETGATE_MONITOR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
    KG_RUNNING = 0,
    KG_CANCELLED = 1, /* somebody asked */
    KG_TIME = 2,      /* the deadline passed */
    KG_TARGET = 3,    /* an incumbent reached the target objective */
    KG_GAP = 4        /* incumbent - bound is within tolerance */
};

enum { KG_RING = 64 }; /* unread incumbents kept; beyond it the oldest is dropped, never the newest */

typedef struct {
    int64_t elapsed_ns; /* since the monitor was made */
    double objective;
    double bound;
    int64_t work; /* sweeps or nodes done when it was found, as the kernel counts */
} kg_incumbent;

typedef struct kg_monitor {
    atomic_int stop;
    int64_t start_ns;
    int64_t deadline_ns; /* CLOCK_MONOTONIC; INT64_MAX: none */
    double target;       /* stop when objective <= target; -INFINITY: none */
    double gap_absolute, gap_relative;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    int finished;
    double best; /* +INFINITY until the first offer */
    double bound;
    int64_t work;
    size_t solution_bytes;
    kg_incumbent ring[KG_RING];
    unsigned char *solutions; /* KG_RING slots of solution_bytes */
    int head, unread;         /* oldest unread slot, how many */
} kg_monitor;

int64_t kg_now_ns(void);

int kg_monitor_init(kg_monitor *m, size_t solution_bytes); /* 0, or -1 without memory */
void kg_monitor_free(kg_monitor *m);

/* Whether to stop now. Costs one relaxed load, and a clock read of about 20 ns when a deadline is set. */
int kg_should_stop(kg_monitor *m);

/* Report a solution; thread-safe. Ignored unless strictly better than the best so far. */
void kg_offer(kg_monitor *m, double objective, const void *solution, int64_t work);

/* Report a proven bound; thread-safe; a worse bound is ignored. */
void kg_offer_bound(kg_monitor *m, double bound, int64_t work);

void kg_request_stop(kg_monitor *m, int reason); /* the first reason wins */
void kg_finish(kg_monitor *m);                   /* no more offers: wakes the readers for good */

/* Wait up to timeout_ns for an unread incumbent and take the oldest. 1: taken, 0: none, -1: finished and drained. */
int kg_take(kg_monitor *m, int64_t timeout_ns, kg_incumbent *out, void *solution);

#endif
