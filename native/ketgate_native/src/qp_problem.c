/* The request as the solver sees it: scales, starting states, working names and their gradients. */
#include "qp_problem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Proximal weights, relative to a name's own curvature, and to the curvature that would hold the linear term within
   the bounds: along directions without curvature the first step goes 1 / PROX_LINEAR times as far as the bounds.
   Far above rounding, also their product; what they leave is gone after a few proximal steps. */
static const double PROX_RELATIVE = 1e-8, PROX_LINEAR = 1e-6, ROW_RELATIVE = 1e-6, CURVATURE_FLOOR = 1e-4;
/* Up to this many names the whole problem is the working problem; else a first choice, then by price. */
static const double X_FLOOR_RELATIVE = 1e-4, G_FLOOR_RELATIVE = 1e-3;
enum { WHOLE_MAX = 160, NARROW_MAX = 400, FIRST_NAMES = 64 };

static double finite_or(double v, double otherwise) { return isfinite(v) ? v : otherwise; }

static void scales(kg_problem *t) {
    const kg_qp *p = t->p;
    double curvature = 0.0, linear = 0.0, reach = 0.0;
    for (int i = 0; i < p->n; i++) {
        double own = p->q ? p->q[(size_t)i * p->n + i] : p->own[i];
        for (int f = 0; f < p->k; f++) own += p->factor[(size_t)f * p->n + i] * p->factor[(size_t)f * p->n + i];
        t->curvature[i] = own;
        curvature = fmax(curvature, own);
        linear = fmax(linear, fabs(p->c[i]) + fmax(fabs(t->slope_below[i]), fabs(t->slope[i])));
        reach = fmax(reach, fmax(fabs(finite_or(p->lower[i], 0.0)), fabs(finite_or(p->upper[i], 0.0))));
    }
    for (int j = 0; j < p->m; j++) {
        double scale = 0.0;
        for (int i = 0; i < p->n; i++) scale = fmax(scale, fabs(p->a[(size_t)j * p->n + i]));
        t->row_scale[j] = scale > 0.0 ? scale : 1.0;
        double bound = fmax(fabs(finite_or(p->row_lower[j], 0.0)), fabs(finite_or(p->row_upper[j], 0.0)));
        if (reach == 0.0) reach = bound / t->row_scale[j]; /* no finite bounds: the rows say how far */
    }
    if (reach == 0.0) reach = 1.0;
    t->x_floor = X_FLOOR_RELATIVE * reach;
    t->g_floor = G_FLOOR_RELATIVE * reach * curvature;
    double strength = fmax(linear / reach, CURVATURE_FLOOR * curvature), scale = fmax(curvature, strength);
    if (!(scale > 1e-200)) { /* nothing to minimise: any unit does */
        strength = scale = 1.0;
        t->g_floor = reach;
    }
    for (int i = 0; i < p->n; i++) t->prox[i] = fmax(PROX_RELATIVE * t->curvature[i], PROX_LINEAR * strength);
    t->reg = ROW_RELATIVE / scale;
}

int kg_problem_init(kg_problem *t, const kg_qp *p) {
    memset(t, 0, sizeof *t);
    t->p = p;
    t->r = p->m + p->k;
    size_t n = p->n + 1, r = t->r + 1;
    t->rows = malloc(n * r * sizeof(double));
    double **by_name[] = {&t->curvature, &t->prox, &t->slope_below, &t->slope, &t->kink,
                          &t->x, &t->centre, &t->base, &t->gradient};
    double **by_row[] = {&t->row_scale, &t->y, &t->y_centre};
    int failed = t->rows == NULL;
    for (size_t i = 0; i < sizeof by_name / sizeof *by_name; i++) failed |= !(*by_name[i] = calloc(n, sizeof(double)));
    for (size_t i = 0; i < sizeof by_row / sizeof *by_row; i++) failed |= !(*by_row[i] = calloc(r, sizeof(double)));
    t->state = calloc(n, 1);
    t->row_state = calloc(r, 1);
    t->working = calloc(n, 1);
    t->list = calloc(n, sizeof(int));
    if (failed || !t->state || !t->row_state || !t->working || !t->list) return KG_QP_NO_MEMORY;
    for (int i = 0; i < p->n; i++) {
        t->kink[i] = -INFINITY;
        if (p->kink == NULL) continue;
        if (p->kink[i] > p->lower[i] && p->kink[i] < p->upper[i] && p->buy[i] + p->sell[i] > 0.0) {
            t->kink[i] = p->kink[i];
            t->slope_below[i] = -p->sell[i];
            t->slope[i] = p->buy[i];
        } else { /* one slope over the whole range */
            t->slope_below[i] = t->slope[i] = p->kink[i] <= p->lower[i] ? p->buy[i] : -p->sell[i];
        }
    }
    scales(t);
    for (int f = 0; f < p->k; f++) memcpy(t->rows + (size_t)f * p->n, p->factor + (size_t)f * p->n, p->n * sizeof(double));
    for (int j = 0; j < p->m; j++)
        for (int i = 0; i < p->n; i++)
            t->rows[(size_t)(p->k + j) * p->n + i] = p->a[(size_t)j * p->n + i] / t->row_scale[j];
    return 0;
}

