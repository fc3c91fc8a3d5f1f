/* Good points early, and a first one before anything is relaxed: names join while it helps. Later, hold the largest
 * names of the relaxation. Then exchange one name for another while it helps. */
#include <math.h>
#include <string.h>

#include "miqp_search.h"

enum { CANDIDATES = 10, TRIES = 600, START_TRIES = 60 };
enum { START_NAMES = 128, JOIN_SHARE = 8 };

static double value_of(const mq_relax *r) {
    const mq_problem *p = r->p;
    double quadratic = 0, linear = 0, rest = 0;
    for (int i = 0; i < p->n; i++) {
        double x = r->x[i];
        if (p->has_costs) rest += mq_trade_cost(p, i, x);
        if (x == 0) continue;
        quadratic += x * (r->gamma[i] - p->c[i]);
        linear += x * p->c[i];
        rest += 0.5 * p->d[i] * x * x;
    }
    for (int k = 0; k < p->rows; k++) quadratic += r->y[k] * r->w[k];
    return 0.5 * quadratic + linear + rest;
}

static int rows_hold(const mq_relax *r) {
    for (int k = 0; k < r->p->rows; k++) {
        double low = r->p->row_lower[k], up = r->p->row_upper[k], slack = 1e-9 * (1 + fabs(r->w[k]));
        if (r->w[k] < low - slack || r->w[k] > up + slack) return 0;
    }
    return 1;
}

double mq_try(mq_search *s, const mq_choice *c) {
    mq_relax *r = &s->trial;
    mq_relax_with_cuts(s, r, c, 0);
    if (!rows_hold(r)) {
        memset(r->y, 0, (size_t)(s->p.m + MQ_CUTS + 1) * sizeof(double)); /* run-away multipliers are a bad start */
        return INFINITY;
    }
    double value = value_of(r);
    if (value + s->p.constant < s->best && !s->p.has_lots) mq_offer(s, r->x);
    return value;
}

/* Round to lots: nearest, towards zero, away from it; what does not hold the rows is refused by the offer. */
static void offer_rounded(mq_search *s) {
    const mq_problem *p = &s->p;
    for (int way = 0; way < 3; way++) {
        for (int i = 0; i < p->n; i++) {
            double x = s->trial.x[i], lot = p->lot[i];
            double lots = lot > 0 ? x / lot : 0;
            lots = way == 0 ? nearbyint(lots) : way == 1 ? trunc(lots) : copysign(ceil(fabs(lots)), x);
            if (lot > 0) x = lots * lot;
            s->spare[i] = x;
        }
        mq_offer(s, s->spare);
    }
}

static void hold(mq_search *s, int i) {
    int allowed = s->now.allowed[i] & ~MQ_ZERO;
    if (allowed == (MQ_POSITIVE | MQ_NEGATIVE)) {
        double lean = s->r.x[i] != 0 ? s->r.x[i] : -s->r.gamma[i];
        allowed = lean >= 0 ? MQ_POSITIVE : MQ_NEGATIVE;
    }
    s->try.allowed[i] = (unsigned char)allowed;
}

/* First support: names that must be held, then the largest, then the least harmful up to the least count. */
static int first_support(mq_search *s) {
    const mq_problem *p = &s->p;
    int held = 0;
    for (int i = 0; i < p->n; i++) {
        s->try.allowed[i] = MQ_ZERO;
        if (s->now.allowed[i] & MQ_ZERO) continue;
        hold(s, i);
        held++;
    }
    for (; held < p->names_max; held++) {
        int best = -1;
        double most = 0;
        for (int i = 0; i < p->n; i++)
            if (s->try.allowed[i] == MQ_ZERO && s->now.allowed[i] != MQ_ZERO && fabs(s->r.x[i]) > most)
                most = fabs(s->r.x[best = i]);
        if (best < 0) break;
        hold(s, best);
    }
    for (; held < p->names_min; held++) {
        int best = -1;
        double least = INFINITY;
        for (int i = 0; i < p->n; i++) {
            if (s->try.allowed[i] != MQ_ZERO || s->now.allowed[i] == MQ_ZERO || isnan(s->s.delta[i])) continue;
            if (s->s.delta[i] < least || best < 0) least = s->s.delta[best = i];
        }
        if (best < 0) break;
        hold(s, best);
    }
    return held;
}

