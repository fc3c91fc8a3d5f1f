/* Primal active set for a separable piece-wise quadratic plus a dense quadratic over a few rows.
 *
 * Names rest on kinks or are free inside a piece; rows are idle or active with a multiplier. Each pivot solves the
 * Newton system of the free names and active rows and walks to the first kink. It starts from any point, so a child
 * node starts from its parent's: rows that do not hold yet are right-hand sides of the Newton system. The caller
 * never trusts the value reached, only the point: bounds come from mq_bound. */
#include "miqp_relax.h"

#include <math.h>
#include <string.h>

static const double GRADIENT_TOLERANCE = 1e-13, PRICE_TOLERANCE = 1e-11, ROW_TOLERANCE = 1e-13;
/* Rows are met through an augmented Lagrangian: y = shift + (limit - w) / SOFTNESS. It is convex, so every step
 * descends, dependent rows share a multiplier, and rows that cannot hold show as a violation that stays. */
static const double SOFTNESS = 1e-6;
enum { SHIFTS = 12 };
/* Names let in at once: a share of the free ones, as a large relaxation would else take a pivot of n^2 for each. At
 * least one of them moves, so none waits for ever. */
enum { ENTER_SHARE = 16, SMALL = 256 };

static int stopped(kg_monitor *monitor) { return monitor && kg_should_stop(monitor); }

/* Within a pivot: a clock is read in the time of a short row, so not for each of them. */
static int stopped_at(kg_monitor *monitor, int row) { return row % 64 == 63 && stopped(monitor); }

static int counting(const mq_relax *r) { return r->p->m + MQ_CUTS; }

int mq_relax_new(mq_relax *r, const mq_problem *p, mq_arena *arena) {
    memset(r, 0, sizeof *r);
    r->p = p;
    size_t n = (size_t)p->n + 1, rows = (size_t)counting(r) + 1;
    double **vectors[] = {&r->x, &r->gamma, &r->left, &r->right, &r->u, &r->dx, &r->cosine, &r->sine};
    for (size_t k = 0; k < sizeof vectors / sizeof *vectors; k++)
        if (!(*vectors[k] = mq_take(arena, n * sizeof(double)))) return -1;
    double **by_row[] = {&r->w, &r->y, &r->shift, &r->ray, &r->dw, &r->dy, &r->rhs};
    for (size_t k = 0; k < sizeof by_row / sizeof *by_row; k++)
        if (!(*by_row[k] = mq_take(arena, rows * sizeof(double)))) return -1;
    r->piece = mq_take(arena, n * sizeof *r->piece);
    r->where = mq_take(arena, n * sizeof(int));
    r->at = mq_take(arena, n * sizeof(int));
    r->free = mq_take(arena, n * sizeof(int));
    r->active = mq_take(arena, rows * sizeof(int));
    r->state = mq_take(arena, rows);
    r->L = mq_take(arena, n * n * sizeof(double));
    r->V = mq_take(arena, rows * n * sizeof(double));
    r->S = mq_take(arena, rows * rows * sizeof(double));
    if (!r->piece || !r->where || !r->at || !r->free || !r->active || !r->state || !r->L || !r->V || !r->S) return -1;
    r->scale = 1;
    for (int i = 0; i < p->n; i++) {
        r->scale = fmax(r->scale, fabs(p->c[i]));
        if (p->has_costs) r->scale = fmax(r->scale, fmax(p->buy[i], p->sell[i]));
    }
    return 0;
}

/* ---- the state of one name ---- */

static void rest_on(mq_relax *r, int i, int kink) {
    const mq_pieces *q = &r->piece[i];
    double price = r->count_row ? r->y[counting(r)] : 0, b = q->b[kink];
    r->at[i] = kink;
    r->where[i] = -1;
    r->left[i] = kink == 0 ? -INFINITY : q->a[kink - 1] + q->h[kink - 1] * b - price * q->g[kink - 1];
    r->right[i] = kink == q->count ? INFINITY : q->a[kink] + q->h[kink] * b - price * q->g[kink];
}

