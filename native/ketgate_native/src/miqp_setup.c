#define _GNU_SOURCE
/* From the caller's numbers to the scaled problem, and to smaller problems when names are ruled out. */
#include "miqp_setup.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, LARGE = 8 << 20 };

struct mq_block { mq_block *before; };

/* calloc, not memset: the pages of a large factor that is never filled are never touched. */
void *mq_take(mq_arena *arena, size_t bytes) {
    mq_block *block = calloc(1, sizeof *block + 64 + (bytes ? bytes : 1));
    if (!block) return NULL;
    if (bytes >= LARGE) { /* or the kernel spends longer on its pages, first and last, than we on a copy */
        uintptr_t from = ((uintptr_t)block + PAGE - 1) / PAGE * PAGE, to = ((uintptr_t)block + bytes) / PAGE * PAGE;
        madvise((void *)from, to - from, MADV_HUGEPAGE);
    }
    block->before = arena->last;
    arena->last = block;
    uintptr_t first = (uintptr_t)(block + 1);
    return (void *)((first + 63) / 64 * 64);
}

void mq_release(mq_arena *arena) {
    while (arena->last) {
        mq_block *block = arena->last;
        arena->last = block->before;
        free(block);
    }
}

static int take_problem(mq_problem *p, mq_arena *arena, int n, int m) {
    p->n = n;
    p->m = p->rows = m;
    p->ld = ((size_t)n + 7) / 8 * 8;
    if (p->ld == 0) p->ld = 8;
    size_t bytes = p->ld * sizeof(double), rows = (size_t)m + MQ_CUTS;
    double **vectors[] = {&p->q, &p->d, &p->c, &p->lower, &p->upper, &p->position_min, &p->lot, &p->book, &p->buy, &p->sell,
                          &p->low_positive, &p->up_positive, &p->low_negative, &p->up_negative};
    for (size_t k = 0; k < sizeof vectors / sizeof *vectors; k++)
        if (!(*vectors[k] = mq_take(arena, bytes))) return -1;
    p->Qt = mq_take(arena, (size_t)n * bytes);
    p->A = mq_take(arena, rows * bytes);
    p->row_lower = mq_take(arena, rows * sizeof(double));
    p->row_upper = mq_take(arena, rows * sizeof(double));
    p->origin = mq_take(arena, p->ld * sizeof(int));
    p->allowed = mq_take(arena, p->ld);
    return p->Qt && p->A && p->row_lower && p->row_upper && p->origin && p->allowed ? 0 : -1;
}

static double power_of_two(double size) {
    if (!(size > 0) || !isfinite(size)) return 1;
    int exponent;
    frexp(size, &exponent);
    if (exponent > 300) exponent = 300;
    if (exponent < -300) exponent = -300;
    return ldexp(1, exponent);
}

/* A typical size of x: what the rows' right-hand sides ask of one name, else the largest bound. */
static double size_of_x(const mq_request *q) {
    double size = 0, bound = 0;
    for (int k = 0; k < q->m; k++) {
        double a = 0, b = 0;
        for (int i = 0; i < q->n; i++) a = fmax(a, fabs(q->A[(size_t)k * q->n + i]));
        if (isfinite(q->row_lower[k])) b = fabs(q->row_lower[k]);
        if (isfinite(q->row_upper[k])) b = fmax(b, fabs(q->row_upper[k]));
        if (a > 0) size = fmax(size, b / a);
    }
    for (int i = 0; i < q->n; i++) {
        bound = fmax(bound, fmax(fabs(q->lower[i]), fabs(q->upper[i])));
        size = fmax(size, fabs(q->book[i]));
    }
    return power_of_two(size > 0 && size < bound ? size : bound) / 2;
}

static void round_lots(double lot, double *low, double *up) {
    if (!(lot > 0)) return;
    *low = fmax(1, ceil(*low / lot - 1e-9)) * lot;
    *up = floor(*up / lot + 1e-9) * lot;
}

static void root_domain(mq_problem *p, int i) {
    double least = p->position_min[i];
    double pl = fmax(least, fmax(p->lower[i], 0)), pu = p->upper[i];
    double nl = fmax(least, fmax(-p->upper[i], 0)), nu = -p->lower[i]; /* sizes */
    round_lots(p->lot[i], &pl, &pu);
    round_lots(p->lot[i], &nl, &nu);
    p->low_positive[i] = pl, p->up_positive[i] = pu;
    p->low_negative[i] = -nu, p->up_negative[i] = -nl;
    p->allowed[i] = 0;
    if (p->lower[i] <= 0 && p->upper[i] >= 0) p->allowed[i] |= MQ_ZERO;
    if (pu > 0 && pl <= pu) p->allowed[i] |= MQ_POSITIVE;
    if (nu > 0 && nl <= nu) p->allowed[i] |= MQ_NEGATIVE;
}

