/* Tabu search over flips and swaps under adaptive row weights.
 *
 * Rows violated at a local minimum grow heavier, all rows grow lighter while the point stays feasible: the search swings
 * about the boundary of the feasible set, where optima lie (strategic oscillation, Glover; weights as in local search for
 * pseudo-Boolean problems, Lei et al. 2021). A swap turns one variable of a row on and another off, so that
 * cardinality, one-hot and assignment rows stay satisfied. Stages of doubling length are pure functions of (problem,
 * seed, stage). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "binary_state.h"
#include "parallel.h"

enum {
    STAGES = 40,
    FIRST_MOVES = 256,
    SWAP_ROWS = 3,       /* rows looked at for a swap, and how many variables of each side */
    SWAP_SIDE = 5,
    TENURE = 4,
    TENURE_SPREAD = 8,
    RELOAD_MOVES = 4096, /* sums are taken anew, before rounding adds up */
    POLL_COST = 1 << 17,
};
/* Measured on multi-dimensional knapsack, cardinality and quadratic assignment: quick to lighten, slow to press. */
static const double HEAVIER[2] = {0.01, 0.03}, LIGHTER = 0.6, LIGHTEST = 1e-2, HEAVIEST = 1e9;

typedef struct {
    kg_binary_run *run;
    kg_binary_state s;
    kg_rng rng;
    int64_t *until; /* (n) first move at which the variable may flip again */
    int64_t move;
    int8_t *best;      /* best feasible point of the stage, when best_objective is finite */
    double best_objective, least_violation;
    int32_t *position; /* (n) of a candidate among the candidates to be turned on, + 1 */
    double *row_change; /* (rows) zero but during a swap's evaluation */
    int64_t stall;
    double heavier; /* what a violated row gains at a local minimum, in its base weight; differs by stage */
} walk;

typedef struct {
    int first, second; /* second: -1 for a flip */
    double score;
} candidate;

static int stopped(kg_binary_run *run) {
    if (run->monitor && kg_should_stop(run->monitor)) {
        atomic_store_explicit(&run->interrupted, 1, memory_order_relaxed);
        return 1;
    }
    return atomic_load_explicit(&run->no_memory, memory_order_relaxed);
}

static void offer_feasible(kg_binary_run *run, const int8_t *x, double objective) {
    if (kg_pool_offer(run->pool, objective, x) && run->monitor)
        kg_offer(run->monitor, objective, x, atomic_load(&run->work));
}

/* The flip of least score that is not tabu, or that would give a new best feasible point. */
static candidate best_flip(walk *w) {
    const kg_binary_state *s = &w->s;
    int n = s->p->n, start = (int)kg_rng_below(&w->rng, (uint32_t)n); /* ties fall to a random variable */
    candidate best = {-1, -1, INFINITY};
    for (int k = 0; k < n; k++) {
        int i = start + k < n ? start + k : start + k - n;
        double change = kg_binary_change(s, i), score = change + s->penalty[i];
        if (!(score < best.score)) continue;
        int aspires = s->violated_count == 0 && s->penalty[i] == 0.0 && s->objective + change < w->best_objective;
        if (w->until[i] > w->move && !aspires) continue;
        best = (candidate){i, -1, score};
    }
    return best;
}

/* What a flip costs when every row near its bounds charges its weight for each unit: half a swap, before its other half
 * is known. Without the charge the pairs would be a heavy variable in and a light one out, which no row allows. */
static double charged(const walk *w, int i) {
    const kg_lists *column = &w->s.p->by_column;
    double sum = w->s.gain[i];
    for (int64_t e = column->start[i]; e < column->start[i + 1]; e++) {
        int r = column->index[e];
        const kg_binary *p = w->s.p;
        double a = w->s.activity[r];
        if (a + w->s.reach[r] > p->upper[r]) sum += w->s.weight[r] * column->value[e];
        if (a - w->s.reach[r] < p->lower[r]) sum -= w->s.weight[r] * column->value[e];
    }
    return w->s.way[i] * sum;
}

/* The SWAP_SIDE variables of row r with value `on` of least charged cost. */
static int side(walk *w, int r, int on, int32_t *found) {
    const kg_lists *rows = &w->s.p->by_row;
    double cost[SWAP_SIDE];
    int count = 0;
    for (int64_t e = rows->start[r]; e < rows->start[r + 1]; e++) {
        int i = rows->index[e], k;
        if (w->s.x[i] != on || w->until[i] > w->move) continue;
        double c = charged(w, i);
        if (count == SWAP_SIDE && c >= cost[count - 1]) continue;
        if (count < SWAP_SIDE) count++;
        for (k = count - 1; k > 0 && cost[k - 1] > c; k--) found[k] = found[k - 1], cost[k] = cost[k - 1];
        found[k] = i, cost[k] = c;
    }
    return count;
}

