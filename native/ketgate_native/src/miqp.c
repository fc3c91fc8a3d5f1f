/* One run: set up, root, tree, answer. */
#include "miqp.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "miqp_search.h"

enum { ROOT_PHASES = 4, ROOT_ROUNDS = 12, SHARPEN_MOST = 250 };

/* |x'Qx| <= (sum_i sqrt(Q_ii) |x_i|)^2 over the box, and the rest by parts. */
static double ceiling_of(const mq_problem *p) {
    double root = 0, rest = 0;
    for (int i = 0; i < p->n; i++) {
        double size = fmax(fabs(p->lower[i]), fabs(p->upper[i]));
        root += sqrt(fmax(p->q[i], 0)) * size;
        rest += fabs(p->c[i]) * size + (p->buy[i] + p->sell[i]) * (size + fabs(p->book[i]));
    }
    return 1.000001 * (0.5 * root * root + rest) + 1e-6;
}

int mq_search_memory(mq_search *s) {
    const mq_problem *p = &s->p;
    size_t bytes = p->ld * sizeof(double);
    if (mq_relax_new(&s->r, p, &s->arena) || mq_relax_new(&s->trial, p, &s->arena)) return -1;
    s->now.allowed = mq_take(&s->arena, p->ld);
    s->try.allowed = mq_take(&s->arena, p->ld);
    s->now.xl = s->now.xu = s->try.xl = s->try.xu = NULL;
    if (p->has_lots) {
        s->now.xl = mq_take(&s->arena, bytes), s->now.xu = mq_take(&s->arena, bytes);
        s->try.xl = mq_take(&s->arena, bytes), s->try.xu = mq_take(&s->arena, bytes);
        if (!s->now.xl || !s->now.xu || !s->try.xl || !s->try.xu) return -1;
        for (int i = 0; i < p->n; i++) {
            s->now.xl[i] = s->try.xl[i] = -INFINITY;
            s->now.xu[i] = s->try.xu[i] = INFINITY;
        }
    }
    s->s.delta = mq_take(&s->arena, bytes);
    s->s.slope = mq_take(&s->arena, bytes);
    s->s.order = mq_take(&s->arena, p->ld * sizeof(int));
    s->weight = mq_take(&s->arena, bytes);
    s->old_d = mq_take(&s->arena, bytes);
    s->root_d = mq_take(&s->arena, bytes);
    s->spare = mq_take(&s->arena, bytes);
    s->list = mq_take(&s->arena, p->ld * sizeof(int));
    s->work = mq_take(&s->arena, 2 * (size_t)(p->n + 1) * bytes);
    if (!s->now.allowed || !s->try.allowed || !s->s.delta || !s->s.slope || !s->s.order || !s->weight ||
        !s->old_d || !s->root_d || !s->spare || !s->list || !s->work)
        return -1;
    memcpy(s->now.allowed, p->allowed, (size_t)p->n);
    s->ceiling = ceiling_of(p);
    return 0;
}

/* Drop names that were ruled out; keeps the relaxation's point. */
static int shrink(mq_search *s) {
    mq_problem from = s->p;
    mq_arena before = s->arena;
    double *y = s->r.y, *x = s->r.x;
    unsigned char *allowed = s->now.allowed;
    s->arena.last = NULL;
    if (mq_compact(&s->p, &from, allowed, &s->arena, s->monitor) || mq_search_memory(s)) {
        mq_release(&before);
        return -1;
    }
    int k = 0;
    for (int i = 0; i < from.n; i++)
        if (allowed[i] != MQ_ZERO) s->r.x[k++] = x[i];
    memcpy(s->r.y, y, (size_t)from.m * sizeof(double));
    mq_release(&before);
    return 0;
}

/* Bound the root, find good points, rule out names, choose the diagonal.
 * 0: open, 1: closed, 2: stopped, -1: no memory. */
static int root(mq_search *s, double *bound, double *rho) {
    int state = mq_evaluate(s, bound, rho, ROOT_ROUNDS);
    for (int phase = 0; !state && phase < ROOT_PHASES; phase++) {
        mq_round(s, phase < 2, *bound);
        if (*bound >= mq_cutoff(s)) return 1;
        if (mq_stopped(s)) return 2;
        mq_bound(&s->p, &s->now, &s->r, &s->s);
        mq_fix(&s->now, &s->s, mq_cutoff(s));
        if (shrink(s)) return -1;
        state = mq_evaluate(s, bound, rho, 2); /* a point of the smaller problem */
        if (s->request->diagonal && s->p.n > SHARPEN_MOST) return state; /* the caller's is good enough for its price */
        if (!state) state = mq_sharpen(s, bound, rho, 1);
        if (state == MQ_KEPT) return 0;
    }
    return state;
}

static void conclude(mq_search *s, double search_start) {
    mq_answer *a = s->answer;
    double gap = mq_gap(s) + 1e-10 * s->best_size; /* a decided leaf is solved to rounding, not to the gap */
    double bound = fmin(s->best, fmax(s->proven, s->reported));
    a->bound = bound / s->scale.objective;
    if (s->best < INFINITY)
        a->status = s->best - bound <= gap ? MQ_OPTIMAL : MQ_STOPPED;
    else
        a->status = bound == INFINITY ? MQ_INFEASIBLE : MQ_STOPPED;
    if (s->monitor && isfinite(bound)) kg_offer_bound(s->monitor, a->bound, s->nodes);
    a->nodes = s->nodes;
    a->pivots = s->pivots_before + s->r.pivots + s->trial.pivots;
    a->search_s = search_start > 0 ? kg_now_ns() * 1e-9 - search_start : 0;
}

int mq_solve(const mq_request *request, const mq_options *options, kg_monitor *monitor, mq_answer *answer) {
    double start = kg_now_ns() * 1e-9, search_start = 0;
    mq_search s = {.request = request, .options = options, .answer = answer, .monitor = monitor,
                   .best = INFINITY, .told = INFINITY, .proven = INFINITY, .reported = -INFINITY};
    size_t bytes = ((size_t)request->n + 1) * sizeof(double);
    answer->found = 0;
    answer->search_s = 0;
    int failed = -1;
    s.point = malloc(bytes), s.best_point = malloc(bytes);
    if (!s.point || !s.best_point) goto done;
    if (mq_setup(&s.p, &s.scale, request, mq_vector_best(options->base_isa), &s.arena, monitor)) goto done;
    if (mq_search_memory(&s)) goto done;
    if (request->initial) {
        mq_offer_point(&s, request->initial);
        mq_follow(&s, request->initial);
    }
    if (!(s.best < INFINITY)) mq_start(&s);
    memcpy(s.r.gamma, s.p.c, (size_t)s.p.n * sizeof(double));
    double bound = mq_bound(&s.p, &s.now, &s.r, &s.s), rho = 0; /* at x = 0, y = 0: weak, but never missing */
    int state = root(&s, &bound, &rho);
    if (state < 0) goto done;
    answer->setup_s = kg_now_ns() * 1e-9 - start;
    failed = 0;
    if (state) {
        s.proven = bound + s.p.constant;
    } else {
        search_start = kg_now_ns() * 1e-9;
        failed = mq_tree(&s, bound, rho);
    }
    conclude(&s, search_start);
done:
    mq_release(&s.arena);
    free(s.point);
    free(s.best_point);
    return failed;
}