static void scale_rows(mq_problem *p, const mq_request *q, double unit) {
    for (int k = 0; k < q->m; k++) {
        double largest = 0;
        for (int i = 0; i < q->n; i++) largest = fmax(largest, fabs(q->A[(size_t)k * q->n + i]));
        double factor = 1 / power_of_two(largest);
        for (int i = 0; i < q->n; i++) p->A[(size_t)k * p->ld + i] = q->A[(size_t)k * q->n + i] * factor;
        p->row_lower[k] = q->row_lower[k] * factor / unit;
        p->row_upper[k] = q->row_upper[k] * factor / unit;
    }
}

int mq_setup(mq_problem *p, mq_scale *scale, const mq_request *q, const mq_vector *vec, mq_arena *arena,
             kg_monitor *monitor) {
    memset(p, 0, sizeof *p);
    if (take_problem(p, arena, q->n, q->m)) return -1;
    int n = q->n;
    double trace = 0, linear = 0, x = size_of_x(q);
    for (int i = 0; i < n; i++) {
        trace += q->Q[(size_t)i * n + i];
        linear = fmax(linear, fabs(q->c[i]) + q->buy[i] + q->sell[i]);
    }
    double objective = 1 / power_of_two(trace > 0 ? trace / n * x * x : linear * x);
    scale->x = x;
    scale->objective = objective;
    for (int i = 0; i < n; i++) {
        p->q[i] = q->Q[(size_t)i * n + i] * (x * x * objective);
        p->c[i] = q->c[i] * (x * objective);
        p->buy[i] = q->buy[i] * (x * objective);
        p->sell[i] = q->sell[i] * (x * objective);
        p->lower[i] = q->lower[i] / x;
        p->upper[i] = q->upper[i] / x;
        p->position_min[i] = q->position_min[i] / x;
        p->lot[i] = q->lot[i] / x;
        p->book[i] = q->book[i] / x;
        p->origin[i] = i;
        if (p->lot[i] > 0) p->has_lots = 1;
        if (p->buy[i] > 0 || p->sell[i] > 0) p->has_costs = 1;
        root_domain(p, i);
    }
    scale_rows(p, q, x);
    p->turnover = q->turnover / x;
    p->names_min = q->names_min;
    p->names_max = q->names_max < n ? q->names_max : n;
    p->counts = p->names_min > 0 || p->names_max < n;
    p->vec = vec;
    for (int i = 0; i < n && q->diagonal; i++) p->d[i] = (1 - 1e-12) * q->diagonal[i] * (x * x * objective);
    for (int i = 0; i < n && !(monitor && kg_should_stop(monitor)); i++)
        for (int j = 0; j < n; j++) p->Qt[(size_t)i * p->ld + j] = q->Q[(size_t)i * n + j] * (x * x * objective);
    mq_set_diagonal(p);
    return 0;
}

/* The rows and columns of Qt that stay; its diagonal is set afterwards. */
static void compact_matrix(mq_problem *to, const mq_problem *from, const unsigned char *allowed, kg_monitor *monitor) {
    double *into = to->Qt;
    for (int i = 0; i < from->n && !(monitor && kg_should_stop(monitor)); i++) {
        if (allowed[i] == MQ_ZERO) continue;
        const double *row = from->Qt + (size_t)i * from->ld;
        int column = 0;
        for (int j = 0; j < from->n; j++)
            if (allowed[j] != MQ_ZERO) into[column++] = row[j];
        into += to->ld;
    }
}

int mq_compact(mq_problem *to, const mq_problem *from, const unsigned char *allowed, mq_arena *arena,
               kg_monitor *monitor) {
    int n = 0;
    for (int i = 0; i < from->n; i++) n += allowed[i] != MQ_ZERO;
    *to = *from;
    if (take_problem(to, arena, n, from->m)) return -1;
    int k = 0;
    for (int i = 0; i < from->n; i++) {
        if (allowed[i] == MQ_ZERO) {
            to->constant += mq_trade_cost(from, i, 0);
            to->turnover -= fabs(from->book[i]);
            continue;
        }
        for (int row = 0; row < from->m; row++) to->A[(size_t)row * to->ld + k] = from->A[(size_t)row * from->ld + i];
        to->q[k] = from->q[i], to->d[k] = from->d[i], to->c[k] = from->c[i];
        to->lower[k] = from->lower[i], to->upper[k] = from->upper[i];
        to->position_min[k] = from->position_min[i], to->lot[k] = from->lot[i];
        to->book[k] = from->book[i], to->buy[k] = from->buy[i], to->sell[k] = from->sell[i];
        to->low_positive[k] = from->low_positive[i], to->up_positive[k] = from->up_positive[i];
        to->low_negative[k] = from->low_negative[i], to->up_negative[k] = from->up_negative[i];
        to->origin[k] = from->origin[i];
        to->allowed[k] = allowed[i];
        k++;
    }
    memcpy(to->row_lower, from->row_lower, (size_t)from->m * sizeof(double));
    memcpy(to->row_upper, from->row_upper, (size_t)from->m * sizeof(double));
    if (to->names_max > n) to->names_max = n; /* names_min stays: fewer names than it asks is infeasible */
    compact_matrix(to, from, allowed, monitor);
    mq_set_diagonal(to);
    return 0;
}
