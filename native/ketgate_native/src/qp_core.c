/* The working problem: storage, gradients, and the optimum of one fixed set of states. */
#include "qp_core.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A move this much larger than the point it led to has left rounding in the sums; they are formed again. */
static const double MOVE_RATIO_MAX = 1e2;
/* What counts as nothing, of the largest term: a few hundred roundings. */
/* An equality solve is refined until its residual is this small; the factor form needs it where D is nearly zero. */
static const double RESIDUAL_RELATIVE = 1e-14;
enum { REFINEMENTS_MAX = 3 };
static const double RELATIVE_X = 1e-13, RELATIVE_G = 1e-11, RELATIVE_ROW = 4e-13;

static int reals(double **into, size_t count) {
    *into = calloc(count ? count : 1, sizeof(double));
    return *into == NULL;
}

int kg_core_init(kg_core *t, const kg_linalg *la, kg_monitor *monitor, int n, int r, int k) {
    memset(t, 0, sizeof *t);
    if (kg_kkt_init(&t->kkt, la, monitor, n, r, k)) return KG_QP_NO_MEMORY;
    double **by_name[] = {&t->c, &t->lower, &t->kink, &t->upper, &t->slope_below, &t->slope, &t->x, &t->centre,
                          &t->hx, &t->g, &t->sparse, &t->scatter, &t->best_x, &t->step_hx, &t->step_g};
    double **by_row[] = {&t->row_lower, &t->row_upper, &t->y, &t->y_centre, &t->bx, &t->row_step, &t->step_bx};
    for (size_t i = 0; i < sizeof by_name / sizeof *by_name; i++)
        if (reals(by_name[i], n)) return KG_QP_NO_MEMORY;
    for (size_t i = 0; i < sizeof by_row / sizeof *by_row; i++)
        if (reals(by_row[i], r)) return KG_QP_NO_MEMORY;
    if (reals(&t->step, (size_t)n + r) || reals(&t->rhs, (size_t)n + r)) return KG_QP_NO_MEMORY;
    t->state = calloc(n + 1, 1);
    t->row_state = calloc(r + 1, 1);
    t->best_state = calloc(n + 1, 1);
    t->best_row_state = calloc(r + 1, 1);
    t->index = calloc(n + 1, sizeof(int));
    t->rows = calloc(r + 1, sizeof(int));
    if (!t->state || !t->row_state || !t->best_state || !t->best_row_state || !t->index || !t->rows)
        return KG_QP_NO_MEMORY;
    t->random = 0x9e3779b97f4a7c15u;
    return 0;
}

