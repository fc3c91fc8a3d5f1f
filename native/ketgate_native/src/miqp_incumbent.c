/* What is offered is checked and valued again in the caller's own numbers, then kept in a pool. */
#include <math.h>
#include <string.h>

#include "miqp_search.h"

static const double FEASIBILITY = 1e-9; /* of rows and turnover, relative to 1 + |limit| scaled by the row */

static const double ROUNDING = 1e-13;   /* of a bound, in scaled units: the best gap there is */

static const double TELL = 1e-9;        /* relative: what gains less is kept, and not told */

static double value(const mq_request *q, const double *x, double *size) {
    double curvature = 0, linear = 0, cost = 0, parts = 0;
    for (int i = 0; i < q->n; i++) {
        double move = x[i] - q->book[i], fee = move > 0 ? q->buy[i] * move : -q->sell[i] * move;
        cost += fee;
        parts += fee;
        if (x[i] == 0) continue;
        double sum = 0;
        for (int j = 0; j < q->n; j++) sum += q->Q[(size_t)i * q->n + j] * x[j];
        curvature += x[i] * sum;
        linear += q->c[i] * x[i];
        parts += fabs(q->c[i] * x[i]);
    }
    *size = parts + 0.5 * fabs(curvature);
    return 0.5 * curvature + linear + cost;
}

/* Onto bounds, minimum positions and lots when rounding alone keeps x off them. */
static double snap(const mq_request *q, int i, double x, double unit) {
    double close = 1e-10 * unit, least = q->position_min[i];
    if (q->lot[i] > 0) {
        double lots = nearbyint(x / q->lot[i]);
        if (fabs(x - lots * q->lot[i]) < 1e-7 * q->lot[i] + close) x = lots * q->lot[i];
        return x == 0 ? 0.0 : x;
    }
    if (fabs(x) < close && fabs(x) < 0.5 * least) x = 0;
    if (x != 0 && fabs(x) < least && fabs(x) > least - close) x = copysign(least, x);
    if (x < q->lower[i] && x > q->lower[i] - close) x = q->lower[i];
    if (x > q->upper[i] && x < q->upper[i] + close) x = q->upper[i];
    return x == 0 ? 0.0 : x;
}

static int feasible(const mq_request *q, const double *x) {
    int names = 0;
    double trade = 0;
    for (int i = 0; i < q->n; i++) {
        double slack = q->lot[i] > 0 ? 1e-12 * fabs(x[i]) : 0; /* 3 lots of 0.2 are more than 0.6 in doubles */
        if (!(x[i] >= q->lower[i] - slack && x[i] <= q->upper[i] + slack)) return 0;
        trade += fabs(x[i] - q->book[i]);
        if (x[i] == 0) continue;
        names++;
        if (fabs(x[i]) < q->position_min[i] - slack) return 0;
        if (q->lot[i] > 0 && nearbyint(x[i] / q->lot[i]) * q->lot[i] != x[i]) return 0;
    }
    if (names < q->names_min || names > q->names_max) return 0;
    if (trade > q->turnover + FEASIBILITY * q->turnover) return 0;
    for (int k = 0; k < q->m; k++) {
        double sum = 0, size = 0;
        for (int i = 0; i < q->n; i++) {
            double term = q->A[(size_t)k * q->n + i] * x[i];
            sum += term;
            size += fabs(term);
        }
        double low = q->row_lower[k], up = q->row_upper[k];
        if (sum < low - FEASIBILITY * fmax(fabs(low), size) || sum > up + FEASIBILITY * fmax(fabs(up), size)) return 0;
    }
    return 1;
}

static void keep(mq_search *s, const double *x, double objective) {
    mq_answer *a = s->answer;
    size_t n = (size_t)s->request->n;
    int at = a->found, pool = s->options->pool_max;
    while (at > 0 && a->pool_objective[at - 1] > objective) at--;
    for (int k = 0; k < a->found; k++)
        if (memcmp(a->pool_x + (size_t)k * n, x, n * sizeof(double)) == 0) return;
    if (at >= pool) return;
    int last = a->found < pool ? a->found++ : pool - 1;
    memmove(a->pool_x + (size_t)(at + 1) * n, a->pool_x + (size_t)at * n, (size_t)(last - at) * n * sizeof(double));
    memmove(a->pool_objective + at + 1, a->pool_objective + at, (size_t)(last - at) * sizeof(double));
    memcpy(a->pool_x + (size_t)at * n, x, n * sizeof(double));
    a->pool_objective[at] = objective;
}

/* The same point a few roundings better is no news, unless it is what the monitor waits for. */
static void tell(mq_search *s, double objective, const double *point) {
    if (!s->monitor) return;
    int wanted = objective <= s->monitor->target;
    if (!wanted && !(objective < s->told - TELL * fabs(objective))) return;
    s->told = objective;
    kg_offer(s->monitor, objective, point, s->nodes);
}

int mq_offer_point(mq_search *s, const double *point) {
    const mq_request *q = s->request;
    if (!feasible(q, point)) return 0;
    double size, objective = value(q, point, &size);
    if (!isfinite(objective)) return 0;
    keep(s, point, objective);
    double scaled = objective * s->scale.objective;
    if (scaled < s->best) {
        s->best = scaled;
        s->best_size = size * s->scale.objective;
        memcpy(s->best_point, point, (size_t)q->n * sizeof(double));
        tell(s, objective, point);
    }
    return 1;
}

int mq_offer(mq_search *s, const double *x) {
    const mq_request *q = s->request;
    memset(s->point, 0, (size_t)q->n * sizeof(double));
    for (int k = 0; k < s->p.n; k++) {
        int i = s->p.origin[k];
        s->point[i] = snap(q, i, x[k] * s->scale.x, s->scale.x);
    }
    return mq_offer_point(s, s->point);
}

double mq_gap(const mq_search *s) {
    return s->options->gap_absolute * s->scale.objective + s->options->gap_relative * s->best_size + ROUNDING;
}

double mq_cutoff(const mq_search *s) { return s->best - mq_gap(s) - s->p.constant; }

int mq_stopped(mq_search *s) { return s->monitor && kg_should_stop(s->monitor); }
