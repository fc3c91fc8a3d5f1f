#define _GNU_SOURCE
#include "monitor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Incumbents closer than this overwrite an unread neighbour: early descent improves at every step. */
static const int64_t COALESCE_NS = 1000000;

int64_t kg_now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int kg_monitor_init(kg_monitor *m, size_t solution_bytes) {
    memset(m, 0, sizeof *m);
    m->start_ns = kg_now_ns();
    m->deadline_ns = INT64_MAX;
    m->target = -INFINITY;
    m->best = INFINITY;
    m->bound = -INFINITY;
    m->solution_bytes = solution_bytes;
    m->solutions = malloc(KG_RING * (solution_bytes ? solution_bytes : 1));
    if (m->solutions == NULL) return -1;
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes)) goto no_memory;
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int failed = pthread_cond_init(&m->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (failed) goto no_memory;
    if (pthread_mutex_init(&m->lock, NULL)) {
        pthread_cond_destroy(&m->changed);
        goto no_memory;
    }
    return 0;
no_memory:
    free(m->solutions);
    return -1;
}

void kg_monitor_free(kg_monitor *m) {
    free(m->solutions);
    pthread_mutex_destroy(&m->lock);
    pthread_cond_destroy(&m->changed);
}

void kg_request_stop(kg_monitor *m, int reason) {
    int running = KG_RUNNING;
    atomic_compare_exchange_strong(&m->stop, &running, reason);
}

int kg_should_stop(kg_monitor *m) {
    if (atomic_load_explicit(&m->stop, memory_order_relaxed) != KG_RUNNING) return 1;
    if (m->deadline_ns != INT64_MAX && kg_now_ns() >= m->deadline_ns) {
        kg_request_stop(m, KG_TIME);
        return 1;
    }
    return 0;
}

static void check_gap(kg_monitor *m) { /* lock held */
    double gap = m->best - m->bound;
    if (isfinite(gap) && (gap <= m->gap_absolute || gap <= m->gap_relative * fabs(m->best)))
        kg_request_stop(m, KG_GAP);
}

void kg_offer(kg_monitor *m, double objective, const void *solution, int64_t work) {
    int64_t elapsed = kg_now_ns() - m->start_ns;
    pthread_mutex_lock(&m->lock);
    if (objective < m->best) {
        int slot;
        int newest = (m->head + m->unread - 1 + KG_RING) % KG_RING;
        if (m->unread > 0 && elapsed - m->ring[newest].elapsed_ns < COALESCE_NS) {
            slot = newest;
        } else {
            if (m->unread == KG_RING) {
                m->head = (m->head + 1) % KG_RING;
                m->unread--;
            }
            slot = (m->head + m->unread) % KG_RING;
            m->unread++;
            m->ring[slot].elapsed_ns = elapsed;
        }
        m->best = objective;
        m->work = work;
        m->ring[slot].objective = objective;
        m->ring[slot].bound = m->bound;
        m->ring[slot].work = work;
        memcpy(m->solutions + (size_t)slot * m->solution_bytes, solution, m->solution_bytes);
        if (objective <= m->target) kg_request_stop(m, KG_TARGET);
        check_gap(m);
        pthread_cond_broadcast(&m->changed);
    }
    pthread_mutex_unlock(&m->lock);
}

void kg_offer_bound(kg_monitor *m, double bound, int64_t work) {
    pthread_mutex_lock(&m->lock);
    if (bound > m->bound) {
        m->bound = bound;
        m->work = work;
        check_gap(m);
    }
    pthread_mutex_unlock(&m->lock);
}

void kg_finish(kg_monitor *m) {
    pthread_mutex_lock(&m->lock);
    m->finished = 1;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
}

int kg_take(kg_monitor *m, int64_t timeout_ns, kg_incumbent *out, void *solution) {
    int64_t until = kg_now_ns() + timeout_ns;
    struct timespec t = {.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000};
    pthread_mutex_lock(&m->lock);
    while (m->unread == 0 && !m->finished)
        if (pthread_cond_timedwait(&m->changed, &m->lock, &t)) break;
    int result = m->finished ? -1 : 0;
    if (m->unread > 0) {
        *out = m->ring[m->head];
        memcpy(solution, m->solutions + (size_t)m->head * m->solution_bytes, m->solution_bytes);
        m->head = (m->head + 1) % KG_RING;
        m->unread--;
        result = 1;
    }
    pthread_mutex_unlock(&m->lock);
    return result;
}
