/* Factorisation of the optimality conditions on the free names: Cholesky of the Hessian's free block (or its
 * diagonal in factor form) and of the Schur complement of the active rows, with names added and removed. */
#include "qp_core.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A Schur pivot below this share of its diagonal is rounding: the row depends on the others. */
static const double PIVOT_RELATIVE_MIN = 4e-16;
/* Updates drift by about one rounding each; a fresh factorisation is cheap next to so many. */
enum { UPDATES_MAX = 64, POLL_ROWS = 64 };

int kg_kkt_init(kg_kkt *t, const kg_linalg *la, kg_monitor *monitor, int n, int r, int k) {
    memset(t, 0, sizeof *t);
    t->la = la;
    t->monitor = monitor;
    t->n = n;
    t->r = r;
    t->k = k;
    size_t names = n ? n : 1, rows = r ? r : 1;
    t->own = calloc(names, sizeof(double));
    t->prox = calloc(names, sizeof(double));
    t->reg = calloc(rows, sizeof(double));
    t->free = calloc(names, sizeof(int));
    t->place = calloc(names, sizeof(int));
    t->active = calloc(rows, sizeof(int));
    t->s = calloc(rows * rows, sizeof(double));
    t->ls = calloc(rows * rows, sizeof(double));
    t->scratch = calloc(names + rows, sizeof(double));
    if (!t->own || !t->prox || !t->reg || !t->free || !t->place || !t->active || !t->s || !t->ls || !t->scratch)
        return KG_QP_NO_MEMORY;
    for (int i = 0; i < n; i++) t->place[i] = -1;
    return 0;
}

void kg_kkt_free(kg_kkt *t) {
    free(t->own);
    free(t->prox);
    free(t->reg);
    free(t->free);
    free(t->place);
    free(t->active);
    free(t->l);
    free(t->w);
    free(t->s);
    free(t->ls);
    free(t->scratch);
}

static int reserve(kg_kkt *t, int nf) {
    if (nf <= t->ldl) return 0;
    ptrdiff_t room = nf + nf / 4 + 16;
    if (room > t->n) room = t->n;
    free(t->l);
    free(t->w);
    t->l = malloc((t->h ? (size_t)room * room : (size_t)room) * sizeof(double));
    t->w = malloc((size_t)room * (t->r ? t->r : 1) * sizeof(double));
    t->ldl = t->l && t->w ? room : 0;
    return t->ldl ? 0 : KG_QP_NO_MEMORY;
}

static void schur(kg_kkt *t) {
    int r = t->r;
    memset(t->s, 0, (size_t)r * r * sizeof(double));
    for (int i = 0; i < r; i += 12) { /* lower triangle in strips; sub_nt subtracts, the copy below flips the sign */
        int high = r - i < 12 ? r - i : 12;
        t->la->sub_nt(high, i + high, t->nf, t->w + i * t->ldl, t->ldl, t->w, t->ldl, t->s + (size_t)i * r, r);
    }
}

int kg_kkt_rows(kg_kkt *t, int na, const int *active) {
    int r = t->r;
    if (active != t->active) memmove(t->active, active, na * sizeof(int));
    t->na = na;
    for (int i = 0; i < na; i++) {
        int row = t->active[i];
        double *into = t->ls + (size_t)i * r;
        for (int j = 0; j <= i; j++) into[j] = -t->s[(size_t)row * r + t->active[j]];
        into[i] += t->reg[row];
        double diagonal = into[i];
        for (int j = 0; j < i; j++) into[j] = (into[j] - t->la->dot(j, into, t->ls + (size_t)j * r)) / t->ls[(size_t)j * r + j];
        double pivot = into[i] - t->la->dot(i, into, into);
        if (!isfinite(pivot)) return KG_QP_NUMERICAL;
        into[i] = sqrt(fmax(pivot, fmax(PIVOT_RELATIVE_MIN * diagonal, 1e-300)));
    }
    return 0;
}

/* No factorisation stands. */
static int forget(kg_kkt *t, int status) {
    for (int i = 0; i < t->nf; i++) t->place[t->free[i]] = -1;
    t->nf = 0;
    t->ready = 0;
    return status;
}