static void set_free(mq_relax *r, int i, int piece) {
    r->at[i] = piece;
    r->left[i] = -INFINITY; /* never priced */
    r->right[i] = INFINITY;
}

static double row_entry(const mq_relax *r, int row, int i) {
    if (row == counting(r)) return r->piece[i].g[r->at[i]];
    return r->p->A[(size_t)row * r->p->ld + i];
}

static void place(mq_relax *r, int i) {
    const mq_pieces *q = &r->piece[i];
    double x = r->x[i];
    if (!(x > q->b[0])) x = q->b[0];
    if (x > q->b[q->count]) x = q->b[q->count];
    r->x[i] = x;
    int s = 0;
    while (s < q->count && x > q->b[s]) s++;
    if (x >= q->b[s]) {
        rest_on(r, i, s);
    } else {
        r->free[r->nf++] = i;
        set_free(r, i, s - 1);
    }
}

/* ---- gradients and rows at the present point ---- */

static void measure(mq_relax *r) {
    const mq_problem *p = r->p;
    for (int k = 0; k < p->rows; k++) r->w[k] = p->vec->dot(p->n, p->A + (size_t)k * p->ld, r->x);
    r->w[counting(r)] = mq_relax_names(r);
}

static void evaluate(mq_relax *r, kg_monitor *monitor) {
    const mq_problem *p = r->p;
    int rows = 0;
    memcpy(r->gamma, p->c, (size_t)p->n * sizeof(double));
    for (int i = 0; i < p->n; i++)
        if (r->x[i] != 0 && !stopped_at(monitor, rows++))
            p->vec->axpy(p->n, r->x[i], p->Qt + (size_t)i * p->ld, r->gamma);
    for (int k = 0; k < p->rows; k++)
        if (r->y[k] != 0) p->vec->axpy(p->n, -r->y[k], p->A + (size_t)k * p->ld, r->gamma);
    measure(r);
}

double mq_relax_names(const mq_relax *r) {
    double sum = 0;
    for (int i = 0; i < r->p->n; i++) {
        const mq_pieces *q = &r->piece[i];
        int two_sided = q->tp > 0 && q->tn > 0;
        sum += r->count_row && two_sided ? 1.0 : mq_pieces_fraction(q, r->x[i]);
    }
    return sum;
}

static double row_low(const mq_relax *r, int k) { return k == counting(r) ? r->p->names_min : r->p->row_lower[k]; }
static double row_up(const mq_relax *r, int k) { return k == counting(r) ? INFINITY : r->p->row_upper[k]; }

static void classify_row(mq_relax *r, int k) {
    double low = r->shift[k] + (row_low(r, k) - r->w[k]) / SOFTNESS;
    double up = r->shift[k] + (row_up(r, k) - r->w[k]) / SOFTNESS;
    r->state[k] = row_low(r, k) == row_up(r, k) ? 3 : low > 0 ? 1 : up < 0 ? 2 : 0;
    r->y[k] = r->state[k] == 0 ? 0 : r->state[k] == 2 ? up : low;
}

void mq_relax_prepare(mq_relax *r, const mq_choice *c, double rho, kg_monitor *monitor) {
    const mq_problem *p = r->p;
    int top = counting(r);
    r->rho = rho;
    r->count_row = p->names_min > 0 && rho == 0;
    if (!r->count_row) r->y[top] = 0;
    r->nf = 0;
    for (int i = 0; i < p->n; i++) {
        mq_pieces_build(p, c, i, rho, &r->piece[i]);
        place(r, i);
    }
    for (int k = 0; k < p->rows; k++) /* a multiplier whose side is gone would make the bound useless */
        if ((r->y[k] > 0 && p->row_lower[k] == -INFINITY) || (r->y[k] < 0 && p->row_upper[k] == INFINITY)) r->y[k] = 0;
    for (int k = p->rows; k <= top; k++)
        if (k < top || !r->count_row) r->y[k] = 0, r->state[k] = 0;
    memcpy(r->shift, r->y, (size_t)(top + 1) * sizeof(double));
    measure(r);
    for (int k = 0; k < p->rows; k++) classify_row(r, k);
    if (r->count_row) classify_row(r, top);
    evaluate(r, monitor);
    mq_factor_all(r, monitor);
    r->converged = r->swollen = 0;
}

