/* The critical line: the optimum is piecewise linear in the linear term and the rows' bounds, so it can be followed
 * from one change of state to the next. Regularised, it is unique at every point and the walk never turns back.
 *
 * Markowitz (1956); Niedermayer, Niedermayer (2010) for the frontier; Best (1996), Ferreau et al. (2014) for solving
 * one problem by walking to it from another.
 */
#include "qp_core.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SYNC_EVERY = 32, REFINEMENTS_MAX = 3, REFINEMENTS_EXACT_MAX = 12 };
/* A rate below this share of the largest is rounding, not movement. */
static const double RATE_RELATIVE_MIN = 1e-12;

typedef struct {
    double length;
    int name, row; /* -1: none */
    int8_t state;  /* the state it changes to */
} event;

static double largest(const kg_core *t, int n, const double *v) { return t->kkt.la->largest(n, v); }

/* B' dy added into `into`, dy by active row. */
static void add_rows(const kg_core *t, const double *dy, double *into) {
    const kg_kkt *k = &t->kkt;
    k->la->add_rows(k->n, k->na, dy, k->active, k->b, k->ldb, into);
}

/* dx in t->step, dy in t->row_step, and what follows from them in step_hx, step_bx, step_g. */
static void direction(kg_core *t, const double *dc, const double *db, int exact) {
    kg_kkt *k = &t->kkt;
    double *dx = t->step, *dy = t->row_step, *rf = t->rhs, *rr = t->rhs + k->n, before = INFINITY;
    memset(dx, 0, k->nf * sizeof(double));
    memset(dy, 0, k->na * sizeof(double));
    memset(t->step_hx, 0, k->n * sizeof(double));
    memset(t->step_bx, 0, k->r * sizeof(double));
    for (int round = 0; round <= (exact ? REFINEMENTS_EXACT_MAX : REFINEMENTS_MAX); round++) {
        memcpy(t->step_g, t->step_hx, k->n * sizeof(double));
        add_rows(t, dy, t->step_g);
        for (int i = 0; i < k->nf; i++) {
            int name = k->free[i];
            rf[i] = -(dc[name] + t->step_g[name] + (exact ? 0.0 : k->prox[name] * dx[i]));
        }
        for (int i = 0; i < k->na; i++) {
            int j = k->active[i];
            rr[i] = (db ? db[j] : 0.0) - t->step_bx[j] + (exact && j >= k->k ? 0.0 : k->reg[j] * dy[i]);
        }
        double now = fmax(largest(t, k->nf, rf), largest(t, k->na, rr));
        /* Without the proximal terms the system may be singular: then each round changes nothing, and the
           regularised direction stands. */
        if (round && (now <= 1e-14 * largest(t, k->n, t->step_g) || now > 0.5 * before)) break;
        before = now;
        kg_kkt_solve(k, rf, rr);
        for (int i = 0; i < k->nf; i++) dx[i] += rf[i];
        for (int i = 0; i < k->na; i++) dy[i] += rr[i];
        kg_core_move(t, k->nf, k->free, rf, t->step_hx, t->step_bx);
    }
    memcpy(t->step_g, t->step_hx, k->n * sizeof(double));
    if (!exact)
        for (int i = 0; i < k->nf; i++) t->step_g[k->free[i]] += k->prox[k->free[i]] * dx[i];
    add_rows(t, dy, t->step_g);
    for (int i = 0; i < k->n; i++) t->step_g[i] += dc[i];
}

/* Whether only multipliers move, as at a vertex; what x seems to do then is rounding, and is taken out. */
static int at_rest(kg_core *t, const double *dc) {
    kg_kkt *k = &t->kkt;
    double moves = 0.0;
    for (int i = 0; i < k->nf; i++) {
        int name = k->free[i];
        double curvature = k->prox[name] + (k->h ? k->h[name * k->ldh + name] : k->own[name]);
        moves = fmax(moves, curvature * fabs(t->step[i]));
    }
    if (moves > RATE_RELATIVE_MIN * largest(t, k->n, dc)) return 0;
    memset(t->step, 0, k->nf * sizeof(double));
    memset(t->step_hx, 0, k->n * sizeof(double));
    memset(t->step_bx, 0, k->r * sizeof(double));
    return 1;
}

static void consider(event *e, double room, double rate, int name, int row, int8_t state) {
    double length = room > 0.0 ? room / rate : 0.0;
    if (length < e->length) *e = (event){length, name, row, state};
}

