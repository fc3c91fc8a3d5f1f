#include "binary_state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void kg_binary_state_free(kg_binary_state *s) {
    free(s->x), free(s->way), free(s->gain), free(s->penalty), free(s->activity), free(s->weight), free(s->base), free(s->reach);
    free(s->violated), free(s->place);
    memset(s, 0, sizeof *s);
}

/* What a flip typically changes the objective by; 1 when there is no objective. */
static double objective_scale(const kg_binary *p) {
    double sum = 0.0;
    for (int i = 0; i < p->n; i++) {
        double square = 0.0;
        for (int64_t e = p->quadratic.start[i]; e < p->quadratic.start[i + 1]; e++)
            square += p->quadratic.value[e] * p->quadratic.value[e];
        sum += fabs(p->linear[i]) + sqrt(square);
    }
    return sum > 0.0 && isfinite(sum) ? sum / p->n : 1.0;
}

int kg_binary_state_init(kg_binary_state *s, const kg_binary *p) {
    size_t n = (size_t)p->n + 1, rows = (size_t)p->rows + 1;
    memset(s, 0, sizeof *s);
    s->p = p;
    s->x = calloc(n, 1);
    s->way = calloc(n, sizeof(double));
    s->gain = calloc(n, sizeof(double)), s->penalty = calloc(n, sizeof(double));
    s->activity = calloc(rows, sizeof(double)), s->weight = calloc(rows, sizeof(double));
    s->base = calloc(rows, sizeof(double)), s->reach = calloc(rows, sizeof(double));
    s->violated = calloc(rows, sizeof(int32_t)), s->place = calloc(rows, sizeof(int32_t));
    if (!s->x || !s->way || !s->gain || !s->penalty || !s->activity || !s->weight || !s->base || !s->reach || !s->violated ||
        !s->place) {
        kg_binary_state_free(s);
        return -1;
    }
    double scale = objective_scale(p);
    for (int r = 0; r < p->rows; r++) {
        double sum = 0.0;
        int64_t count = p->by_row.start[r + 1] - p->by_row.start[r];
        for (int64_t e = p->by_row.start[r]; e < p->by_row.start[r + 1]; e++) {
            sum += fabs(p->by_row.value[e]);
            s->reach[r] = fmax(s->reach[r], fabs(p->by_row.value[e]));
        }
        s->base[r] = s->weight[r] = sum > 0.0 ? scale * (double)count / sum : scale;
    }
    return 0;
}

static double penalty_of(const kg_binary_state *s, int i) {
    const kg_lists *column = &s->p->by_column;
    double sum = 0.0, sign = s->way[i];
    for (int64_t e = column->start[i]; e < column->start[i + 1]; e++) {
        int r = column->index[e];
        double a = s->activity[r];
        sum += s->weight[r] *
               (kg_binary_beyond(s->p, r, a + sign * column->value[e]) - kg_binary_beyond(s->p, r, a));
    }
    return sum;
}

static void note_violation(kg_binary_state *s, int r) {
    int is = kg_binary_beyond(s->p, r, s->activity[r]) > 0.0, was = s->place[r] >= 0;
    if (is && !was) {
        s->place[r] = s->violated_count;
        s->violated[s->violated_count++] = r;
    } else if (!is && was) {
        int last = s->violated[--s->violated_count];
        s->violated[s->place[r]] = last;
        s->place[last] = s->place[r];
        s->place[r] = -1;
    }
}

void kg_binary_state_load(kg_binary_state *s, const int8_t *x) {
    const kg_binary *p = s->p;
    if (x != s->x) memcpy(s->x, x, (size_t)p->n);
    for (int i = 0; i < p->n; i++) {
        s->way[i] = s->x[i] ? -1.0 : 1.0;
        s->gain[i] = p->linear[i];
        for (int64_t e = p->quadratic.start[i]; e < p->quadratic.start[i + 1]; e++)
            if (s->x[p->quadratic.index[e]]) s->gain[i] += p->quadratic.value[e];
    }
    s->violated_count = 0;
    for (int r = 0; r < p->rows; r++) {
        s->activity[r] = 0.0;
        for (int64_t e = p->by_row.start[r]; e < p->by_row.start[r + 1]; e++)
            if (s->x[p->by_row.index[e]]) s->activity[r] += p->by_row.value[e];
        s->place[r] = -1;
        note_violation(s, r);
    }
    for (int i = 0; i < p->n; i++) s->penalty[i] = penalty_of(s, i);
    s->objective = kg_binary_objective(p, s->x);
}

static void move_row(kg_binary_state *s, int r, double to) {
    const kg_binary *p = s->p;
    double from = s->activity[r];
    s->activity[r] = to;
    if (kg_binary_slack(s, r, from) && kg_binary_slack(s, r, to)) return;
    double before = kg_binary_beyond(p, r, from), after = kg_binary_beyond(p, r, to);
    for (int64_t e = p->by_row.start[r]; e < p->by_row.start[r + 1]; e++) {
        int k = p->by_row.index[e];
        double d = s->way[k] * p->by_row.value[e];
        s->penalty[k] += s->weight[r] * ((kg_binary_beyond(p, r, to + d) - after) -
                                         (kg_binary_beyond(p, r, from + d) - before));
    }
    note_violation(s, r);
}

void kg_binary_state_flip(kg_binary_state *s, int i) {
    const kg_binary *p = s->p;
    double sign = s->way[i];
    s->objective += sign * s->gain[i];
    for (int64_t e = p->quadratic.start[i]; e < p->quadratic.start[i + 1]; e++)
        s->gain[p->quadratic.index[e]] += sign * p->quadratic.value[e];
    for (int64_t e = p->by_column.start[i]; e < p->by_column.start[i + 1]; e++) {
        int r = p->by_column.index[e];
        move_row(s, r, s->activity[r] + sign * p->by_column.value[e]);
    }
    s->x[i] = (int8_t)!s->x[i];
    s->way[i] = -sign;
    s->penalty[i] = penalty_of(s, i); /* its direction is now the other one */
}

void kg_binary_state_reweigh(kg_binary_state *s, int r, double weight) {
    const kg_binary *p = s->p;
    double a = s->activity[r], now = kg_binary_beyond(p, r, a), more = weight - s->weight[r];
    for (int64_t e = p->by_row.start[r]; e < p->by_row.start[r + 1]; e++) {
        int k = p->by_row.index[e];
        double d = s->way[k] * p->by_row.value[e];
        s->penalty[k] += more * (kg_binary_beyond(p, r, a + d) - now);
    }
    s->weight[r] = weight;
}

void kg_binary_state_scale_weights(kg_binary_state *s, double factor) {
    for (int r = 0; r < s->p->rows; r++) s->weight[r] *= factor;
    for (int i = 0; i < s->p->n; i++) s->penalty[i] *= factor;
}
