#ifndef KETGATE_ISING_GRAFT_H
#define KETGATE_ISING_GRAFT_H

#include "ising.h"

typedef struct {
    int8_t *differs; /* (n) */
    int32_t *stack;  /* (n) */
    double *field;   /* (n) */
} kg_graft_room;

int kg_graft_room_init(kg_graft_room *room, int n); /* 0, or -1 without memory */
void kg_graft_room_free(kg_graft_room *room);

/* Take into `target` each part of `donor` that lowers the energy, or with `neutral` does not raise it; sparse problems.
 * Without fields a state and its mirror image are the same: the donor is turned to agree with most spins. Returns the energy gained, in search
 * units, never positive. */
double kg_graft(const kg_ising *p, kg_graft_room *room, int8_t *target, const int8_t *donor, int neutral);

/* Descend by single flips; sparse problems. Returns the energy of what it leaves, in search units. */
double kg_quench(const kg_ising *p, kg_graft_room *room, int8_t *spins);

#endif