static void names_event(const kg_core *t, double rate_min_x, double rate_min_g, event *e) {
    double from, to, slope;
    for (int i = 0; i < t->kkt.n; i++) {
        int at = t->kkt.place[i];
        if (at >= 0) {
            double rate = t->step[at];
            if (fabs(rate) <= rate_min_x) continue;
            kg_core_piece(t, i, &from, &to, &slope);
            if (rate < 0.0) consider(e, t->x[i] - from, -rate, i, -1, from == t->lower[i] ? KG_AT_LOWER : KG_AT_KINK);
            else consider(e, to - t->x[i], rate, i, -1, to == t->upper[i] ? KG_AT_UPPER : KG_AT_KINK);
        } else {
            double rate = -t->step_g[i], value = -t->g[i];
            if (fabs(rate) <= rate_min_g) continue;
            int8_t state = t->state[i];
            kg_core_subgradients(t, i, &from, &to);
            int kinked = t->kink[i] > -INFINITY;
            if (rate > 0.0 && to < INFINITY)
                consider(e, to - value, rate, i, -1, state == KG_AT_LOWER && kinked ? KG_FREE_BELOW : KG_FREE);
            else if (rate < 0.0 && from > -INFINITY)
                consider(e, value - from, -rate, i, -1, state == KG_AT_UPPER || !kinked ? KG_FREE : KG_FREE_BELOW);
        }
    }
}

static void rows_event(const kg_core *t, const double *db, int exact, double rate_min_x, event *e) {
    const kg_kkt *k = &t->kkt;
    double rate_min = RATE_RELATIVE_MIN * largest(t, k->na, t->row_step);
    for (int i = 0; i < k->na; i++) {
        int j = k->active[i];
        double rate = t->row_step[i];
        if (t->row_state[j] == KG_ROW_UPPER && rate < -rate_min) consider(e, t->y[j], -rate, -1, j, KG_ROW_BETWEEN);
        if (t->row_state[j] == KG_ROW_LOWER && rate > rate_min) consider(e, -t->y[j], rate, -1, j, KG_ROW_BETWEEN);
    }
    for (int j = k->k; j < k->r; j++) {
        if (t->row_state[j] != KG_ROW_BETWEEN) continue;
        double value = t->bx[j] + (exact ? 0.0 : k->reg[j] * t->y_centre[j]);
        double rate = t->step_bx[j] - (db ? db[j] : 0.0);
        if (rate > rate_min_x && t->row_upper[j] < INFINITY)
            consider(e, t->row_upper[j] - value, rate, -1, j, KG_ROW_UPPER);
        if (rate < -rate_min_x && t->row_lower[j] > -INFINITY)
            consider(e, value - t->row_lower[j], -rate, -1, j, KG_ROW_LOWER);
    }
}

static void advance(kg_core *t, const double *dc, const double *db, double length) {
    kg_kkt *k = &t->kkt;
    for (int i = 0; i < k->nf; i++) t->x[k->free[i]] += length * t->step[i];
    for (int i = 0; i < k->na; i++) t->y[k->active[i]] += length * t->row_step[i];
    k->la->axpy(k->n, length, t->step_hx, t->hx);
    k->la->axpy(k->n, length, t->step_g, t->g);
    k->la->axpy(k->n, length, dc, t->c);
    k->la->axpy(k->r, length, t->step_bx, t->bx);
    if (db) {
        k->la->axpy(k->r, length, db, t->row_lower);
        k->la->axpy(k->r, length, db, t->row_upper);
    }
}

/* Put the changed name exactly on its bound, and let the state take effect. */
static int change(kg_core *t, const event *e) {
    if (e->row >= 0) {
        t->row_state[e->row] = e->state;
        if (e->state == KG_ROW_BETWEEN) t->y[e->row] = 0.0;
    } else {
        t->state[e->name] = e->state;
        if (e->state != KG_FREE && e->state != KG_FREE_BELOW) {
            double delta = kg_core_fixed(t, e->name) - t->x[e->name];
            t->x[e->name] += delta;
            t->x[e->name] = kg_core_fixed(t, e->name);
            if (delta != 0.0) kg_core_move(t, 1, &e->name, &delta, t->hx, t->bx);
        }
    }
    return kg_core_factor(t);
}

static int resync(kg_core *t, int exact) {
    if (exact) {
        memcpy(t->centre, t->x, t->kkt.n * sizeof(double));
        memcpy(t->y_centre, t->y, t->kkt.r * sizeof(double));
        for (int j = 0; j < t->kkt.k; j++) t->y_centre[j] = 0.0;
    }
    kg_core_sync(t);
    return kg_core_equality(t);
}

int kg_core_path(kg_core *t, const double *dc, const double *db, double length, int exact, kg_core_visit corner,
                 void *context) {
    kg_kkt *k = &t->kkt;
    double position = 0.0;
    int idle = 0, idle_max = 4 * (k->n + k->r) + 64, status = kg_core_factor(t);
    /* A path this long is not one: rounding has lost it. */
    int64_t steps_max = 100 * ((int64_t)k->n + k->r) + 1000;
    for (int64_t steps = 1; !status; steps++) {
        if (steps > steps_max) return KG_QP_NUMERICAL;
        if (k->monitor && kg_should_stop(k->monitor)) return KG_QP_STOPPED;
        if (t->iterations++ >= t->iterations_max) return KG_QP_STOPPED;
        direction(t, dc, db, exact);
        int resting = exact && at_rest(t, dc);
        double rate_x = RATE_RELATIVE_MIN * largest(t, k->nf, t->step);
        double rate_g = fmax(fmax(largest(t, k->n, t->step_hx), largest(t, k->n, dc)), largest(t, k->na, t->row_step));
        rate_g *= RATE_RELATIVE_MIN;
        event e = {.length = length - position, .name = -1, .row = -1};
        names_event(t, rate_x, rate_g, &e);
        rows_event(t, db, exact, rate_x, &e);
        int last = e.name < 0 && e.row < 0;
        if (last && !isfinite(e.length)) /* nothing ever blocks: either at rest, or running away */
            return resting ? 0 : 2;
        advance(t, dc, db, e.length);
        position += e.length;
        if (!isfinite(position)) return KG_QP_NUMERICAL;
        if (corner && corner(context, position)) return 1;
        if (last) return 0;
        idle = e.length > 0.0 ? 0 : idle + 1;
        if (idle > idle_max) return KG_QP_NUMERICAL;
        status = change(t, &e);
        if (!status && steps % SYNC_EVERY == 0) status = resync(t, exact);
    }
    return status;
}