int kg_kkt_factor(kg_kkt *t, int nf, const int *names, int na, const int *active) {
    int64_t start = kg_now_ns();
    int status = reserve(t, nf);
    if (status) return status;
    for (int i = 0; i < t->nf; i++) t->place[t->free[i]] = -1;
    if (names != t->free) memcpy(t->free, names, nf * sizeof(int));
    t->nf = nf;
    for (int i = 0; i < nf; i++) t->place[t->free[i]] = i;
    t->updates = 0;
    t->factored++;
    for (int j = 0; j < t->r; j++)
        for (int i = 0; i < nf; i++) t->w[j * t->ldl + i] = t->b[j * t->ldb + t->free[i]];
    if (t->h) {
        for (int i = 0; i < nf; i++) {
            if (i % POLL_ROWS == 0 && t->monitor && kg_should_stop(t->monitor)) return forget(t, KG_QP_STOPPED);
            const double *row = t->h + t->free[i] * t->ldh;
            double *into = t->l + i * t->ldl;
            for (int j = 0; j <= i; j++) into[j] = row[t->free[j]];
            into[i] += t->prox[t->free[i]];
        }
        ptrdiff_t failed = t->la->cholesky(nf, t->l, t->ldl, t->monitor);
        if (failed) return forget(t, failed == KG_CHOLESKY_STOPPED ? KG_QP_STOPPED : KG_QP_NUMERICAL);
        t->la->forward(nf, t->l, t->ldl, t->r, t->w, t->ldl);
    } else {
        for (int i = 0; i < nf; i++) t->l[i] = sqrt(t->own[t->free[i]] + t->prox[t->free[i]]);
        for (int j = 0; j < t->r; j++)
            for (int i = 0; i < nf; i++) t->w[j * t->ldl + i] /= t->l[i];
    }
    schur(t);
    status = kg_kkt_rows(t, na, active);
    t->ready = status == 0;
    t->factor_ns += kg_now_ns() - start;
    return status;
}

/* S changes by the outer product of one column of W. */
static void schur_update(kg_kkt *t, int column, double sign) {
    for (int i = 0; i < t->r; i++) {
        double a = sign * t->w[i * t->ldl + column];
        if (a != 0.0)
            for (int j = 0; j <= i; j++) t->s[(size_t)i * t->r + j] -= a * t->w[j * t->ldl + column];
    }
}

static int refresh(kg_kkt *t) {
    t->updated++;
    if (++t->updates > UPDATES_MAX) return kg_kkt_factor(t, t->nf, t->free, t->na, t->active);
    return kg_kkt_rows(t, t->na, t->active);
}

int kg_kkt_add(kg_kkt *t, int name) {
    int at = t->nf;
    if (at >= t->ldl) { /* no room: a fresh factorisation makes it */
        t->free[at] = name;
        for (int i = 0; i < at; i++) t->place[t->free[i]] = -1;
        t->nf = 0;
        return kg_kkt_factor(t, at + 1, t->free, t->na, t->active);
    }
    int64_t start = kg_now_ns();
    if (t->h) {
        double *row = t->l + at * t->ldl;
        const double *from = t->h + name * t->ldh;
        for (int j = 0; j < at; j++) row[j] = from[t->free[j]];
        t->la->forward(at, t->l, t->ldl, 1, row, t->ldl);
        double pivot = from[name] + t->prox[name] - t->la->dot(at, row, row);
        if (!(pivot > 0.0)) return KG_QP_NUMERICAL;
        row[at] = sqrt(pivot);
        for (int j = 0; j < t->r; j++) {
            double *w = t->w + j * t->ldl;
            w[at] = (t->b[j * t->ldb + name] - t->la->dot(at, row, w)) / row[at];
        }
    } else {
        t->l[at] = sqrt(t->own[name] + t->prox[name]);
        for (int j = 0; j < t->r; j++) t->w[j * t->ldl + at] = t->b[j * t->ldb + name] / t->l[at];
    }
    t->free[at] = name;
    t->place[name] = at;
    t->nf++;
    schur_update(t, at, 1.0);
    int status = refresh(t);
    t->factor_ns += kg_now_ns() - start;
    return status;
}

int kg_kkt_remove(kg_kkt *t, int name) {
    int64_t start = kg_now_ns();
    int at = t->place[name], last = t->nf - 1;
    if (t->h) {
        t->la->cholesky_remove(t->nf, t->l, t->ldl, at, t->r, t->w, t->ldl);
        schur_update(t, last, -1.0);
        for (int i = at; i < last; i++) t->place[t->free[i] = t->free[i + 1]] = i;
    } else {
        schur_update(t, at, -1.0);
        t->l[at] = t->l[last];
        for (int j = 0; j < t->r; j++) t->w[j * t->ldl + at] = t->w[j * t->ldl + last];
        t->place[t->free[at] = t->free[last]] = at;
    }
    t->place[name] = -1;
    t->nf = last;
    int status = refresh(t);
    t->factor_ns += kg_now_ns() - start;
    return status;
}

void kg_kkt_solve(kg_kkt *t, double *rf, double *rr) {
    int nf = t->nf, r = t->r;
    if (t->h) t->la->forward(nf, t->l, t->ldl, 1, rf, nf);
    else
        for (int i = 0; i < nf; i++) rf[i] /= t->l[i];
    for (int i = 0; i < t->na; i++) rr[i] = t->la->dot(nf, t->w + t->active[i] * t->ldl, rf) - rr[i];
    t->la->forward(t->na, t->ls, r, 1, rr, r);
    t->la->backward(t->na, t->ls, r, rr);
    for (int i = 0; i < t->na; i++) t->scratch[i] = -rr[i];
    t->la->add_rows(nf, t->na, t->scratch, t->active, t->w, t->ldl, rf);
    if (t->h) t->la->backward(nf, t->l, t->ldl, rf);
    else
        for (int i = 0; i < nf; i++) rf[i] /= t->l[i];
}
