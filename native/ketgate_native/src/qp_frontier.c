/* The efficient frontier: the least-variance portfolio, then the critical line upwards in risk tolerance. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "qp_problem.h"

typedef struct {
    const kg_problem *problem;
    const kg_core *core;
    kg_qp_corner corner;
    void *context;
    double *x;
} walk;

static int visit(void *context, double t) {
    walk *w = context;
    const kg_qp *p = w->problem->p;
    for (int i = 0; i < p->n; i++) w->x[i] = fmin(fmax(w->core->x[i], p->lower[i]), p->upper[i]);
    return w->corner(w->context, t, w->x);
}

static int follow(kg_problem *t, const double *mu, double prox_share, kg_qp_result *out, kg_qp_corner corner,
                  void *context) {
    const kg_qp *p = t->p;
    for (int i = 0; i < p->n; i++) t->prox[i] *= prox_share;
    t->reg *= prox_share;
    out->warm = 3;
    kg_problem_start(t, out);
    t->count = p->n;
    memcpy(t->base, p->c, p->n * sizeof(double));
    kg_core core;
    double *gathered = NULL, *descent = malloc((size_t)(2 * p->n + 1) * sizeof(double));
    walk w = {t, &core, corner, context, descent + p->n};
    int status = kg_problem_load(t, &core, &gathered);
    if (descent == NULL) status = KG_QP_NO_MEMORY;
    if (!status) status = kg_core_equality(&core); /* gradients and multipliers at the start */
    if (!status && visit(&w, 0.0)) status = KG_QP_STOPPED;
    if (!status) {
        for (int i = 0; i < p->n; i++) descent[i] = -mu[i];
        status = kg_core_path(&core, descent, NULL, INFINITY, 1, visit, &w);
        if (status == 1) status = KG_QP_STOPPED;
        else if (status == 2) status = KG_QP_UNBOUNDED;
    }
    out->iterations += core.iterations;
    kg_core_free(&core);
    free(gathered);
    free(descent);
    return status;
}

int kg_qp_frontier(const kg_qp *p, const double *mu, double prox_share, kg_qp_result *out, kg_qp_corner corner,
                   void *context) {
    int status = kg_qp_solve(p, out);
    if (status) return status;
    int64_t start = kg_now_ns();
    kg_problem t;
    status = kg_problem_init(&t, p);
    if (!status) status = follow(&t, mu, prox_share, out, corner, context);
    kg_problem_free(&t);
    out->total_s += (kg_now_ns() - start) * 1e-9;
    return status;
}