/* ---- one Newton step ---- */

static double target(const mq_relax *r, int k) { return r->state[k] == 2 ? row_up(r, k) : row_low(r, k); }

static double off_row(const mq_relax *r, int k) {
    return r->w[k] - target(r, k) + SOFTNESS * (r->y[k] - r->shift[k]);
}

static void list_active(mq_relax *r) {
    r->na = 0;
    for (int k = 0; k < r->p->rows; k++)
        if (r->state[k]) r->active[r->na++] = k;
    if (r->count_row && r->state[counting(r)]) r->active[r->na++] = counting(r);
}

/* u = - gradient of the free names; returns how far gradient and active rows are from zero, in tolerances. */
static double residual(mq_relax *r) {
    double price = r->count_row ? r->y[counting(r)] : 0, worst = 0, size = r->scale;
    for (int k = 0; k < r->na; k++) size = fmax(size, fabs(r->y[r->active[k]]));
    for (int f = 0; f < r->nf; f++) {
        int i = r->free[f], s = r->at[i];
        const mq_pieces *q = &r->piece[i];
        r->u[f] = -(r->gamma[i] + q->a[s] + q->h[s] * r->x[i] - price * q->g[s]);
        worst = fmax(worst, fabs(r->u[f]));
    }
    worst /= GRADIENT_TOLERANCE * size;
    for (int k = 0; k < r->na; k++) {
        int row = r->active[k];
        worst = fmax(worst, fabs(off_row(r, row)) / (ROW_TOLERANCE * (1 + fabs(target(r, row)))));
    }
    return worst;
}

static void solve_rows(mq_relax *r) {
    int na = r->na;
    double *S = r->S, *b = r->rhs;
    for (int i = 0; i < na; i++)
        for (int j = 0; j <= i; j++) {
            double sum = S[i * na + j];
            for (int k = 0; k < j; k++) sum -= S[i * na + k] * S[j * na + k];
            if (i == j)
                S[i * na + i] = sqrt(sum > SOFTNESS ? sum : SOFTNESS);
            else
                S[i * na + j] = sum / S[j * na + j];
        }
    for (int i = 0; i < na; i++) {
        for (int k = 0; k < i; k++) b[i] -= S[i * na + k] * b[k];
        b[i] /= S[i * na + i];
    }
    for (int i = na - 1; i >= 0; i--) {
        for (int k = i + 1; k < na; k++) b[i] -= S[k * na + i] * b[k];
        b[i] /= S[i * na + i];
    }
}

/* Whether it was found before a stop. */
static int direction(mq_relax *r, kg_monitor *monitor) {
    const mq_vector *vec = r->p->vec;
    int n = r->p->n, nf = r->nf, na = r->na;
    mq_factor_forward(r, r->u);
    for (int k = 0; k < na; k++) {
        if (nf > SMALL && stopped(monitor)) return 0;
        double *v = r->V + (size_t)k * n;
        for (int f = 0; f < nf; f++) v[f] = row_entry(r, r->active[k], r->free[f]);
        mq_factor_forward(r, v);
        for (int j = 0; j <= k; j++) r->S[k * na + j] = vec->dot(nf, v, r->V + (size_t)j * n);
        r->S[k * na + k] += SOFTNESS;
        r->rhs[k] = -off_row(r, r->active[k]) - vec->dot(nf, v, r->u);
    }
    solve_rows(r);
    memcpy(r->dx, r->u, (size_t)nf * sizeof(double));
    for (int k = 0; k < na; k++) {
        r->dy[k] = r->rhs[k];
        vec->axpy(nf, r->rhs[k], r->V + (size_t)k * n, r->dx);
    }
    mq_factor_backward(r, r->dx);
    for (int k = 0; k < r->p->rows; k++) {
        double sum = 0;
        for (int f = 0; f < nf; f++) sum += row_entry(r, k, r->free[f]) * r->dx[f];
        r->dw[k] = sum;
    }
    if (!r->count_row) return 1;
    double sum = 0;
    for (int f = 0; f < nf; f++) sum += row_entry(r, counting(r), r->free[f]) * r->dx[f];
    r->dw[counting(r)] = sum;
    return 1;
}

