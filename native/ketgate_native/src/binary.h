/* Binary quadratic programs with linear rows: minimise offset + c'x + sum q_ij x_i x_j, lower <= A x <= upper. */
#ifndef KETGATE_BINARY_H
#define KETGATE_BINARY_H

#include <stdatomic.h>
#include <stdint.h>

#include "monitor.h"
#include "pool.h"
#include "rng.h"

typedef struct {
    int64_t *start; /* (count + 1) */
    int32_t *index;
    double *value;
} kg_lists;

typedef struct {
    int n, rows;
    double offset;
    double *linear;
    kg_lists quadratic; /* by variable, both directions */
    kg_lists by_row, by_column; /* A */
    double *lower, *upper;
    double *tolerance; /* by row: 0 when every number of the row is an integer */
} kg_binary;

/* Triples with checked indices; quadratic ones with row != col. 0, or -1 without memory. */
int kg_binary_build(kg_binary *p, int n, const double *linear, double offset, int64_t terms, const int32_t *row,
                    const int32_t *col, const double *weight, int rows, int64_t entries, const int32_t *a_row,
                    const int32_t *a_col, const double *a_value, const double *lower, const double *upper,
                    double tolerance);
void kg_binary_free(kg_binary *p);
double kg_binary_objective(const kg_binary *p, const int8_t *x);
/* Sum over the rows, or the largest one, of what lies beyond the tolerance: 0.0 exactly when feasible. */
double kg_binary_violation(const kg_binary *p, const int8_t *x, int largest);

typedef struct {
    const kg_binary *p;
    kg_pool *pool;    /* feasible points by objective */
    kg_pool *nearest; /* one point, by violation */
    kg_monitor *monitor;
    uint64_t seed;
    int threads;
    const int8_t *initial; /* (initial_count, n) or NULL */
    int initial_count;
    atomic_llong work; /* moves made */
    atomic_int no_memory, interrupted;
} kg_binary_run;

void kg_binary_search(kg_binary_run *run, int64_t work_max);

#endif
