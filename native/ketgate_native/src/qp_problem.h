/* What the solver derives from a request once: row scales, proximal weights, the point, and the parked gradient. */
#ifndef KETGATE_QP_PROBLEM_H
#define KETGATE_QP_PROBLEM_H

#include "qp_core.h"

typedef struct {
    const kg_qp *p;
    int r;              /* rows with the factor rows, which come first */
    double *rows;       /* (r, n) factor rows, then A's rows over row_scale */
    double *row_scale;  /* (m) */
    double *curvature;  /* (n) diagonal of Q */
    double *prox, reg;  /* (n), and one for every row of A */
    double x_floor, g_floor; /* what is nothing beside the bounds, and beside the curvature there */
    double *slope_below, *slope; /* (n) of the cost below and above the kink */
    double *kink;       /* (n) -INFINITY: none */
    double *x, *y, *centre, *y_centre; /* y by r, of the scaled rows */
    int8_t *state, *row_state;         /* (n), (r) */
    double *base;       /* (n) c, and in dense form + Q x over the parked names */
    double *gradient;   /* (n) */
    int *list, count;   /* the working names */
    int8_t *working;    /* (n) */
    int64_t price_ns;
} kg_problem;

int kg_problem_init(kg_problem *t, const kg_qp *p);
void kg_problem_free(kg_problem *t);
/* States and point to start from: the caller's when warm. */
void kg_problem_start(kg_problem *t, const kg_qp_result *warm);
/* Choose the first working names. */
int kg_problem_choose(kg_problem *t, int warm);
/* Work on the free names only, in factor form: after block pivoting on all names got near the optimum. */
int kg_problem_narrow(kg_problem *t);
/* Build the working problem, and write its solution back. */
int kg_problem_load(kg_problem *t, kg_core *core, double **gathered);
void kg_problem_store(kg_problem *t, const kg_core *core);
/* Add the parked names whose multipliers are wrong; how many. */
int kg_problem_price(kg_problem *t, double tolerance);

/* sum over j of x_j Q[:, j] added into `into`. */
void kg_problem_multiply(const kg_problem *t, const double *x, double *into);
/* Largest relative violation of the request's own optimality conditions; fills out's duals and objective. */
void kg_problem_measure(kg_problem *t, kg_qp_result *out);
/* 1 when direction dy (r, scaled rows) proves that no point satisfies rows and bounds; fills out's certificate. */
int kg_problem_farkas(kg_problem *t, const double *dy, kg_qp_result *out);
/* 1 when d (n) is a direction of unlimited descent; fills out's ray. */
int kg_problem_ray(kg_problem *t, double *d, kg_qp_result *out);

#endif
