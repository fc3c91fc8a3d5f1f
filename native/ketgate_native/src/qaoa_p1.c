#include "qaoa_p1.h"

#include <math.h>
#include <stdlib.h>

/* A value and its derivative by the angle a = 2 gamma. */
typedef struct {
    double value, slope;
} dual;

static dual product(dual x, dual y) { return (dual){x.value * y.value, x.slope * y.value + x.value * y.slope}; }
static dual sum(dual x, dual y, double sign) { return (dual){x.value + sign * y.value, x.slope + sign * y.slope}; }
static dual cosine(double rate, double a) { return (dual){cos(rate * a), -rate * sin(rate * a)}; }
static dual sine(double rate, double a) { return (dual){sin(rate * a), rate * cos(rate * a)}; }

/* cos and sin of every coupling's angle. */
typedef struct {
    const kg_p1 *p;
    double a;
    double *c, *s;
} angles;

/* cos(a (J_x + sign J_y)) of two entries. */
static dual both(const angles *t, int64_t x, int64_t y, double sign) {
    double c = t->c[x] * t->c[y] - sign * t->s[x] * t->s[y], s = t->s[x] * t->c[y] + sign * t->c[x] * t->s[y];
    return (dual){c, -(t->p->weight[x] + sign * t->p->weight[y]) * s};
}

static dual one(const angles *t, int64_t x) { return (dual){t->c[x], -t->p->weight[x] * t->s[x]}; }

typedef struct {
    dual mine, other, plus, minus; /* over neighbours of i, of j, and of either with J_i +- J_j */
} products;

/* Over the neighbours of i and j but themselves: a merge of two ascending lists. */
static products over_neighbours(const angles *t, int64_t i, int64_t j) {
    const kg_p1 *p = t->p;
    products out = {{1, 0}, {1, 0}, {1, 0}, {1, 0}};
    int64_t x = p->start[i], y = p->start[j];
    const int64_t x_end = p->start[i + 1], y_end = p->start[j + 1];
    while (x < x_end || y < y_end) {
        int64_t k = x < x_end ? p->neighbour[x] : INT64_MAX, m = y < y_end ? p->neighbour[y] : INT64_MAX;
        if (k == j) x++;
        else if (m == i) y++;
        else if (k < m) {
            dual f = one(t, x++);
            out.mine = product(out.mine, f), out.plus = product(out.plus, f), out.minus = product(out.minus, f);
        } else if (m < k) {
            dual f = one(t, y++);
            out.other = product(out.other, f), out.plus = product(out.plus, f), out.minus = product(out.minus, f);
        } else {
            out.mine = product(out.mine, one(t, x)), out.other = product(out.other, one(t, y));
            out.plus = product(out.plus, both(t, x, y, 1.0)), out.minus = product(out.minus, both(t, x, y, -1.0));
            x++, y++;
        }
    }
    return out;
}

typedef struct {
    dual single, mixed, pair;
} totals;

static void add_spin(const angles *t, int64_t i, totals *out) {
    const kg_p1 *p = t->p;
    if (p->field[i] != 0.0) {
        dual f = sine(p->field[i], t->a);
        for (int64_t x = p->start[i]; x < p->start[i + 1]; x++) f = product(f, one(t, x));
        out->single.value += p->field[i] * f.value, out->single.slope += p->field[i] * f.slope;
    }
    for (int64_t x = p->start[i]; x < p->start[i + 1]; x++) {
        const int64_t j = p->neighbour[x];
        if (j < i) continue;
        const double w = p->weight[x], hi = p->field[i], hj = p->field[j];
        products n = over_neighbours(t, i, j);
        dual s = {t->s[x], w * t->c[x]};
        dual ends = sum(product(cosine(hi, t->a), n.mine), product(cosine(hj, t->a), n.other), 1.0);
        dual mixed = product(s, ends);
        dual pair = sum(product(cosine(hi - hj, t->a), n.minus), product(cosine(hi + hj, t->a), n.plus), -1.0);
        out->mixed.value += 0.5 * w * mixed.value, out->mixed.slope += 0.5 * w * mixed.slope;
        out->pair.value += 0.5 * w * pair.value, out->pair.slope += 0.5 * w * pair.slope;
    }
}

int kg_p1_evaluate(const kg_p1 *p, double gamma, kg_monitor *monitor, kg_p1_terms *terms, kg_p1_terms *slopes) {
    const int64_t entries = p->start[p->n];
    double *room = malloc((size_t)(2 * entries + 1) * sizeof *room);
    if (!room) return -1;
    angles t = {p, 2.0 * gamma, room, room + entries};
    totals out = {{0, 0}, {0, 0}, {0, 0}};
    int stopped = 0;
    for (int64_t x = 0; x < entries; x++) t.c[x] = cos(t.a * p->weight[x]), t.s[x] = sin(t.a * p->weight[x]);
    for (int64_t i = 0; i < p->n && !stopped; i++) {
        add_spin(&t, i, &out);
        stopped = monitor && kg_should_stop(monitor);
    }
    free(room);
    /* by gamma: twice by a */
    *terms = (kg_p1_terms){out.single.value, out.mixed.value, out.pair.value};
    *slopes = (kg_p1_terms){2.0 * out.single.slope, 2.0 * out.mixed.slope, 2.0 * out.pair.slope};
    return stopped;
}