typedef struct { double t; int name, active, idle; } mq_stop; /* indices, -1: not this */

static void nearer(mq_stop *s, double t, int name, int active, int idle) {
    if (t < 0) t = 0;
    if (t < s->t) *s = (mq_stop){t, name, active, idle};
}

static mq_stop first_stop(const mq_relax *r) {
    mq_stop stop = {1.0, -1, -1, -1};
    for (int f = 0; f < r->nf; f++) {
        int i = r->free[f], s = r->at[i];
        double dx = r->dx[f];
        if (dx > 0)
            nearer(&stop, (r->piece[i].b[s + 1] - r->x[i]) / dx, f, -1, -1);
        else if (dx < 0)
            nearer(&stop, (r->piece[i].b[s] - r->x[i]) / dx, f, -1, -1);
    }
    for (int k = 0; k < r->na; k++) {
        int row = r->active[k];
        double y = r->y[row], dy = r->dy[k];
        if ((r->state[row] == 1 && y + dy < 0) || (r->state[row] == 2 && y + dy > 0))
            nearer(&stop, -y / dy, -1, k, -1);
    }
    for (int row = 0; row <= counting(r); row++) {
        if (row == r->p->rows) row = counting(r);
        if (r->state[row] || (row == counting(r) && !r->count_row)) continue;
        double w = r->w[row], dw = r->dw[row], soft = SOFTNESS * r->shift[row];
        double low = row_low(r, row) + soft, up = row_up(r, row) + soft;
        if (dw < 0 && w >= low && w + dw < low) nearer(&stop, (low - w) / dw, -1, -1, row);
        if (dw > 0 && w <= up && w + dw > up) nearer(&stop, (up - w) / dw, -1, -1, row);
    }
    return stop;
}

static void walk(mq_relax *r, double t, kg_monitor *monitor) {
    const mq_problem *p = r->p;
    for (int f = 0; f < r->nf; f++) {
        double step = t * r->dx[f];
        if (step == 0) continue;
        if (stopped_at(monitor, f)) return;
        r->x[r->free[f]] += step;
        p->vec->axpy(p->n, step, p->Qt + (size_t)r->free[f] * p->ld, r->gamma);
    }
    for (int k = 0; k < r->na; k++) {
        int row = r->active[k];
        r->y[row] += t * r->dy[k];
        if (row < p->rows && r->dy[k] != 0) p->vec->axpy(p->n, -t * r->dy[k], p->A + (size_t)row * p->ld, r->gamma);
    }
    for (int row = 0; row < p->rows; row++) r->w[row] += t * r->dw[row];
    if (r->count_row) r->w[counting(r)] += t * r->dw[counting(r)];
}

/* The free name f has come to an end of its piece: pass into the next where the slope does not jump, else rest. */
static void meet_kink(mq_relax *r, int f) {
    int i = r->free[f], s = r->at[i], kink = r->dx[f] > 0 ? s + 1 : s;
    const mq_pieces *q = &r->piece[i];
    double moved = q->b[kink] - r->x[i];
    r->x[i] = q->b[kink];
    if (moved != 0) r->p->vec->axpy(r->p->n, moved, r->p->Qt + (size_t)i * r->p->ld, r->gamma);
    mq_factor_remove(r, f);
    rest_on(r, i, kink);
    if (kink == 0 || kink == q->count) return;
    if (r->right[i] - r->left[i] > 1e-12 * r->scale) return;
    set_free(r, i, kink > s ? kink : kink - 1);
    mq_factor_append(r, i);
}

static void take_stop(mq_relax *r, const mq_stop *stop) {
    if (stop->name >= 0) {
        meet_kink(r, stop->name);
    } else if (stop->active >= 0) {
        int row = r->active[stop->active];
        double rest = r->y[row];
        if (row < r->p->rows && rest != 0) r->p->vec->axpy(r->p->n, rest, r->p->A + (size_t)row * r->p->ld, r->gamma);
        r->y[row] = 0;
        r->state[row] = 0;
    } else if (stop->idle >= 0) {
        r->state[stop->idle] = r->dw[stop->idle] < 0 ? 1 : 2;
    }
}

