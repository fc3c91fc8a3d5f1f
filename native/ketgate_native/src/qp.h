/* Convex quadratic programs of portfolio shape: many names, few dense rows, bounds, kinked linear costs.
 *
 *     minimise 1/2 x'Qx + c'x + sum_i buy_i (x_i - x0_i)+ + sell_i (x0_i - x_i)+
 *     subject to row_lower <= A x <= row_upper, lower <= x <= upper
 */
#ifndef KETGATE_QP_H
#define KETGATE_QP_H

#include <stdint.h>

#include "linalg.h"
#include "monitor.h"

/* Where a name stands. A name without a kink is never in the two middle states. */
enum { KG_AT_LOWER = 0, KG_FREE_BELOW = 1, KG_AT_KINK = 2, KG_FREE = 3, KG_AT_UPPER = 4 };
enum { KG_ROW_LOWER = -1, KG_ROW_BETWEEN = 0, KG_ROW_UPPER = 1, KG_ROW_EQUAL = 2 };

enum {
    KG_QP_OPTIMAL = 0,
    KG_QP_INFEASIBLE = 1,
    KG_QP_UNBOUNDED = 2,
    KG_QP_STOPPED = 3,
    KG_QP_NUMERICAL = 4,
    KG_QP_NO_MEMORY = -1
};

typedef struct {
    int n, m, k;          /* names, rows, factors; k = 0 with q set, or q NULL */
    const double *q;      /* (n, n) dense */
    const double *factor; /* (k, n): row f holds every name's exposure to unit factor f */
    const double *own;    /* (n) diagonal beside the factors */
    const double *c;
    const double *a; /* (m, n) */
    const double *row_lower, *row_upper;
    const double *lower, *upper;
    const double *kink, *buy, *sell; /* (n) each, or all NULL; kinks lie strictly between the bounds or are NaN */
    double tolerance;
    int64_t iterations_max;
    kg_monitor *monitor; /* NULL: runs to the end */
    const kg_linalg *la;
} kg_qp;

typedef struct {
    double *x, *dual_rows, *dual_bounds; /* (n), (m), (n) */
    double *ray;                         /* (n) infeasible: bound multipliers; unbounded: direction */
    double *farkas;                      /* (m) infeasible: row multipliers */
    int8_t *state, *row_state;           /* (n), (m); in: the start when warm */
    int warm;                            /* 0 cold, 1 state, 2 x too, 3 duals too */
    int64_t iterations;
    double objective, kkt_residual, factor_s, price_s, total_s;
} kg_qp_result;

int kg_qp_solve(const kg_qp *p, kg_qp_result *out);

/* Called at each corner with the risk tolerance and the portfolio; nonzero ends the walk. */
typedef int (*kg_qp_corner)(void *context, double t, const double *x);

/* Follow minimise 1/2 x'Qx + (c - t mu)'x from t = 0, upwards; out: the solution at t = 0. prox_share: of the solver's
   proximal weights, which blur corners only where Q is singular: small, until the status is KG_QP_NUMERICAL. */
int kg_qp_frontier(const kg_qp *p, const double *mu, double prox_share, kg_qp_result *out, kg_qp_corner corner,
                   void *context);

#endif
