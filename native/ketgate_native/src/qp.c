/* The driver: working names, pivoting on them, prices of the rest, and proximal steps until the request's own
 * optimality conditions hold; or a certificate that they cannot. */
#include "qp.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "qp_problem.h"

enum { PROXIMAL_MAX = 60, STALLED_MAX = 12, LOST_MAX = 2 };
/* Rows violated by more than this share are not rounding of the proximal term: names are missing, or a proof. */
static const double ROWS_MISSED = 1e-7;
/* Polish to well below the tolerance; each round costs two triangular solves. */
static const double STATIONARITY_POLISHED = 1e-12, ROWS_POLISHED = 2e-14;
/* What rounding may leave on the hardest problems, however small the tolerance asked for. */
static const double TOLERANCE_MIN = 1e-11;

typedef struct {
    double stationarity, rows;
} residual;

/* What the proximal terms still contribute. */
static residual proximal_residual(const kg_core *t) {
    residual out = {0.0, 0.0};
    double scale = t->g_scale, row_scale = t->x_floor;
    for (int i = 0; i < t->kkt.n; i++) {
        out.stationarity = fmax(out.stationarity, t->kkt.prox[i] * fabs(t->x[i] - t->centre[i]));
        row_scale = fmax(row_scale, fabs(t->x[i]));
    }
    for (int j = t->kkt.k; j < t->kkt.r; j++) {
        row_scale = fmax(row_scale, fabs(t->bx[j]));
        out.rows = fmax(out.rows, fmax(t->row_lower[j] - t->bx[j], t->bx[j] - t->row_upper[j]));
        if (t->row_state[j] != KG_ROW_BETWEEN)
            out.rows = fmax(out.rows, t->kkt.reg[j] * fabs(t->y[j] - t->y_centre[j]));
    }
    out.stationarity = scale > 0.0 ? out.stationarity / scale : 0.0;
    out.rows = row_scale > 0.0 ? out.rows / row_scale : out.rows > 0.0 ? 1.0 : 0.0;
    return out;
}

static int certified(kg_problem *t, const kg_core *core, kg_qp_result *out, double *scratch) {
    for (int j = 0; j < t->r; j++) scratch[j] = core->y[j] - core->y_centre[j];
    if (kg_problem_farkas(t, scratch, out)) return KG_QP_INFEASIBLE;
    memset(scratch, 0, t->p->n * sizeof(double));
    for (int i = 0; i < t->count; i++) scratch[t->list[i]] = core->x[i] - core->centre[i];
    return kg_problem_ray(t, scratch, out) ? KG_QP_UNBOUNDED : 0;
}

static void recentre(kg_core *t) {
    memcpy(t->centre, t->x, t->kkt.n * sizeof(double));
    for (int j = t->kkt.k; j < t->kkt.r; j++) t->y_centre[j] = t->y[j];
    kg_core_sync(t); /* so that each step is also a refinement of the last */
}

/* After rounding has lost the way, which takes multipliers many orders above the problem's: milder weights make them
   smaller, for more proximal steps. */
static void strengthen(kg_core *t) {
    for (int i = 0; i < t->kkt.n; i++) t->kkt.prox[i] *= 1e2;
    for (int j = t->kkt.k; j < t->kkt.r; j++) t->kkt.reg[j] *= 1e2;
    memcpy(t->x, t->centre, t->kkt.n * sizeof(double));
    memcpy(t->y, t->y_centre, t->kkt.r * sizeof(double));
    t->kkt.ready = 0;
    kg_core_sync(t);
}

/* A linear term far smaller than the curvature moves slowly along directions without any: lengthen the steps. */
static void weaken(kg_core *t) {
    for (int i = 0; i < t->kkt.n; i++) t->kkt.prox[i] *= 1e-2;
    t->kkt.ready = 0;
}