/* ---- leaving a point where the free names are content ---- */

static int wake_row(mq_relax *r) {
    for (int row = 0; row <= counting(r); row++) {
        if (row == r->p->rows) row = counting(r);
        if (r->state[row] || (row == counting(r) && !r->count_row)) continue;
        double slack = 1e-12 * (1 + fabs(r->w[row])), soft = SOFTNESS * r->shift[row];
        if (r->w[row] < row_low(r, row) + soft - slack)
            r->state[row] = 1;
        else if (r->w[row] > row_up(r, row) + soft + slack)
            r->state[row] = 2;
        else
            continue;
        return 1;
    }
    return 0;
}

static int enter_names(mq_relax *r, double size, kg_monitor *monitor) {
    const mq_problem *p = r->p;
    if (r->count_row)
        for (int i = 0; i < p->n; i++)
            if (r->where[i] < 0) rest_on(r, i, r->at[i]); /* their slopes hang on the price of a name */
    int entered = 0, most = 1 + r->nf / ENTER_SHARE;
    for (; entered < most && !(r->nf > SMALL && stopped(monitor)); entered++) {
        int i = p->vec->price(p->n, r->gamma, r->left, r->right, PRICE_TOLERANCE * size);
        if (i < 0) break;
        int kink = r->at[i], up = -(r->gamma[i] + r->right[i]) > r->gamma[i] + r->left[i];
        set_free(r, i, up ? kink : kink - 1);
        mq_factor_append(r, i);
    }
    return entered;
}

static double multiplier_size(const mq_relax *r) {
    double size = r->scale;
    for (int k = 0; k < r->na; k++) size = fmax(size, fabs(r->y[r->active[k]]));
    return size;
}

/* The largest violation of the rows themselves; shifts catch up with the multipliers. */
static double shift_rows(mq_relax *r) {
    double worst = 0;
    for (int row = 0; row <= counting(r); row++) {
        if (row == r->p->rows) row = counting(r);
        if (row == counting(r) && !r->count_row) break;
        double off = fmax(row_low(r, row) - r->w[row], r->w[row] - row_up(r, row));
        if (r->state[row] == 1 || r->state[row] == 2) off = fabs(r->w[row] - target(r, row));
        worst = fmax(worst, off / (1 + fabs(r->w[row])));
        r->ray[row] = r->y[row] - r->shift[row];
        r->shift[row] = r->y[row];
    }
    return worst;
}

void mq_relax_run(mq_relax *r, kg_monitor *monitor) {
    int64_t limit = 20 * ((int64_t)r->p->n + r->p->rows) + 200;
    int full_steps = 0, shifts = 0;
    double before = INFINITY;
    double largest = r->scale;
    for (int64_t it = 0; it < limit; it++) {
        if (stopped(monitor)) return;
        list_active(r);
        double far = residual(r), size = multiplier_size(r);
        largest = fmax(largest, size);
        if (far <= 1 || full_steps >= 3) {
            if (largest > 1e3 * size) { /* huge multipliers came and went and left rounding behind */
                evaluate(r, monitor);
                largest = size;
                full_steps = 0;
                continue;
            }
            full_steps = 0;
            if (wake_row(r)) continue;
            if (enter_names(r, size, monitor)) continue;
            double off = shift_rows(r);
            if (off > 10 * ROW_TOLERANCE && shifts++ < SHIFTS && !(shifts > 2 && off > 0.5 * before)) {
                before = off;
                continue;
            }
            r->swollen = off > 1e-9;
            r->converged = far <= 1e4;
            return;
        }
        if (!direction(r, monitor)) return;
        mq_stop stop = first_stop(r);
        walk(r, stop.t, monitor);
        r->pivots++;
        if (stop.t < 1) {
            take_stop(r, &stop);
            full_steps = 0;
        } else {
            full_steps++;
        }
    }
}
