#include "exhaustive.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Steps between two resets: sums are built anew, so that rounding cannot pile up. */
enum { BLOCK = 1024 };
/* Sums touched between two looks for a stop: a millisecond or two, however many rows there are. */
enum { PATIENCE = 1 << 20 };

typedef struct {
    uint64_t bits;
    double objective;
    int violated;     /* rows further out than tolerance and drift */
    double *field;    /* n: what setting binary i adds, besides its own state */
    double *activity; /* rows */
} state;

static int is_violated(const kg_binary_problem *p, int r, double activity, double slack) {
    return activity < p->lower[r] - slack || activity > p->upper[r] + slack;
}

/* Build the sums of an assignment anew. */
static void reset(const kg_binary_problem *p, state *s) {
    s->objective = p->offset;
    memset(s->activity, 0, sizeof(double) * (size_t)p->rows);
    memcpy(s->field, p->linear, sizeof(double) * (size_t)p->n);
    for (int i = 0; i < p->n; i++) {
        if (!(s->bits >> i & 1)) continue;
        s->objective += s->field[i]; /* its own term, and its products with those set before it */
        const double *q = p->quadratic + (size_t)i * (size_t)p->n;
        for (int j = 0; j < p->n; j++) s->field[j] += q[j];
        for (int32_t k = p->start[i]; k < p->start[i + 1]; k++)
            s->activity[p->row[k]] += p->coefficient[k];
    }
    s->violated = 0;
    for (int r = 0; r < p->rows; r++)
        s->violated += is_violated(p, r, s->activity[r], p->tolerance + p->drift);
}

static void flip(const kg_binary_problem *p, state *s, int i) {
    int was_set = (int)(s->bits >> i & 1);
    double sign = was_set ? -1.0 : 1.0;
    s->bits ^= (uint64_t)1 << i;
    s->objective += sign * s->field[i];
    const double *q = p->quadratic + (size_t)i * (size_t)p->n;
    double *field = s->field;
    if (was_set)
        for (int j = 0; j < p->n; j++) field[j] -= q[j];
    else
        for (int j = 0; j < p->n; j++) field[j] += q[j];
    double slack = p->tolerance + p->drift;
    for (int32_t k = p->start[i]; k < p->start[i + 1]; k++) {
        int r = p->row[k];
        s->violated -= is_violated(p, r, s->activity[r], slack);
        s->activity[r] += sign * p->coefficient[k];
        s->violated += is_violated(p, r, s->activity[r], slack);
    }
}

static void offer(const kg_binary_problem *p, const kg_enumeration *out, kg_monitor *monitor) {
    signed char values[KG_EXHAUSTIVE_MAX];
    for (int i = 0; i < p->n; i++) values[i] = (signed char)(out->pool[0].bits >> i & 1);
    kg_offer(monitor, out->pool[0].objective, values, (int64_t)out->visited);
}

/* Keep a candidate if it is good enough; its sums are built anew first, so the tolerance is held exactly. */
static void consider(const kg_binary_problem *p, state *s, state *fresh, kg_enumeration *out,
                     kg_monitor *monitor) {
    fresh->bits = s->bits;
    reset(p, fresh);
    for (int r = 0; r < p->rows; r++)
        if (is_violated(p, r, fresh->activity[r], p->tolerance)) return;
    double objective = fresh->objective;
    if (out->count == out->capacity && !(objective < out->pool[out->count - 1].objective)) return;
    int at = out->count < out->capacity ? out->count++ : out->count - 1;
    while (at > 0 && objective < out->pool[at - 1].objective) {
        out->pool[at] = out->pool[at - 1];
        at--;
    }
    out->pool[at] = (kg_assignment){objective, fresh->bits};
    if (at == 0 && monitor != NULL) offer(p, out, monitor);
}

static int allocate(const kg_binary_problem *p, state *s) {
    memset(s, 0, sizeof *s);
    s->field = malloc(sizeof(double) * (size_t)p->n);
    s->activity = malloc(sizeof(double) * (size_t)(p->rows ? p->rows : 1));
    return s->field == NULL || s->activity == NULL ? -1 : 0;
}

static void release(state *s) {
    free(s->field);
    free(s->activity);
}

int kg_enumerate(const kg_binary_problem *p, uint64_t work, kg_monitor *monitor, kg_enumeration *out) {
    uint64_t total = (uint64_t)1 << p->n;
    state s, fresh = {0};
    int failed = allocate(p, &s) || allocate(p, &fresh);
    uint64_t whole = (uint64_t)p->n * (uint64_t)p->n + (uint64_t)p->start[p->n] + (uint64_t)p->rows, touched = 0;
    out->count = 0;
    out->visited = 0;
    for (uint64_t step = 0; !failed && step < total && !(work && step >= work); step++) {
        if (touched > PATIENCE) {
            if (monitor != NULL && kg_should_stop(monitor)) break;
            touched = 0;
        }
        if (step % BLOCK == 0) {
            s.bits = step ^ (step >> 1);
            reset(p, &s);
            touched += whole;
        } else {
            int i = __builtin_ctzll(step);
            flip(p, &s, i);
            touched += (uint64_t)p->n + (uint64_t)(p->start[i + 1] - p->start[i]);
        }
        out->visited = step + 1;
        if (s.violated == 0 &&
            (out->count < out->capacity || s.objective < out->pool[out->count - 1].objective)) {
            consider(p, &s, &fresh, out, monitor);
            touched += whole;
        }
    }
    out->completed = out->visited == total;
    release(&s);
    release(&fresh);
    return failed ? -1 : 0;
}
