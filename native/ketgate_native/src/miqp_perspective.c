/* When to choose the diagonal of the perspective bound anew.
 *
 * The best diagonal hangs on the node: names that are ruled out no longer limit it, names that are held need none.
 * So a node that has decided a few names more than its diagonal knew tries a new one, and keeps it for its subtree
 * if the bound rises enough. */
#include <math.h>
#include <string.h>

#include "miqp_search.h"

enum { SWEEPS_ROOT = 12, SWEEPS_NODE = 8 };
static const double SWEEP_WORK = 2e9;  /* multiply-adds of all sweeps at most, unless two need more */
static const double RISE_LEAST = 0.05; /* of the gap: less is not worth a diagonal of its own */

/* What more diagonal on a name would bring: the slope of the perspective bound, x^2 (1/z - 1) / 2, and a little for
 * names that may enter. */
static int weigh(mq_search *s) {
    const mq_problem *p = &s->p;
    double total = 0;
    int count = 0;
    for (int i = 0; i < p->n; i++) {
        double x = s->r.x[i], z = mq_pieces_fraction(&s->r.piece[i], x);
        s->weight[i] = 0;
        if (s->now.allowed[i] == MQ_ZERO) continue;
        s->list[count++] = i;
        if (!(s->now.allowed[i] & MQ_ZERO) || z <= 0) continue;
        s->weight[i] = x * x * (1 / z - (s->r.rho > 0 ? 0.95 : 0));
        total += s->weight[i];
    }
    double least = total > 0 ? 0.6 * total / (count + 1) : 1;
    for (int k = 0; k < count; k++)
        if (s->now.allowed[s->list[k]] & MQ_ZERO) s->weight[s->list[k]] += least;
    return count;
}

static int sweeps_for(int names, int at_root) {
    double most = SWEEP_WORK / ((double)names * names * names + 1);
    int wanted = at_root ? SWEEPS_ROOT : SWEEPS_NODE;
    return most >= wanted ? wanted : most > 2 ? (int)most : 2;
}

int mq_sharpen(mq_search *s, double *bound, double *rho, int at_root) {
    mq_problem *p = &s->p;
    size_t bytes = (size_t)p->n * sizeof(double);
    double before = *bound, level = s->level, old_rho = *rho;
    int count = weigh(s);
    memcpy(s->old_d, p->d, bytes);
    mq_diagonal(p, s->list, count, s->weight, sweeps_for(count, at_root), s->work, s->monitor);
    s->diagonals++;
    int state = mq_evaluate(s, bound, rho, at_root ? 12 : 3);
    if (state) return state;
    if (s->level < level || *bound - before < RISE_LEAST * (mq_cutoff(s) - before)) {
        if (s->level < level) { /* worse: back to the old one, and to a point that fits it */
            memcpy(p->d, s->old_d, bytes);
            mq_set_diagonal(p);
            *rho = old_rho;
            state = mq_evaluate(s, bound, rho, 3);
            if (state) return state;
        }
        return MQ_KEPT;
    }
    return 0;
}
