/* Partition crossover (Whitley, Chicano, Goldman 2016; the same clusters as Houdayer 2001). Where two states differ falls
 * into connected components of the coupling graph with no coupling between them, so each can be taken from either
 * state by itself: the best of 2^components children costs one pass over the couplings. */
#include "ising_graft.h"

#include <stdlib.h>

int kg_graft_room_init(kg_graft_room *room, int n) {
    room->differs = malloc((size_t)n + 1);
    room->stack = malloc(((size_t)n + 1) * sizeof *room->stack);
    room->field = malloc(((size_t)n + 1) * sizeof *room->field);
    if (room->differs && room->stack && room->field) return 0;
    kg_graft_room_free(room);
    return -1;
}

void kg_graft_room_free(kg_graft_room *room) {
    free(room->differs), free(room->stack), free(room->field);
    *room = (kg_graft_room){0};
}

enum { SAME = 0, OPEN = 1, INSIDE = 2, DONE = 3 };

/* Collects the component of `seed` on the stack, and returns the energy of turning it in `target`. */
static double component(const kg_ising *p, kg_graft_room *room, const int8_t *target, int seed, int *size) {
    double change = 0.0;
    int count = 0;
    room->stack[count++] = seed;
    room->differs[seed] = INSIDE;
    for (int at = 0; at < count; at++) {
        int i = room->stack[at];
        double outside = (double)p->field[i];
        for (int64_t e = p->start[i]; e < p->start[i + 1]; e++) {
            int j = p->edges[e].col;
            if (room->differs[j] == OPEN) room->differs[j] = INSIDE, room->stack[count++] = j;
            if (room->differs[j] != INSIDE) outside += (double)p->weight32[e] * target[j];
        }
        change -= 2.0 * target[i] * outside;
    }
    *size = count;
    return change;
}

double kg_graft(const kg_ising *p, kg_graft_room *room, int8_t *target, const int8_t *donor, int neutral) {
    double gained = 0.0;
    int64_t overlap = 0;
    int fields = 0;
    for (int i = 0; i < p->n; i++) overlap += target[i] * donor[i], fields |= p->field[i] != 0.0f;
    int mirror = !fields && overlap < 0 ? -1 : 1;
    for (int i = 0; i < p->n; i++) room->differs[i] = target[i] != donor[i] * mirror ? OPEN : SAME;
    for (int i = 0; i < p->n; i++) {
        if (room->differs[i] != OPEN) continue;
        int size;
        double change = component(p, room, target, i, &size);
        int take = neutral ? change <= 0.0 : change < 0.0;
        gained += take ? change : 0.0;
        for (int k = 0; k < size; k++) {
            room->differs[room->stack[k]] = DONE;
            if (take) target[room->stack[k]] = (int8_t)-target[room->stack[k]];
        }
    }
    return gained;
}

double kg_quench(const kg_ising *p, kg_graft_room *room, int8_t *spins) {
    enum { PASSES_MAX = 100 }; /* real weights: rounding must not make it go in a circle */
    double energy = 0.0;
    for (int i = 0; i < p->n; i++) {
        double field = (double)p->field[i];
        for (int64_t e = p->start[i]; e < p->start[i + 1]; e++)
            field += (double)p->weight32[e] * spins[p->edges[e].col];
        room->field[i] = field;
        energy += 0.5 * spins[i] * (field + (double)p->field[i]);
    }
    int moved = 1;
    for (int pass = 0; moved && pass < PASSES_MAX; pass++) {
        moved = 0;
        for (int i = 0; i < p->n; i++) {
            double gain = spins[i] * room->field[i];
            if (gain <= 0.0) continue;
            moved = 1;
            energy -= 2.0 * gain;
            spins[i] = (int8_t)-spins[i];
            for (int64_t e = p->start[i]; e < p->start[i + 1]; e++)
                room->field[p->edges[e].col] += 2.0 * (double)p->weight32[e] * spins[i];
        }
    }
    return energy;
}