/* How much a holding of i would help at the trial's optimum, and its sign. */
static double gain(const mq_search *s, int i, int *sign) {
    const mq_problem *p = &s->p;
    double g = s->trial.gamma[i], q = p->q[i], least = 0;
    *sign = 0;
    for (int side = 0; side < 2; side++) {
        if (!(p->allowed[i] & (side ? MQ_NEGATIVE : MQ_POSITIVE))) continue;
        double low = side ? p->low_negative[i] : p->low_positive[i], up = side ? p->up_negative[i] : p->up_positive[i];
        double x = q > 0 ? -g / q : g > 0 ? low : up;
        x = x < low ? low : x > up ? up : x;
        double change = (g + 0.5 * q * x) * x + mq_trade_cost(p, i, x) - mq_trade_cost(p, i, 0);
        if (!*sign || change < least) least = change, *sign = side ? MQ_NEGATIVE : MQ_POSITIVE;
    }
    return least;
}

static int best_outsiders(mq_search *s, int *name) {
    const mq_problem *p = &s->p;
    int count = 0, sign;
    double value[CANDIDATES];
    for (int i = 0; i < p->n; i++) {
        if (s->try.allowed[i] != MQ_ZERO || s->now.allowed[i] == MQ_ZERO) continue;
        double g = gain(s, i, &sign);
        int at = count < CANDIDATES ? count : CANDIDATES - 1;
        if (count == CANDIDATES && g >= value[at]) continue;
        for (; at > 0 && value[at - 1] > g; at--) value[at] = value[at - 1], name[at] = name[at - 1];
        value[at] = g, name[at] = i;
        if (count < CANDIDATES) count++;
    }
    return count;
}

/* Names that may go, smallest first. */
static int smallest_insiders(mq_search *s, int *name) {
    const mq_problem *p = &s->p;
    int count = 0;
    for (int i = 0; i < p->n; i++) {
        if (s->try.allowed[i] == MQ_ZERO || !(s->now.allowed[i] & MQ_ZERO)) continue;
        double size = fabs(s->trial.x[i]);
        int at = count < CANDIDATES ? count : CANDIDATES - 1;
        if (count == CANDIDATES && size >= fabs(s->trial.x[name[at]])) continue;
        for (; at > 0 && fabs(s->trial.x[name[at - 1]]) > size; at--) name[at] = name[at - 1];
        name[at] = i;
        if (count < CANDIDATES) count++;
    }
    return count;
}

/* One exchange that helps: 1 if made. -1 as a name stands for nobody. */
static int exchange_once(mq_search *s, int held, double *value, int *tries, int *change) {
    const mq_problem *p = &s->p;
    int in[CANDIDATES + 1], out[CANDIDATES + 1];
    int n_in = best_outsiders(s, in), n_out = smallest_insiders(s, out);
    in[n_in++] = -1, out[n_out++] = -1;
    for (int a = 0; a < n_in; a++)
        for (int b = 0; b < n_out; b++) {
            int after = held + (in[a] >= 0) - (out[b] >= 0);
            if (after > p->names_max || after < p->names_min || (in[a] < 0 && out[b] < 0)) continue;
            if ((*tries)++ > TRIES || mq_stopped(s)) return 0;
            unsigned char left = 0;
            if (out[b] >= 0) left = s->try.allowed[out[b]], s->try.allowed[out[b]] = MQ_ZERO;
            if (in[a] >= 0) hold(s, in[a]);
            double v = mq_try(s, &s->try);
            if (v < *value - 1e-12 * (1 + fabs(v))) {
                *value = v;
                *change = after - held;
                return 1;
            }
            if (in[a] >= 0) s->try.allowed[in[a]] = MQ_ZERO;
            if (out[b] >= 0) s->try.allowed[out[b]] = left;
        }
    return 0;
}

