/* Every assignment of a few binaries, in Gray code order: one flip a step. */
#ifndef KETGATE_EXHAUSTIVE_H
#define KETGATE_EXHAUSTIVE_H

#include <stdint.h>

#include "monitor.h"

enum { KG_EXHAUSTIVE_MAX = 48 }; /* binaries; far beyond what can be finished */

typedef struct {
    int n, rows;
    double offset;
    const double *linear;    /* n */
    const double *quadratic; /* n x n, symmetric, zero diagonal */
    /* Columns of the rows: entries start[i] .. start[i + 1] are of binary i. */
    const int32_t *start, *row;
    const double *coefficient;
    const double *lower, *upper; /* rows; infinite where there is no end */
    double tolerance;            /* greatest violation of a row, absolute */
    double drift;                /* what rounding may add to an activity between two resets */
} kg_binary_problem;

typedef struct {
    double objective;
    uint64_t bits;
} kg_assignment;

typedef struct {
    kg_assignment *pool; /* capacity entries, lowest objective first; of equal ones, first met first */
    int capacity, count;
    uint64_t visited;
    int completed; /* every assignment was seen */
} kg_enumeration;

/* Visits assignments until all, `work` of them (0: no limit), or a stop. 0, or -1 without memory. */
int kg_enumerate(const kg_binary_problem *p, uint64_t work, kg_monitor *monitor, kg_enumeration *out);

#endif