void kg_core_free(kg_core *t) {
    kg_kkt_free(&t->kkt);
    void *all[] = {t->c, t->lower, t->kink, t->upper, t->slope_below, t->slope, t->x, t->centre, t->hx, t->g,
                   t->sparse, t->scatter, t->best_x, t->step_hx, t->step_g, t->row_lower, t->row_upper, t->y, t->y_centre, t->bx,
                   t->row_step, t->step_bx, t->step, t->rhs, t->state, t->row_state, t->best_state,
                   t->best_row_state, t->index, t->rows};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

double kg_core_fixed(const kg_core *t, int i) {
    if (t->state[i] == KG_AT_LOWER) return t->lower[i];
    return t->state[i] == KG_AT_UPPER ? t->upper[i] : t->kink[i];
}

void kg_core_piece(const kg_core *t, int i, double *from, double *to, double *slope) {
    int kinked = t->kink[i] > -INFINITY;
    int below = t->state[i] == KG_FREE_BELOW;
    *from = below || !kinked ? t->lower[i] : t->kink[i];
    *to = below ? t->kink[i] : t->upper[i];
    *slope = below ? t->slope_below[i] : t->slope[i];
}

void kg_core_subgradients(const kg_core *t, int i, double *from, double *to) {
    int kinked = t->kink[i] > -INFINITY;
    *from = -INFINITY;
    *to = INFINITY;
    if (t->lower[i] == t->upper[i]) return;
    if (t->state[i] == KG_AT_LOWER) *to = kinked ? t->slope_below[i] : t->slope[i];
    else if (t->state[i] == KG_AT_UPPER) *from = t->slope[i];
    else {
        *from = t->slope_below[i];
        *to = t->slope[i];
    }
}

void kg_core_move(kg_core *t, int count, const int *names, const double *delta, double *hx, double *bx) {
    const kg_kkt *k = &t->kkt;
    if (hx == t->hx)
        t->moved = fmax(t->moved, k->la->largest(count, delta));
    if (k->h) k->la->add_rows(k->n, count, delta, names, k->h, k->ldh, hx);
    else
        for (int i = 0; i < count; i++) hx[names[i]] += k->own[names[i]] * delta[i];
    if (k->r > 1 && count > k->n / 4) { /* scattered once, so that each row is one contiguous dot product */
        memset(t->scatter, 0, k->n * sizeof(double));
        for (int i = 0; i < count; i++) t->scatter[names[i]] = delta[i];
        for (int j = 0; j < k->r; j++) bx[j] += k->la->dot(k->n, k->b + j * k->ldb, t->scatter);
        return;
    }
    for (int j = 0; j < k->r; j++) {
        const double *row = k->b + j * k->ldb;
        double sum = 0.0;
        for (int i = 0; i < count; i++) sum += row[names[i]] * delta[i];
        bx[j] += sum;
    }
}

void kg_core_sync(kg_core *t) {
    int count = 0;
    for (int i = 0; i < t->kkt.n; i++)
        if (t->x[i] != 0.0) {
            t->index[count] = i;
            t->sparse[count++] = t->x[i];
        }
    memset(t->hx, 0, t->kkt.n * sizeof(double));
    memset(t->bx, 0, t->kkt.r * sizeof(double));
    kg_core_move(t, count, t->index, t->sparse, t->hx, t->bx);
    t->moved = 0.0;
}

static void sync_after_far_moves(kg_core *t) {
    double largest = fmax(t->x_floor, t->kkt.la->largest(t->kkt.n, t->x));
    if (t->moved > MOVE_RATIO_MAX * largest) kg_core_sync(t);
}

void kg_core_gradient(kg_core *t) {
    const kg_kkt *k = &t->kkt;
    for (int i = 0; i < k->n; i++) t->g[i] = t->hx[i] + k->prox[i] * (t->x[i] - t->centre[i]);
    int used = 0;
    for (int j = 0; j < k->r; j++)
        if (t->y[j] != 0.0) {
            t->rows[used] = j;
            t->row_step[used++] = t->y[j];
        }
    k->la->add_rows(k->n, used, t->row_step, t->rows, k->b, k->ldb, t->g);
    double largest = fmax(k->la->largest(k->n, t->hx), fmax(k->la->largest(k->n, t->c), k->la->largest(k->n, t->g)));
    t->g_scale = fmax(largest, t->g_floor);
    t->tolerance_g = RELATIVE_G * t->g_scale;
    for (int i = 0; i < k->n; i++) t->g[i] += t->c[i];
}

void kg_core_scales(kg_core *t) {
    double largest = t->kkt.la->largest(t->kkt.n, t->x), bound = 0.0;
    for (int j = t->kkt.k; j < t->kkt.r; j++) {
        bound = fmax(bound, fabs(t->bx[j]));
        if (t->row_state[j] != KG_ROW_BETWEEN)
            bound = fmax(bound, fabs(t->row_state[j] == KG_ROW_LOWER ? t->row_lower[j] : t->row_upper[j]));
    }
    t->x_scale = largest;
    t->tolerance_x = RELATIVE_X * fmax(largest, t->x_floor);
    t->tolerance_row = RELATIVE_ROW * fmax(fmax(largest, bound), t->x_floor);
}

/* Names that became free or fixed one by one while they are few; a fresh factorisation otherwise. */
int kg_core_factor(kg_core *t) {
    kg_kkt *k = &t->kkt;
    int nf = 0, na = 0, changes = 0;
    for (int i = 0; i < k->n; i++) {
        int free_now = t->state[i] == KG_FREE || t->state[i] == KG_FREE_BELOW;
        if (free_now) t->index[nf++] = i;
        changes += free_now != (k->place[i] >= 0);
    }
    for (int j = 0; j < k->r; j++)
        if (t->row_state[j] != KG_ROW_BETWEEN) t->rows[na++] = j;
    int same_rows = na == k->na && memcmp(t->rows, k->active, na * sizeof(int)) == 0;
    if (k->ready && changes == 0 && same_rows) return 0;
    if (!k->ready || changes > nf / (k->h ? 48 : 8)) return kg_kkt_factor(k, nf, t->index, na, t->rows);
    int status = 0;
    for (int i = 0; i < k->n && !status; i++) {
        int free_now = t->state[i] == KG_FREE || t->state[i] == KG_FREE_BELOW;
        if (free_now && k->place[i] < 0) status = kg_kkt_add(k, i);
        else if (!free_now && k->place[i] >= 0) status = kg_kkt_remove(k, i);
    }
    if (!status && !same_rows) status = kg_kkt_rows(k, na, t->rows);
    if (status == KG_QP_NUMERICAL) { /* an update that fails may only have drifted: try afresh before giving up */
        for (int i = 0, at = 0; i < k->n; i++)
            if (t->state[i] == KG_FREE || t->state[i] == KG_FREE_BELOW) t->index[at++] = i;
        status = kg_kkt_factor(k, nf, t->index, na, t->rows);
    }
    return status;
}

/* Right-hand sides that lead to the optimum of the present states; the largest, relative to its terms. */
static double residuals(kg_core *t) {
    kg_kkt *k = &t->kkt;
    double *rf = t->step, *rr = t->row_step, from, to, slope, worst = 0.0, worst_row = 0.0;
    for (int i = 0; i < k->nf; i++) {
        kg_core_piece(t, k->free[i], &from, &to, &slope);
        rf[i] = -(t->g[k->free[i]] + slope);
        worst = fmax(worst, fabs(rf[i]));
    }
    for (int i = 0; i < k->na; i++) {
        int j = k->active[i];
        double target = t->row_state[j] == KG_ROW_LOWER ? t->row_lower[j] : t->row_upper[j];
        rr[i] = target - t->bx[j] + k->reg[j] * (t->y[j] - t->y_centre[j]);
        worst_row = fmax(worst_row, fabs(rr[i]));
    }
    double row_scale = t->tolerance_row / RELATIVE_ROW;
    return fmax(t->g_scale > 0.0 ? worst / t->g_scale : worst, row_scale > 0.0 ? worst_row / row_scale : worst_row);
}

int kg_core_equality(kg_core *t) {
    kg_kkt *k = &t->kkt;
    int status = kg_core_factor(t);
    if (status) return status;
    int count = 0;
    for (int i = 0; i < k->n; i++) {
        if (k->place[i] < 0) {
            double delta = kg_core_fixed(t, i) - t->x[i];
            if (delta != 0.0) {
                t->x[i] += delta;
                t->x[i] = kg_core_fixed(t, i);
                t->index[count] = i;
                t->sparse[count++] = delta;
            }
        }
    }
    kg_core_move(t, count, t->index, t->sparse, t->hx, t->bx);
    sync_after_far_moves(t);
    for (int j = 0; j < k->r; j++)
        if (t->row_state[j] == KG_ROW_BETWEEN) t->y[j] = 0.0;
    kg_core_gradient(t);
    double before = INFINITY;
    for (int round = 0; round <= REFINEMENTS_MAX; round++) {
        double worst = residuals(t);
        if (round && (worst <= RESIDUAL_RELATIVE || worst > 0.5 * before)) break;
        before = worst;
        kg_kkt_solve(k, t->step, t->row_step);
        for (int i = 0; i < k->nf; i++) t->x[k->free[i]] += t->step[i];
        for (int i = 0; i < k->na; i++) t->y[k->active[i]] += t->row_step[i];
        kg_core_move(t, k->nf, k->free, t->step, t->hx, t->bx);
        sync_after_far_moves(t);
        kg_core_gradient(t);
        kg_core_scales(t);
    }
    double sum = 0.0; /* unlike a maximum, it shows a NaN */
    for (int i = 0; i < k->n; i++) sum += t->x[i] + t->g[i];
    return isfinite(sum) ? 0 : KG_QP_NUMERICAL;
}