/* Proximal steps on one working set. 0 when its conditions hold, -2 when names must be priced first. */
static int settle_core(kg_problem *t, kg_core *core, kg_qp_result *out, double *scratch) {
    double best = INFINITY, polished = fmin(STATIONARITY_POLISHED, 0.1 * t->p->tolerance);
    int worse = 0, lost = 0;
    for (int step = 0; step < PROXIMAL_MAX; step++) {
        int status = kg_core_solve(core);
        if (status == KG_QP_NUMERICAL && lost++ < LOST_MAX) {
            strengthen(core);
            continue;
        }
        if (status) return status;
        residual now = proximal_residual(core);
        if (step == 0 && t->count < t->p->n && (now.rows > ROWS_MISSED || now.stationarity > 1e-6)) return -2;
        if (now.stationarity <= polished && now.rows <= ROWS_POLISHED) return 0;
        double combined = fmax(now.stationarity, now.rows);
        if (now.rows > ROWS_MISSED || now.stationarity > 1e-6) {
            status = certified(t, core, out, scratch);
            if (status) return status;
        }
        worse = combined < 0.5 * best ? 0 : worse + 1;
        best = fmin(best, combined);
        if (worse >= 2 && now.stationarity <= 0.1 * t->p->tolerance && now.rows <= 1e-12) return 0;
        if (worse > STALLED_MAX) return 0; /* measured afterwards; a certificate would have come by now */
        if (worse > 0 && worse % 4 == 0) weaken(core);
        recentre(core);
    }
    return 0;
}

static int run(kg_problem *t, kg_qp_result *out, double *scratch) {
    int64_t spent = 0;
    int guessing = t->p->q == NULL && t->p->n > 1; /* in factor form, pivoting on all names is cheap, paths are not */
    for (;;) {
        kg_core core;
        double *gathered = NULL;
        int status = kg_problem_load(t, &core, &gathered);
        core.iterations = spent;
        if (!status && guessing) {
            guessing = 0;
            status = kg_core_pivot(&core);
            if (status == 1) { /* no further: the names that look free, then by price */
                kg_problem_store(t, &core);
                status = kg_problem_narrow(t);
                spent = core.iterations;
                out->factor_s += core.kkt.factor_ns * 1e-9;
                kg_core_free(&core);
                free(gathered);
                if (status) return status;
                continue;
            }
        }
        if (!status) {
            status = settle_core(t, &core, out, scratch);
            kg_problem_store(t, &core);
        }
        spent = core.iterations;
        out->iterations = spent;
        out->factor_s += core.kkt.factor_ns * 1e-9;
        double tolerance = fmax(core.tolerance_g, 0.0);
        kg_core_free(&core);
        free(gathered);
        if (status > 0 && status != KG_QP_UNBOUNDED) return status;
        if (status == KG_QP_NO_MEMORY) return status;
        int missing = status == -2;
        int added = kg_problem_price(t, tolerance);
        if (added < 0) return KG_QP_NO_MEMORY;
        if (status == KG_QP_UNBOUNDED) return status;
        if (added == 0 && !missing) return 0;
        if (added == 0) { /* nobody can mend it by price alone: the whole problem decides */
            for (int i = 0; i < t->p->n; i++) t->working[i] = 1;
            t->count = t->p->n;
            memcpy(t->base, t->p->c, t->p->n * sizeof(double));
        }
    }
}

int kg_qp_solve(const kg_qp *p, kg_qp_result *out) {
    int64_t start = kg_now_ns();
    kg_problem t;
    int status = kg_problem_init(&t, p);
    double *scratch = calloc((size_t)p->n + p->m + p->k + 1, sizeof(double));
    out->factor_s = out->price_s = 0.0;
    out->iterations = 0;
    if (!status && scratch == NULL) status = KG_QP_NO_MEMORY;
    if (!status) {
        kg_problem_start(&t, out);
        status = kg_problem_choose(&t, out->warm);
    }
    if (!status) {
        status = run(&t, out, scratch);
        if (status >= 0) kg_problem_measure(&t, out);
        if (status == KG_QP_OPTIMAL && !(out->kkt_residual <= fmax(p->tolerance, TOLERANCE_MIN))) status = KG_QP_NUMERICAL;
    }
    out->price_s = t.price_ns * 1e-9;
    free(scratch);
    kg_problem_free(&t);
    out->total_s = (kg_now_ns() - start) * 1e-9;
    return status;
}