void kg_problem_free(kg_problem *t) {
    void *all[] = {t->rows, t->row_scale, t->curvature, t->prox, t->slope_below, t->slope, t->kink, t->x, t->y,
                   t->centre, t->y_centre, t->state, t->row_state, t->base, t->gradient, t->list, t->working};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static int8_t state_at(const kg_problem *t, int i, double x) {
    double lower = t->p->lower[i], upper = t->p->upper[i], kink = t->kink[i];
    if (x <= lower) return KG_AT_LOWER;
    if (x >= upper) return KG_AT_UPPER;
    if (x == kink) return KG_AT_KINK;
    return x < kink ? KG_FREE_BELOW : KG_FREE;
}

/* A name may only stand where it has a bound or a kink; states from outside are not trusted. */
static int8_t state_checked(const kg_problem *t, int i, int8_t state) {
    double lower = t->p->lower[i], upper = t->p->upper[i];
    if (lower == upper) return KG_AT_LOWER;
    int kinked = t->kink[i] > -INFINITY;
    int valid = state == KG_FREE || (state == KG_AT_LOWER && lower > -INFINITY) ||
                (state == KG_AT_UPPER && upper < INFINITY) ||
                ((state == KG_AT_KINK || state == KG_FREE_BELOW) && kinked);
    return valid ? state : KG_FREE;
}

/* Where a name rests while nobody asks for it: its kink, else its bound nearest to zero. */
static int8_t state_parked(const kg_problem *t, int i) {
    double lower = t->p->lower[i], upper = t->p->upper[i];
    if (t->kink[i] > -INFINITY) return KG_AT_KINK;
    if (lower == -INFINITY && upper == INFINITY) return KG_FREE;
    return fabs(lower) <= fabs(upper) ? KG_AT_LOWER : KG_AT_UPPER;
}

static double value_of(const kg_problem *t, int i, double otherwise) {
    if (t->state[i] == KG_AT_LOWER) return t->p->lower[i];
    if (t->state[i] == KG_AT_UPPER) return t->p->upper[i];
    return t->state[i] == KG_AT_KINK ? t->kink[i] : otherwise;
}

void kg_problem_start(kg_problem *t, const kg_qp_result *warm) {
    const kg_qp *p = t->p;
    for (int i = 0; i < p->n; i++) {
        double x = warm->warm >= 2 && isfinite(warm->x[i]) ? fmin(fmax(warm->x[i], p->lower[i]), p->upper[i]) : 0.0;
        if (warm->warm == 2) t->state[i] = state_checked(t, i, state_at(t, i, x));
        else if (warm->warm) t->state[i] = state_checked(t, i, warm->state[i]);
        else t->state[i] = state_parked(t, i);
        t->x[i] = t->centre[i] = value_of(t, i, x);
    }
    for (int j = 0; j < t->r; j++) {
        int row = j - p->k;
        double lower = row < 0 ? 0.0 : p->row_lower[row], upper = row < 0 ? 0.0 : p->row_upper[row];
        int8_t state = row >= 0 && (warm->warm == 1 || warm->warm == 3) ? warm->row_state[row] : KG_ROW_BETWEEN;
        if ((state == KG_ROW_LOWER && lower == -INFINITY) || (state == KG_ROW_UPPER && upper == INFINITY))
            state = KG_ROW_BETWEEN;
        if (state != KG_ROW_LOWER && state != KG_ROW_UPPER) state = KG_ROW_BETWEEN;
        t->row_state[j] = lower == upper ? KG_ROW_EQUAL : state;
        if (row >= 0 && warm->warm == 3 && isfinite(warm->dual_rows[row]) && t->row_state[j] != KG_ROW_BETWEEN)
            t->y[j] = t->y_centre[j] = warm->dual_rows[row] * t->row_scale[row];
    }
}

typedef struct {
    double key;
    int name;
} ranked;

static int by_key(const void *a, const void *b) {
    const ranked *left = a, *right = b;
    if (left->key != right->key) return left->key < right->key ? -1 : 1;
    return (left->name > right->name) - (left->name < right->name);
}

static void enlist(kg_problem *t, int i) {
    if (t->working[i]) return;
    t->working[i] = 1;
    t->list[t->count++] = i;
}

static void enlist_all(kg_problem *t) {
    t->count = t->p->n;
    for (int i = 0; i < t->p->n; i++) {
        t->list[i] = i;
        t->working[i] = 1;
    }
}

/* The best returns and the lowest risks, and names that cannot be parked: a first guess that pricing corrects. */
static int first_names(kg_problem *t) {
    const kg_qp *p = t->p;
    ranked *order = malloc((size_t)p->n * sizeof *order);
    if (order == NULL) return KG_QP_NO_MEMORY;
    for (int i = 0; i < p->n; i++)
        if (t->state[i] == KG_FREE || t->state[i] == KG_FREE_BELOW) enlist(t, i);
    int wanted = FIRST_NAMES + 2 * p->m;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < p->n; i++) order[i] = (ranked){pass ? t->curvature[i] : p->c[i], i};
        qsort(order, p->n, sizeof *order, by_key);
        for (int i = 0; i < p->n && i < wanted / 2; i++) enlist(t, order[i].name);
    }
    free(order);
    if (2 * t->count > p->n) enlist_all(t);
    for (int i = 0; i < t->count; i++) {
        int name = t->list[i];
        if (t->kink[name] == -INFINITY && p->lower[name] < p->upper[name]) t->state[name] = KG_FREE;
    }
    return 0;
}