static double next_random(kg_core *t) { /* in (0.5, 1): xorshift; only breaks ties */
    t->random ^= t->random << 13;
    t->random ^= t->random >> 7;
    t->random ^= t->random << 17;
    return 0.5 + 0.5 * (double)(t->random >> 11) * 0x1p-53;
}

/* The shift e of c under which name i's present state is optimal, with room to spare that differs by name. */
static double name_shift(kg_core *t, int i, double margin) {
    double from, to, slope;
    if (t->kkt.place[i] >= 0) {
        kg_core_piece(t, i, &from, &to, &slope);
        return -t->g[i] - slope;
    }
    kg_core_subgradients(t, i, &from, &to);
    double room = fmin(margin * next_random(t), 0.25 * (to - from));
    if (-t->g[i] > to) return -t->g[i] - (to - room);
    if (-t->g[i] < from) return -t->g[i] - (from + room);
    return 0.0;
}

static double row_shift(kg_core *t, int j, double margin) {
    double value = t->bx[j] - t->kkt.reg[j] * (t->y[j] - t->y_centre[j]);
    if (t->row_state[j] == KG_ROW_LOWER) return value - t->row_lower[j];
    if (t->row_state[j] != KG_ROW_BETWEEN) return value - t->row_upper[j];
    double room = fmin(margin * next_random(t), 0.25 * (t->row_upper[j] - t->row_lower[j]));
    if (value > t->row_upper[j]) return value - t->row_upper[j] + room;
    if (value < t->row_lower[j]) return value - t->row_lower[j] - room;
    return 0.0;
}

/* A point that the present states allow: inside the pieces, multipliers with their signs. They start at the proximal
   centre: those of an iterate that missed its rows are larger by many orders, and would drown the path in rounding. */
static void settle(kg_core *t) {
    double from, to, slope;
    for (int i = 0; i < t->kkt.n; i++) {
        if (t->kkt.place[i] >= 0) {
            kg_core_piece(t, i, &from, &to, &slope);
            t->x[i] = fmin(fmax(t->x[i], from), to);
        } else {
            t->x[i] = kg_core_fixed(t, i);
        }
    }
    kg_core_sync(t);
    for (int j = 0; j < t->kkt.r; j++) {
        if (j < t->kkt.k) t->y[j] = t->bx[j] - t->row_lower[j];
        else if (t->row_state[j] == KG_ROW_BETWEEN) t->y[j] = 0.0;
        else if (t->row_state[j] == KG_ROW_UPPER) t->y[j] = fmax(t->y_centre[j], 0.0);
        else if (t->row_state[j] == KG_ROW_LOWER) t->y[j] = fmin(t->y_centre[j], 0.0);
        else t->y[j] = t->y_centre[j];
    }
    kg_core_gradient(t);
    kg_core_scales(t);
}

int kg_core_homotopy(kg_core *t) {
    int n = t->kkt.n, r = t->kkt.r, status = kg_core_factor(t);
    if (status) return status;
    settle(t);
    double *saved = malloc(((size_t)2 * n + 3 * (size_t)r + 1) * sizeof(double));
    if (saved == NULL) return KG_QP_NO_MEMORY;
    double *dc = saved + n, *lower = dc + n, *upper = lower + r, *db = upper + r;
    memcpy(saved, t->c, n * sizeof(double));
    memcpy(lower, t->row_lower, r * sizeof(double));
    memcpy(upper, t->row_upper, r * sizeof(double));
    double margin = fmax(largest(t, n, t->g), 1e-300), row_margin = fmax(t->x_scale, 1e-300);
    for (int i = 0; i < n; i++) {
        dc[i] = -name_shift(t, i, 1e-2 * margin);
        t->c[i] -= dc[i];
        t->g[i] -= dc[i];
    }
    for (int j = 0; j < r; j++) {
        db[j] = j < t->kkt.k ? 0.0 : -row_shift(t, j, 1e-2 * row_margin);
        t->row_lower[j] -= db[j];
        t->row_upper[j] -= db[j];
    }
    status = kg_core_path(t, dc, db, 1.0, 0, NULL, NULL);
    memcpy(t->c, saved, n * sizeof(double));
    memcpy(t->row_lower, lower, r * sizeof(double));
    memcpy(t->row_upper, upper, r * sizeof(double));
    free(saved);
    return status;
}
