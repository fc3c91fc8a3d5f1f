/* The working problem: a few names, densely held, whose optimal state the pivoting and the path look for.
 *
 * Regularised by two proximal terms, the problem's optimality conditions always have exactly one solution:
 *     minimise f(x) + sum prox_i / 2 (x_i - centre_i)^2, rows: B x - reg (y - y_centre) within their interval
 * (proximal method of multipliers). Factors are rows too: y = F'x is a row with reg = 1 and centre 0, always active.
 * Redundant rows, a singular Q, infeasible and unbounded problems need no special case below this line.
 */
#ifndef KETGATE_QP_CORE_H
#define KETGATE_QP_CORE_H

#include "qp.h"

typedef struct {
    const kg_linalg *la;
    kg_monitor *monitor;
    int n, r, k; /* names, all rows, the factor rows among them, which come first */
    const double *h; /* (n, n; ldh), or NULL: the Hessian is diag(own) beside the factor rows */
    ptrdiff_t ldh;
    double *own, *prox;
    const double *b; /* (r, n; ldb) */
    ptrdiff_t ldb;
    double *reg;

    int nf, na;         /* free names, active rows */
    int *free, *place;  /* place[i]: where name i stands in free, or -1 */
    int *active;        /* active rows, rising */
    double *l;          /* dense: factor of H_FF + prox, or the square roots of the diagonal */
    ptrdiff_t ldl;      /* rows and columns that l has room for */
    double *w;          /* (r; ldl): L^-1 B_F' */
    double *s;          /* (r, r) W W' + reg */
    double *ls;         /* (na, na; leading dimension r) its active part, factored */
    double *scratch;    /* (n + r) */
    int64_t factored, updated;
    int updates; /* since the last factorisation */
    int ready;   /* whether one stands, for the present prox */
    int64_t factor_ns;
} kg_kkt;

int kg_kkt_init(kg_kkt *t, const kg_linalg *la, kg_monitor *monitor, int n, int r, int k);
void kg_kkt_free(kg_kkt *t);
/* Each returns 0, KG_QP_NO_MEMORY, KG_QP_STOPPED, or KG_QP_NUMERICAL when H_FF + prox is not positive definite. */
int kg_kkt_factor(kg_kkt *t, int nf, const int *free, int na, const int *active);
int kg_kkt_add(kg_kkt *t, int name);
int kg_kkt_remove(kg_kkt *t, int name);
int kg_kkt_rows(kg_kkt *t, int na, const int *active);
/* Solve (H_FF + prox) dx + B_AF' dy = rf, B_AF dx - reg dy = rr, in place: rf (nf) by free, rr (na) by active. */
void kg_kkt_solve(kg_kkt *t, double *rf, double *rr);

typedef struct {
    kg_kkt kkt;
    double *c, *lower, *kink, *upper, *slope_below, *slope; /* kink -INFINITY where there is none */
    double *row_lower, *row_upper;                          /* (r) */
    double *x, *centre, *hx, *g; /* g = hx + c + prox (x - centre) + B'y */
    double *y, *y_centre, *bx;
    int8_t *state, *row_state;
    double *step, *row_step, *sparse, *scatter; /* scratch: (n + r), (r), (n), (n) */
    double *step_hx, *step_g, *step_bx;
    double *rhs;     /* (n + r) */
    int *index, *rows;
    double *best_x;
    int8_t *best_state, *best_row_state; /* the point and states with the fewest violations while pivoting */
    double x_floor, g_floor; /* below these a point or a gradient is nothing, whatever it is relative to */
    double x_scale, g_scale, tolerance_x, tolerance_g, tolerance_row;
    double moved; /* the largest move since hx and bx were summed afresh */
    int64_t iterations, iterations_max;
    uint64_t random;
} kg_core;

int kg_core_init(kg_core *t, const kg_linalg *la, kg_monitor *monitor, int n, int r, int k);
void kg_core_free(kg_core *t);
/* The value that a state fixes its name at. */
double kg_core_fixed(const kg_core *t, int i);
/* The piece that a free state lets its name move in, and the slope of the cost there. */
void kg_core_piece(const kg_core *t, int i, double *from, double *to, double *slope);
/* The subgradients of cost and bounds at a fixed state: -g must lie between. */
void kg_core_subgradients(const kg_core *t, int i, double *from, double *to);
/* Bx and Hx from x, afresh. */
void kg_core_sync(kg_core *t);
/* hx += H[:, names] delta, bx += B[:, names] delta. */
void kg_core_move(kg_core *t, int count, const int *names, const double *delta, double *hx, double *bx);
void kg_core_gradient(kg_core *t); /* g from hx, x and y */
void kg_core_scales(kg_core *t);   /* tolerances from the gradient's parts */

/* Make the factorisation fit the states. */
int kg_core_factor(kg_core *t);
/* The equality-constrained optimum of the present states; the states may turn out wrong. */
int kg_core_equality(kg_core *t);
/* Change many states at a time until they are optimal. 0 optimal, 1 no progress, or a KG_QP_ status. */
int kg_core_pivot(kg_core *t);
/* From a near problem that the present states solve to this one, one change of state at a time. */
int kg_core_homotopy(kg_core *t);
/* pivot, and homotopy where it does not get there. 0 or a KG_QP_ status. */
int kg_core_solve(kg_core *t);

/* Follow the optimum while c moves by dc and the rows' bounds by db, per unit, for `length` units. exact: the path
   of the problem without its proximal terms. corner may be NULL. 0 at the end, 1 ended by corner, 2 no end. */
typedef int (*kg_core_visit)(void *context, double t);
int kg_core_path(kg_core *t, const double *dc, const double *db, double length, int exact, kg_core_visit corner,
                 void *context);

#endif