/* Change of the weighted violation when i turns off and j on. */
static double swap_penalty(walk *w, int i, int j) {
    const kg_binary *p = w->s.p;
    const kg_lists *column = &p->by_column;
    double sum = 0.0;
    for (int64_t e = column->start[i]; e < column->start[i + 1]; e++) w->row_change[column->index[e]] -= column->value[e];
    for (int64_t e = column->start[j]; e < column->start[j + 1]; e++) w->row_change[column->index[e]] += column->value[e];
    for (int both = 0; both < 2; both++) {
        int v = both ? j : i;
        for (int64_t e = column->start[v]; e < column->start[v + 1]; e++) {
            int r = column->index[e];
            double a = w->s.activity[r];
            if (w->row_change[r] == 0.0) continue;
            sum += w->s.weight[r] * (kg_binary_beyond(p, r, a + w->row_change[r]) - kg_binary_beyond(p, r, a));
            w->row_change[r] = 0.0;
        }
    }
    return sum;
}

static void swaps_of_row(walk *w, int r, candidate *best) {
    const kg_lists *terms = &w->s.p->quadratic;
    int32_t on[SWAP_SIDE], off[SWAP_SIDE];
    int on_count = side(w, r, 1, on), off_count = on_count ? side(w, r, 0, off) : 0;
    if (!off_count) return;
    for (int b = 0; b < off_count; b++) w->position[off[b]] = b + 1;
    for (int a = 0; a < on_count; a++) {
        double shared[SWAP_SIDE] = {0};
        for (int64_t e = terms->start[on[a]]; e < terms->start[on[a] + 1]; e++) {
            int at = w->position[terms->index[e]];
            if (at) shared[at - 1] += terms->value[e];
        }
        for (int b = 0; b < off_count; b++) {
            double score = kg_binary_change(&w->s, on[a]) + kg_binary_change(&w->s, off[b]) - shared[b];
            if (score >= best->score) continue;
            score += swap_penalty(w, on[a], off[b]);
            if (score < best->score) *best = (candidate){on[a], off[b], score};
        }
    }
    for (int b = 0; b < off_count; b++) w->position[off[b]] = 0;
}

static void flip(walk *w, int i) {
    int spread = w->s.p->n / 4 < TENURE_SPREAD ? w->s.p->n / 4 : TENURE_SPREAD;
    kg_binary_state_flip(&w->s, i);
    w->until[i] = w->move + 1 + (spread ? TENURE + (int64_t)kg_rng_below(&w->rng, (uint32_t)spread) : 0);
}

/* A feasible local minimum, or the point nearest to feasible so far: checked and evaluated from the coefficients. */
static void report(walk *w) {
    kg_binary_run *run = w->run;
    if (w->s.violated_count == 0) {
        double margin = 1e-9 * (1.0 + fabs(w->s.objective));
        int better = w->s.objective < w->best_objective; /* by the stage's own sums: other threads must not matter */
        if (w->s.objective > kg_pool_threshold(run->pool) + margin && !better) return;
        if (kg_binary_violation(w->s.p, w->s.x, 0) > 0.0) return;
        double objective = kg_binary_objective(w->s.p, w->s.x);
        offer_feasible(run, w->s.x, objective);
        if (better && objective < w->best_objective) {
            w->best_objective = objective;
            memcpy(w->best, w->s.x, (size_t)w->s.p->n);
            w->stall = 0;
        }
    } else if (!isfinite(w->best_objective)) {
        double violation = 0.0;
        for (int k = 0; k < w->s.violated_count; k++)
            violation += kg_binary_beyond(w->s.p, w->s.violated[k], w->s.activity[w->s.violated[k]]);
        if (violation >= w->least_violation) return;
        w->least_violation = violation;
        kg_pool_offer(run->nearest, kg_binary_violation(w->s.p, w->s.x, 0), w->s.x);
    }
}

/* At a local minimum: where it is feasible all rows grow lighter, else the violated ones heavier. */
static void adapt(walk *w) {
    kg_binary_state *s = &w->s;
    if (s->violated_count == 0) {
        if (s->p->rows && s->weight[0] > LIGHTEST * s->base[0]) kg_binary_state_scale_weights(s, LIGHTER);
        return;
    }
    for (int k = 0; k < s->violated_count; k++) {
        int r = s->violated[k];
        if (s->weight[r] < HEAVIEST * s->base[r]) kg_binary_state_reweigh(s, r, s->weight[r] + w->heavier * s->base[r]);
    }
}