int kg_problem_choose(kg_problem *t, int warm) {
    const kg_qp *p = t->p;
    if (p->n <= WHOLE_MAX || p->q == NULL) { /* in factor form the whole costs no more than its names */
        enlist_all(t);
        for (int i = 0; i < p->n && !warm; i++)
            if (t->kink[i] == -INFINITY && p->lower[i] < p->upper[i]) t->state[i] = KG_FREE;
    } else if (!warm) {
        if (first_names(t)) return KG_QP_NO_MEMORY;
    } else {
        for (int i = 0; i < p->n; i++)
            if (t->state[i] == KG_FREE || t->state[i] == KG_FREE_BELOW) enlist(t, i);
        if (2 * t->count > p->n) enlist_all(t);
    }
    memcpy(t->base, p->c, p->n * sizeof(double));
    if (t->count == p->n || p->q == NULL) return 0; /* in factor form the factors' rows carry the parked names */
    double *parked = t->gradient;
    for (int i = 0; i < p->n; i++) parked[i] = t->working[i] ? 0.0 : t->x[i];
    kg_problem_multiply(t, parked, t->base);
    return 0;
}

int kg_problem_narrow(kg_problem *t) {
    const kg_qp *p = t->p;
    if (p->n <= WHOLE_MAX) return 0;
    t->count = 0;
    for (int i = 0; i < p->n; i++) {
        t->working[i] = 0;
        if (t->state[i] == KG_FREE || t->state[i] == KG_FREE_BELOW) enlist(t, i);
        else t->x[i] = t->centre[i] = value_of(t, i, 0.0);
    }
    if (t->count > NARROW_MAX) { /* it got nowhere near: from the resting states then */
        t->count = 0;
        memset(t->working, 0, p->n);
        for (int i = 0; i < p->n; i++) {
            t->state[i] = state_parked(t, i);
            t->x[i] = t->centre[i] = value_of(t, i, t->x[i]);
        }
        return first_names(t);
    }
    return 0;
}

int kg_problem_load(kg_problem *t, kg_core *core, double **gathered) {
    const kg_qp *p = t->p;
    int nw = t->count, whole = nw == p->n;
    *gathered = NULL;
    if (whole) enlist_all(t); /* in the request's own order, so that nothing has to be gathered */
    int status = kg_core_init(core, p->la, p->monitor, nw, t->r, p->k);
    if (status) return status;
    double *h = NULL, *b = t->rows;
    if (!whole) {
        size_t square = p->q ? (size_t)nw * nw : 0;
        *gathered = h = malloc((square + (size_t)nw * (t->r + 1)) * sizeof(double));
        if (h == NULL) return KG_QP_NO_MEMORY;
        b = h + square;
        for (int i = 0; p->q && i < nw; i++) {
            const double *row = p->q + (size_t)t->list[i] * p->n;
            for (int j = 0; j < nw; j++) h[(size_t)i * nw + j] = row[t->list[j]];
        }
        for (int j = 0; j < t->r; j++)
            for (int i = 0; i < nw; i++) b[(size_t)j * nw + i] = t->rows[(size_t)j * p->n + t->list[i]];
    }
    core->kkt.h = whole || p->q == NULL ? p->q : h;
    core->kkt.ldh = core->kkt.ldb = nw;
    core->kkt.b = b;
    for (int i = 0; i < nw; i++) {
        int name = t->list[i];
        core->kkt.own[i] = p->q ? 0.0 : p->own[name];
        core->kkt.prox[i] = t->prox[name];
        core->c[i] = t->base[name];
        core->lower[i] = p->lower[name];
        core->upper[i] = p->upper[name];
        core->kink[i] = t->kink[name];
        core->slope_below[i] = t->slope_below[name];
        core->slope[i] = t->slope[name];
        core->x[i] = t->x[name];
        core->centre[i] = t->centre[name];
        core->state[i] = t->state[name];
    }
    for (int j = 0; j < t->r; j++) {
        int row = j - p->k;
        double parked = 0.0;
        if (!whole)
            for (int i = 0; i < p->n; i++)
                if (!t->working[i]) parked += t->rows[(size_t)j * p->n + i] * t->x[i];
        core->kkt.reg[j] = row < 0 ? 1.0 : t->reg;
        core->row_lower[j] = (row < 0 ? 0.0 : p->row_lower[row] / t->row_scale[row]) - parked;
        core->row_upper[j] = (row < 0 ? 0.0 : p->row_upper[row] / t->row_scale[row]) - parked;
        core->y[j] = t->y[j];
        core->y_centre[j] = t->y_centre[j];
        core->row_state[j] = t->row_state[j];
    }
    core->x_floor = t->x_floor;
    core->g_floor = t->g_floor;
    core->iterations_max = p->iterations_max;
    kg_core_sync(core);
    return 0;
}

