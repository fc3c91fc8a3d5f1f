/* Threads that go through the same steps together: each step's items are shared out, then all wait for the last. */
#ifndef KETGATE_QAOA_TEAM_H
#define KETGATE_QAOA_TEAM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum { KG_TEAM_MAX = 64 };

typedef struct kg_team kg_team;
/* Once for each member; `member` counts from 0. */
typedef void (*kg_team_work)(kg_team *team, void *context, int member);

struct kg_team {
    int size;
    pthread_barrier_t barrier;
    atomic_llong next;
    kg_team_work work;
    void *context;
    pthread_mutex_t gate;
};

typedef struct {
    kg_team *team;
    int member;
} kg_team_place;

static inline void *kg_team_enter(void *argument) {
    kg_team_place place = *(kg_team_place *)argument;
    pthread_mutex_lock(&place.team->gate); /* until the size is known */
    pthread_mutex_unlock(&place.team->gate);
    if (place.member < place.team->size) place.team->work(place.team, place.team->context, place.member);
    return NULL;
}

/* A thread that cannot be started is done without. */
static inline void kg_team_run(int threads, kg_team_work work, void *context) {
    kg_team team = {.size = 1, .work = work, .context = context};
    kg_team_place places[KG_TEAM_MAX];
    pthread_t started[KG_TEAM_MAX];
    if (threads > KG_TEAM_MAX) threads = KG_TEAM_MAX;
    atomic_init(&team.next, 0);
    pthread_mutex_init(&team.gate, NULL);
    pthread_mutex_lock(&team.gate);
    for (; team.size < threads; team.size++) {
        places[team.size] = (kg_team_place){&team, team.size};
        if (pthread_create(&started[team.size], NULL, kg_team_enter, &places[team.size])) break;
    }
    pthread_barrier_init(&team.barrier, NULL, (unsigned)team.size);
    pthread_mutex_unlock(&team.gate);
    work(&team, context, 0);
    for (int k = 1; k < team.size; k++) pthread_join(started[k], NULL);
    pthread_barrier_destroy(&team.barrier);
    pthread_mutex_destroy(&team.gate);
}

/* Wait for all. */
static inline void kg_team_wait(kg_team *team) {
    if (team->size > 1) pthread_barrier_wait(&team->barrier);
}

#endif
