/* Branch-and-bound for convex quadratics over few names: cardinality, minimum positions, round lots.
 *
 *   minimise  1/2 x'Qx + c'x + sum_i buy_i (x_i - book_i)+ + sell_i (book_i - x_i)+
 *   over      row_lower <= A x <= row_upper, lower <= x <= upper, sum |x_i - book_i| <= turnover,
 *             x_i = 0 or |x_i| >= position_min_i, x_i a multiple of lot_i (0: any),
 *             names_min <= #{x_i != 0} <= names_max.
 *
 * The caller owns all arrays. The run is deterministic; a monitor only cuts it short.
 */
#ifndef KETGATE_MIQP_H
#define KETGATE_MIQP_H

#include <stdint.h>

#include "monitor.h"

typedef struct {
    int n, m;
    const double *Q;                               /* n x n, symmetric */
    const double *diagonal;                        /* or NULL: Q - diag(diagonal) is known to be semidefinite */
    const double *c;
    const double *A;                               /* m x n */
    const double *row_lower, *row_upper;           /* infinite: no limit */
    const double *lower, *upper;                   /* finite */
    const double *position_min, *lot;
    const double *book, *buy, *sell;
    double turnover;                               /* INFINITY: no limit */
    int names_min, names_max;
    const double *initial;                         /* or NULL */
} mq_request;

typedef struct {
    double gap_absolute, gap_relative;
    int64_t nodes_max;                             /* INT64_MAX: no limit */
    int pool_max;
    int base_isa;                                  /* do without AVX2 */
} mq_options;

enum { MQ_OPTIMAL = 0, MQ_INFEASIBLE = 1, MQ_STOPPED = 2 };

typedef struct {
    int status;
    int found;                                     /* points in the pool, best first */
    double *pool_x;                                /* pool_max x n, the caller's */
    double *pool_objective;
    double bound;
    int64_t nodes, pivots;
    double setup_s, search_s;
} mq_answer;

/* 0, or -1 without memory. The monitor may be NULL. */
int mq_solve(const mq_request *request, const mq_options *options, kg_monitor *monitor, mq_answer *answer);

#endif