void kg_problem_store(kg_problem *t, const kg_core *core) {
    for (int i = 0; i < t->count; i++) {
        int name = t->list[i];
        t->state[name] = core->state[i];
        t->x[name] = fmin(fmax(core->x[i], t->p->lower[name]), t->p->upper[name]);
        t->centre[name] = core->centre[i];
    }
    memcpy(t->y, core->y, t->r * sizeof(double));
    memcpy(t->y_centre, core->y_centre, t->r * sizeof(double));
    memcpy(t->row_state, core->row_state, t->r);
}

/* The parked name's wish to move, as a gradient; 0 when it is content. */
static double wish(const kg_problem *t, int i) {
    if (t->p->lower[i] == t->p->upper[i]) return 0.0;
    double value = -t->gradient[i];
    int kinked = t->kink[i] > -INFINITY;
    if (t->state[i] == KG_AT_LOWER) return fmax(value - (kinked ? t->slope_below[i] : t->slope[i]), 0.0);
    if (t->state[i] == KG_AT_UPPER) return fmax(t->slope[i] - value, 0.0);
    return fmax(fmax(value - t->slope[i], t->slope_below[i] - value), 0.0);
}

int kg_problem_price(kg_problem *t, double tolerance) {
    const kg_qp *p = t->p;
    if (t->count == p->n) return 0;
    int64_t start = kg_now_ns();
    double *active = malloc((size_t)p->n * (sizeof(double) + sizeof(ranked)));
    if (active == NULL) return -1;
    ranked *order = (ranked *)(active + p->n);
    memset(active, 0, p->n * sizeof(double));
    for (int i = 0; i < t->count; i++) active[t->list[i]] = t->x[t->list[i]];
    memcpy(t->gradient, t->base, p->n * sizeof(double));
    if (p->q) kg_problem_multiply(t, active, t->gradient);
    else
        for (int i = 0; i < p->n; i++) t->gradient[i] += p->own[i] * t->x[i];
    for (int j = 0; j < t->r; j++)
        if (t->y[j] != 0.0) p->la->axpy(p->n, t->y[j], t->rows + (size_t)j * p->n, t->gradient);
    int wishing = 0, before = t->count;
    for (int i = 0; i < p->n; i++) {
        double value = t->working[i] ? 0.0 : wish(t, i);
        if (value > tolerance) order[wishing++] = (ranked){-value / sqrt(t->curvature[i] + t->prox[i]), i};
    }
    qsort(order, wishing, sizeof *order, by_key);
    int room = t->count / 2 > 32 ? t->count / 2 : 32;
    if (wishing < room) room = wishing;
    memset(active, 0, p->n * sizeof(double));
    for (int i = 0; i < room; i++) {
        int name = order[i].name;
        active[name] = -t->x[name]; /* it leaves the parked names */
        double slope = t->state[name] == KG_AT_KINK ? t->slope[name] : -INFINITY;
        int down = t->state[name] == KG_AT_KINK && -t->gradient[name] <= slope;
        int below = t->kink[name] > -INFINITY && (t->state[name] == KG_AT_LOWER || down);
        t->state[name] = below ? KG_FREE_BELOW : KG_FREE;
        t->centre[name] = t->x[name];
        enlist(t, name);
    }
    if (p->q) kg_problem_multiply(t, active, t->base);
    free(active);
    t->price_ns += kg_now_ns() - start;
    return t->count - before;
}