/* ---- the first point ---- */

/* Take in the name that helps most at the trial's optimum; any, if it must. 0: there is none. */
static int join(mq_search *s, int must) {
    const mq_problem *p = &s->p;
    int best = -1, side = 0, sign;
    double least = must ? INFINITY : 0;
    for (int i = 0; i < p->n; i++) {
        if (s->try.allowed[i] != MQ_ZERO || s->now.allowed[i] == MQ_ZERO) continue;
        double g = gain(s, i, &sign);
        if (sign && g < least) least = g, best = i, side = sign;
    }
    if (best < 0) return 0;
    s->try.allowed[best] = (unsigned char)side;
    return 1;
}

/* Rows that do not hold yet pull as strongly as all else together, so the names that serve them come first. */
void mq_start(mq_search *s) {
    const mq_problem *p = &s->p;
    int held = 0, change = 0, tries = TRIES - START_TRIES;
    for (int i = 0; i < p->n; i++) {
        s->try.allowed[i] = MQ_ZERO;
        if (s->now.allowed[i] & MQ_ZERO) continue;
        hold(s, i);
        held++;
    }
    if (held > p->names_max) return;
    double value = mq_try(s, &s->try);
    while (!mq_stopped(s)) {
        if (value < INFINITY && p->has_lots) offer_rounded(s);
        if (held == p->names_max || (value < INFINITY && held >= START_NAMES)) break;
        int joined = 0, most = 1 + held / JOIN_SHARE;
        while (joined < most && held + joined < p->names_max && join(s, held + joined < p->names_min)) joined++;
        if (joined == 0) break;
        held += joined;
        value = mq_try(s, &s->try);
    }
    if (held < p->names_min) return;
    while (value < INFINITY && held == p->names_max && exchange_once(s, held, &value, &tries, &change)) {
        held += change;
        if (p->has_lots) offer_rounded(s);
    }
}

void mq_follow(mq_search *s, const double *point) {
    const mq_problem *p = &s->p;
    for (int i = 0; i < p->n; i++) {
        double x = point[p->origin[i]] / s->scale.x;
        int sign = x > 0 ? MQ_POSITIVE : MQ_NEGATIVE, allowed = p->allowed[i];
        s->trial.x[i] = x;
        s->try.allowed[i] = (unsigned char)(x == 0 && (allowed & MQ_ZERO) ? MQ_ZERO
                                            : x != 0 && (allowed & sign)  ? sign
                                                                          : allowed);
    }
    if (mq_try(s, &s->try) < INFINITY && p->has_lots) offer_rounded(s);
}

void mq_round(mq_search *s, int exchange, double bound) {
    const mq_problem *p = &s->p;
    int held = first_support(s), change = 0, tries = 0;
    if (held > p->names_max) return;
    if (s->now.xl) {
        memcpy(s->try.xl, s->now.xl, (size_t)p->n * sizeof(double));
        memcpy(s->try.xu, s->now.xu, (size_t)p->n * sizeof(double));
    }
    memcpy(s->trial.x, s->r.x, (size_t)p->n * sizeof(double));
    memcpy(s->trial.y, s->r.y, (size_t)p->rows * sizeof(double));
    double value = mq_try(s, &s->try);
    if (p->has_lots && value < INFINITY) offer_rounded(s);
    if (!exchange || value == INFINITY) return;
    while (bound < mq_cutoff(s) && exchange_once(s, held, &value, &tries, &change)) {
        held += change;
        if (p->has_lots) offer_rounded(s);
    }
}
