#include "binary.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void lists_free(kg_lists *l) { free(l->start), free(l->index), free(l->value); }

void kg_binary_free(kg_binary *p) {
    free(p->linear);
    lists_free(&p->quadratic), lists_free(&p->by_row), lists_free(&p->by_column);
    free(p->lower), free(p->upper), free(p->tolerance);
    memset(p, 0, sizeof *p);
}

/* Lists by `key`, in the order of the entries (stable). mirror: every entry also from `index` to `key`. */
static int lists_build(kg_lists *l, int keys, int64_t count, const int32_t *key, const int32_t *index,
                       const double *value, int mirror) {
    int64_t *at = malloc(((size_t)keys + 1) * sizeof *at);
    size_t total = (size_t)count * (mirror ? 2 : 1) + 1;
    l->start = calloc((size_t)keys + 1, sizeof *l->start);
    l->index = malloc(total * sizeof *l->index);
    l->value = malloc(total * sizeof *l->value);
    if (!at || !l->start || !l->index || !l->value) return free(at), -1;
    for (int64_t k = 0; k < count; k++) {
        l->start[key[k] + 1]++;
        if (mirror) l->start[index[k] + 1]++;
    }
    for (int i = 0; i < keys; i++) l->start[i + 1] += l->start[i];
    memcpy(at, l->start, ((size_t)keys + 1) * sizeof *at);
    for (int64_t k = 0; k < count; k++) {
        int64_t t = at[key[k]]++;
        l->index[t] = index[k], l->value[t] = value[k];
        if (!mirror) continue;
        t = at[index[k]]++;
        l->index[t] = key[k], l->value[t] = value[k];
    }
    free(at);
    return 0;
}

/* Sums repeated indices within each list; `seen` (width) holds where an index last stood. */
static int lists_merge(kg_lists *l, int keys, int width) {
    int64_t *seen = malloc(((size_t)width + 1) * sizeof *seen);
    if (!seen) return -1;
    for (int i = 0; i < width; i++) seen[i] = -1;
    int64_t kept = 0, first = 0;
    for (int k = 0; k < keys; k++) {
        int64_t last = l->start[k + 1], begin = kept;
        l->start[k] = begin;
        for (int64_t e = first; e < last; e++) {
            int i = l->index[e];
            if (seen[i] >= begin) {
                l->value[seen[i]] += l->value[e];
            } else {
                seen[i] = kept;
                l->index[kept] = i, l->value[kept++] = l->value[e];
            }
        }
        first = last;
    }
    l->start[keys] = kept;
    free(seen);
    return 0;
}

static int whole(double x) { return isinf(x) || (x == floor(x) && fabs(x) < 0x1p50); }

static void row_tolerances(kg_binary *p, double tolerance) {
    for (int r = 0; r < p->rows; r++) {
        double reach = 0.0;
        int integer = whole(p->lower[r]) && whole(p->upper[r]);
        for (int64_t e = p->by_row.start[r]; e < p->by_row.start[r + 1]; e++) {
            reach += fabs(p->by_row.value[e]);
            integer = integer && whole(p->by_row.value[e]);
        }
        p->tolerance[r] = integer && reach < 0x1p52 ? 0.0 : tolerance * fmax(1.0, reach);
    }
}

static int transpose(kg_binary *p) {
    int64_t entries = p->by_row.start[p->rows];
    int32_t *row = calloc((size_t)entries + 1, sizeof *row);
    if (!row) return -1;
    for (int r = 0; r < p->rows; r++)
        for (int64_t e = p->by_row.start[r]; e < p->by_row.start[r + 1]; e++) row[e] = r;
    int status = lists_build(&p->by_column, p->n, entries, p->by_row.index, row, p->by_row.value, 0);
    free(row);
    return status;
}

static double *copy(const double *from, int count) {
    double *to = malloc(((size_t)count + 1) * sizeof *to);
    if (to && count) memcpy(to, from, (size_t)count * sizeof *to);
    return to;
}

int kg_binary_build(kg_binary *p, int n, const double *linear, double offset, int64_t terms, const int32_t *row,
                    const int32_t *col, const double *weight, int rows, int64_t entries, const int32_t *a_row,
                    const int32_t *a_col, const double *a_value, const double *lower, const double *upper,
                    double tolerance) {
    memset(p, 0, sizeof *p);
    p->n = n, p->rows = rows, p->offset = offset;
    p->linear = copy(linear, n), p->lower = copy(lower, rows), p->upper = copy(upper, rows);
    p->tolerance = copy(lower, rows);
    if (!p->linear || !p->lower || !p->upper || !p->tolerance) return -1;
    if (lists_build(&p->quadratic, n, terms, row, col, weight, 1) || lists_merge(&p->quadratic, n, n)) return -1;
    if (lists_build(&p->by_row, rows, entries, a_row, a_col, a_value, 0) || lists_merge(&p->by_row, rows, n)) return -1;
    if (transpose(p)) return -1;
    row_tolerances(p, tolerance);
    return 0;
}

double kg_binary_objective(const kg_binary *p, const int8_t *x) {
    double total = 0.0;
    for (int i = 0; i < p->n; i++) {
        if (!x[i]) continue;
        double gain = p->linear[i];
        for (int64_t e = p->quadratic.start[i]; e < p->quadratic.start[i + 1]; e++)
            if (p->quadratic.index[e] < i && x[p->quadratic.index[e]]) gain += p->quadratic.value[e];
        total += gain;
    }
    return p->offset + total;
}

double kg_binary_violation(const kg_binary *p, const int8_t *x, int largest) {
    double total = 0.0;
    for (int r = 0; r < p->rows; r++) {
        double activity = 0.0;
        for (int64_t e = p->by_row.start[r]; e < p->by_row.start[r + 1]; e++)
            if (x[p->by_row.index[e]]) activity += p->by_row.value[e];
        double beyond = fmax(fmax(p->lower[r] - activity, activity - p->upper[r]) - p->tolerance[r], 0.0);
        total = largest ? fmax(total, beyond) : total + beyond;
    }
    return total;
}
