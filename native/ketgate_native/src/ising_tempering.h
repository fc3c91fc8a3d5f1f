#ifndef KETGATE_ISING_TEMPERING_H
#define KETGATE_ISING_TEMPERING_H

#include "ising_block.h"

/* Replica exchange among the lanes of a started block (sparse layout), offering what it finds; runs at most sweeps_max of
 * the schedule's sweeps, whose inverse temperatures are the ends of the ladder. 1 when it came to its end. */
int kg_block_temper(kg_block *b, kg_schedule schedule, int64_t sweeps_max);

#endif