/* Start over: from the best point with a part of it shaken, or from anywhere while there is none. */
static void restart(walk *w) {
    int n = w->s.p->n;
    if (isfinite(w->best_objective)) memcpy(w->s.x, w->best, (size_t)n);
    int flips = isfinite(w->best_objective) ? 2 + n / 16 : n / 4 + 1;
    for (int k = 0; k < flips; k++) {
        uint32_t i = kg_rng_below(&w->rng, (uint32_t)n);
        w->s.x[i] = (int8_t)!w->s.x[i];
    }
    for (int r = 0; r < w->s.p->rows; r++) w->s.weight[r] = w->s.base[r];
    kg_binary_state_load(&w->s, w->s.x);
    w->stall = 0;
}

static void step(walk *w) {
    candidate best = best_flip(w);
    if (best.score >= 0.0) report(w);
    for (int k = 0; k < SWAP_ROWS && k < w->s.p->rows && best.score >= 0.0; k++)
        swaps_of_row(w, (int)kg_rng_below(&w->rng, (uint32_t)w->s.p->rows), &best);
    if (best.score >= 0.0) adapt(w);
    if (best.first < 0) best.first = (int)kg_rng_below(&w->rng, (uint32_t)w->s.p->n);
    flip(w, best.first);
    if (best.second >= 0) flip(w, best.second);
    w->move++;
    w->stall++;
    if (w->s.violated_count == 0 && w->s.objective < w->best_objective) report(w);
    if (w->stall > 20 * (int64_t)w->s.p->n + 2000) restart(w);
    else if (w->move % RELOAD_MOVES == 0) kg_binary_state_load(&w->s, w->s.x);
}

static int walk_init(walk *w, kg_binary_run *run, int stage) {
    size_t n = (size_t)run->p->n;
    memset(w, 0, sizeof *w);
    w->run = run;
    w->heavier = HEAVIER[stage % 2];
    w->rng = kg_rng_stream(run->seed, (uint64_t)stage);
    w->best_objective = w->least_violation = INFINITY;
    w->until = calloc(n + 1, sizeof *w->until), w->best = calloc(n + 1, 1);
    w->position = calloc(n + 1, sizeof *w->position);
    w->row_change = calloc((size_t)run->p->rows + 1, sizeof *w->row_change);
    if (w->until && w->best && w->position && w->row_change && !kg_binary_state_init(&w->s, run->p)) return 0;
    atomic_store(&run->no_memory, 1);
    return -1;
}

static void walk_free(walk *w) {
    kg_binary_state_free(&w->s);
    free(w->until), free(w->best), free(w->position), free(w->row_change);
}

/* Sparse random point: a third of the stages begin empty, which suits rows that allow few ones. */
static void first_point(walk *w, int stage) {
    kg_binary_run *run = w->run;
    int n = run->p->n;
    if (run->initial_count && stage % 2 == 0)
        memcpy(w->s.x, run->initial + (int64_t)(stage / 2 % run->initial_count) * n, (size_t)n);
    else
        for (int i = 0; i < n; i++) w->s.x[i] = stage % 3 && kg_rng_next(&w->rng) >> 63;
    kg_binary_state_load(&w->s, w->s.x);
}

typedef struct {
    kg_binary_run *run;
    int64_t work_max;
} search_job;

static void run_stage(void *context, int stage) {
    const search_job *job = context;
    kg_binary_run *run = job->run;
    int64_t work_max = job->work_max;
    int64_t before = (int64_t)FIRST_MOVES * (((int64_t)1 << stage) - 1), moves = (int64_t)FIRST_MOVES << stage;
    if (before >= work_max || stopped(run)) return;
    if (moves > work_max - before) moves = work_max - before;
    walk w;
    if (walk_init(&w, run, stage) == 0) {
        first_point(&w, stage);
        report(&w);
        int64_t per_move = run->p->n + 64, unpolled = 0, done = 0;
        for (; done < moves; done++) {
            step(&w);
            atomic_fetch_add_explicit(&run->work, 1, memory_order_relaxed);
            unpolled += per_move;
            if (unpolled < POLL_COST) continue;
            unpolled = 0;
            if (stopped(run)) break;
        }
    }
    walk_free(&w);
}

/* The warm starts and the empty point, as they are. */
static void begin(kg_binary_run *run) {
    int n = run->p->n;
    int8_t *empty = calloc((size_t)n + 1, 1);
    if (!empty) {
        atomic_store(&run->no_memory, 1);
        return;
    }
    for (int k = -1; k < run->initial_count; k++) {
        const int8_t *x = k < 0 ? empty : run->initial + (int64_t)k * n;
        double violation = kg_binary_violation(run->p, x, 0);
        kg_pool_offer(run->nearest, violation, x);
        if (violation == 0.0) offer_feasible(run, x, kg_binary_objective(run->p, x));
        if (k >= 0 && stopped(run)) break;
    }
    free(empty);
}

void kg_binary_search(kg_binary_run *run, int64_t work_max) {
    search_job job = {run, work_max};
    begin(run);
    if (run->p->n) kg_parallel_for(run->threads, STAGES, run_stage, &job);
}
