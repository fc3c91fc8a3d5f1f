/* The tree: best bound first, diving while a child is nearly as good, depth first when memory is full.
 *
 * The lowest bound of all open nodes is the bound of the node that was last taken from the heap: what is made below
 * it is never lower, and what stays in the heap was not lower when it was taken. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "miqp_search.h"

static const double OPEN_BYTES = 768e6; /* beyond this the heap takes no more */
static const double RENEW_AT = 0.9;     /* a new diagonal when this share of the names it knew is undecided */
enum { RENEW_MOST = 160 };              /* names: a diagonal costs their cube */
static const double DIVE = 0.3;         /* dive on while the child is this near to the best open node */

/* ---- storing nodes ---- */

static mq_node *store(mq_search *s, const mq_choice *c, double bound, double rho, int depth) {
    const mq_problem *p = &s->p;
    size_t n = (size_t)p->n, lots = s->now.xl ? n : 0, count = 0;
    for (size_t i = 0; i < n; i++) count += s->r.x[i] != 0;
    size_t doubles = (size_t)p->m + 2 * lots + count;
    size_t bytes = sizeof(mq_node) + doubles * sizeof(double) + count * sizeof(int) + n;
    mq_node *node = malloc(bytes);
    if (!node) return NULL;
    node->bound = bound, node->rho = rho, node->depth = depth, node->count = (int)count;
    node->order = s->order++;
    node->y = (double *)(node + 1);
    node->xl = node->y + p->m, node->xu = node->xl + lots, node->x = node->xu + lots;
    node->name = (int *)(node->x + count);
    node->allowed = (unsigned char *)(node->name + count);
    memcpy(node->y, s->r.y, (size_t)p->m * sizeof(double));
    if (lots) memcpy(node->xl, c->xl, n * sizeof(double)), memcpy(node->xu, c->xu, n * sizeof(double));
    memcpy(node->allowed, c->allowed, n);
    count = 0;
    for (size_t i = 0; i < n; i++)
        if (s->r.x[i] != 0) node->x[count] = s->r.x[i], node->name[count++] = (int)i;
    node->below = NULL;
    node->diagonal = s->diagonal;
    if (s->diagonal) s->diagonal->users++;
    s->open_bytes += (double)bytes;
    return node;
}

static void let_go(mq_shared_d *diagonal) {
    if (diagonal && --diagonal->users == 0) free(diagonal);
}

/* Make a node's diagonal the present one; the search counts as a user of it. */
static void use_diagonal(mq_search *s, mq_shared_d *diagonal) {
    if (diagonal == s->diagonal) return;
    if (diagonal) diagonal->users++;
    let_go(s->diagonal);
    s->diagonal = diagonal;
    memcpy(s->p.d, diagonal ? diagonal->d : s->root_d, (size_t)s->p.n * sizeof(double));
    mq_set_diagonal(&s->p);
}

static void load(mq_search *s, mq_node *node) {
    const mq_problem *p = &s->p;
    size_t n = (size_t)p->n, bytes = n * sizeof(double);
    use_diagonal(s, node->diagonal);
    memset(s->r.x, 0, bytes);
    for (int k = 0; k < node->count; k++) s->r.x[node->name[k]] = node->x[k];
    memset(s->r.y, 0, (size_t)(p->m + MQ_CUTS + 1) * sizeof(double));
    memcpy(s->r.y, node->y, (size_t)p->m * sizeof(double));
    memcpy(s->now.allowed, node->allowed, n);
    if (s->now.xl) memcpy(s->now.xl, node->xl, bytes), memcpy(s->now.xu, node->xu, bytes);
}

static void drop(mq_search *s, mq_node *node) {
    let_go(node->diagonal);
    size_t lots = s->now.xl ? (size_t)s->p.n : 0;
    size_t doubles = (size_t)s->p.m + 2 * lots + (size_t)node->count;
    size_t bytes = sizeof *node + doubles * sizeof(double) + (size_t)node->count * sizeof(int) + (size_t)s->p.n;
    s->open_bytes -= (double)bytes;
    free(node);
}

/* ---- the heap ---- */

static int earlier(const mq_node *a, const mq_node *b) {
    return a->bound < b->bound || (a->bound == b->bound && a->order < b->order);
}

static int push(mq_search *s, mq_node *node) {
    if (s->open == s->capacity) {
        int64_t capacity = s->capacity ? 2 * s->capacity : 256;
        mq_node **heap = realloc(s->heap, (size_t)capacity * sizeof *heap);
        if (!heap) return -1;
        s->heap = heap;
        s->capacity = capacity;
    }
    int64_t at = s->open++;
    while (at > 0 && earlier(node, s->heap[(at - 1) / 2])) {
        s->heap[at] = s->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    s->heap[at] = node;
    return 0;
}

static mq_node *pop(mq_search *s) {
    mq_node *top = s->heap[0], *last = s->heap[--s->open];
    int64_t at = 0;
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= s->open) break;
        if (child + 1 < s->open && earlier(s->heap[child + 1], s->heap[child])) child++;
        if (!earlier(s->heap[child], last)) break;
        s->heap[at] = s->heap[child];
        at = child;
    }
    if (s->open > 0) s->heap[at] = last;
    return top;
}

static int keep_node(mq_search *s, mq_node *node) {
    if (s->open_bytes < OPEN_BYTES) return push(s, node);
    node->below = s->stack;
    s->stack = node;
    return 0;
}

/* ---- branching ---- */

typedef enum { DECIDED, HOLD_OR_NOT, SIGN, LOT } branch_kind;
typedef struct { branch_kind kind; int name; double value; } branch;

/* Rise of the relaxation if name i, free, goes to 0 and the other free names adapt: x_i^2 / (2 inverse_ii). */
static double rise_without(mq_search *s, int i) {
    mq_relax *r = &s->r;
    int k = r->where[i];
    if (k < 0) return 0.5 * s->p.q[i] * r->x[i] * r->x[i];
    double *e = s->spare;
    memset(e, 0, (size_t)r->nf * sizeof(double));
    e[k] = 1;
    mq_factor_forward(r, e);
    return 0.5 * r->x[i] * r->x[i] / s->p.vec->dot(r->nf, e, e);
}

/* Rise if name i is held for certain, at most: what the envelope saves at the present point. */
static double rise_with(const mq_search *s, int i) {
    const mq_problem *p = &s->p;
    const mq_pieces *q = &s->r.piece[i];
    double x = s->r.x[i], size = fabs(x), t = x > 0 ? q->tp : q->tn, d = p->d[i], rho = s->r.rho;
    double low = x > 0 ? p->low_positive[i] : -p->up_negative[i];
    if (!(size < t)) return 0;
    double price = s->r.count_row ? s->r.y[s->p.m + MQ_CUTS] : 0;
    double line = (rho + 0.5 * d * t * t - price) / t * size, held = rho - price + 0.5 * d * size * size;
    double slack = low > size ? (low - size) * s->r.scale * 1e-3 : 0;
    return fmax(held - line, 0) + slack;
}

static int off_lot(const mq_problem *p, int i, double x) {
    double lots = x / p->lot[i];
    return fabs(lots - nearbyint(lots)) > 1e-9 * (1 + fabs(lots));
}

static branch choose(mq_search *s) {
    const mq_problem *p = &s->p;
    branch best = {DECIDED, -1, 0};
    double top = -1;
    for (int i = 0; i < p->n; i++) {
        double x = s->r.x[i];
        int a = s->now.allowed[i];
        if (a == MQ_ZERO || (x == 0 && (a & MQ_ZERO))) continue;
        mq_domain m = mq_domain_of(p, &s->now, i);
        double z = mq_pieces_fraction(&s->r.piece[i], x);
        if (m.zero && (m.pos || m.neg) && z < 1 - 1e-9) {
            double score = fmax(rise_without(s, i), 1e-15) * fmax(rise_with(s, i), 1e-15);
            if (score > top || best.kind != HOLD_OR_NOT) best = (branch){HOLD_OR_NOT, i, x}, top = score;
        } else if (best.kind == HOLD_OR_NOT) {
            continue;
        } else if (m.pos && m.neg && !m.zero && x > m.nu && x < m.pl) {
            double score = fmin(x - m.nu, m.pl - x);
            if (best.kind != SIGN || score > top) best = (branch){SIGN, i, x}, top = score;
        } else if (best.kind != SIGN && p->lot[i] > 0 && off_lot(p, i, x)) {
            double part = x / p->lot[i] - floor(x / p->lot[i]);
            double score = fmin(part, 1 - part) * p->lot[i] * sqrt(p->q[i] + 1e-12);
            if (best.kind != LOT || score > top) best = (branch){LOT, i, x}, top = score;
        }
    }
    if (best.kind != DECIDED) return best;
    top = 0;
    for (int i = 0; i < p->n; i++) { /* the point is feasible, the bound does not know it yet: decide the largest */
        int a = s->now.allowed[i];
        if (!(a & MQ_ZERO) || a == MQ_ZERO || fabs(s->r.x[i]) <= top) continue;
        top = fabs(s->r.x[i]);
        best = (branch){HOLD_OR_NOT, i, s->r.x[i]};
    }
    return best;
}

/* When the point is whole and yet no proof, as where it holds fewer names than it must: the likeliest to be held. */
static branch any_undecided(const mq_search *s) {
    branch best = {DECIDED, -1, 0};
    double least = INFINITY;
    for (int i = 0; i < s->p.n; i++) {
        int a = s->now.allowed[i];
        if (!(a & MQ_ZERO) || a == MQ_ZERO) continue;
        double delta = isnan(s->s.delta[i]) ? 1e300 : s->s.delta[i];
        if (delta < least) least = delta, best = (branch){HOLD_OR_NOT, i, s->r.x[i]};
    }
    return best;
}

/* Whether the relaxation's point holds every name wholly or not at all. */
static int is_whole(const mq_search *s, const branch *b) {
    if (b->kind == DECIDED) return 1;
    return b->kind == HOLD_OR_NOT && mq_pieces_fraction(&s->r.piece[b->name], b->value) >= 1 - 1e-9;
}

/* ---- children ---- */

typedef struct { unsigned char allowed; double xl, xu, bound; } child;

static int list_children(const mq_search *s, const branch *b, child *list) {
    int i = b->name, a = s->now.allowed[i], count = 0;
    double low = s->now.xl ? s->now.xl[i] : 0, up = s->now.xl ? s->now.xu[i] : 0;
    if (b->kind == LOT) {
        double lot = s->p.lot[i], below = floor(b->value / lot) * lot;
        list[count++] = (child){(unsigned char)a, low, below, 0};
        list[count++] = (child){(unsigned char)a, below + lot, up, 0};
        return count;
    }
    int first = b->value >= 0 ? MQ_POSITIVE : MQ_NEGATIVE, second = MQ_POSITIVE + MQ_NEGATIVE - first;
    if (a & first) list[count++] = (child){(unsigned char)first, low, up, 0};
    if (a & second) list[count++] = (child){(unsigned char)second, low, up, 0};
    if (a & MQ_ZERO) list[count++] = (child){MQ_ZERO, low, up, 0};
    return count;
}

/* Make the children of the present node; the first stays in s->now when it is worth diving into. 1: dive. */
static int expand(mq_search *s, const branch *b, double bound, double rho, int depth, int *memory) {
    child list[3];
    int count = list_children(s, b, list), i = b->name, dive = -1;
    double best_open = s->open > 0 ? s->heap[0]->bound : INFINITY, cutoff = mq_cutoff(s);
    int near = bound <= best_open || !(cutoff < INFINITY) || bound - best_open <= DIVE * (cutoff - best_open);
    for (int k = 0; k < count; k++) {
        if (k == 0 && near) {
            dive = k;
            continue;
        }
        unsigned char allowed = s->now.allowed[i];
        double low = 0, up = 0;
        if (s->now.xl) low = s->now.xl[i], up = s->now.xu[i], s->now.xl[i] = list[k].xl, s->now.xu[i] = list[k].xu;
        s->now.allowed[i] = list[k].allowed;
        mq_node *node = store(s, &s->now, bound, rho, depth + 1);
        if (!node || keep_node(s, node)) {
            if (node) drop(s, node);
            *memory = -1;
            return 0;
        }
        s->now.allowed[i] = allowed;
        if (s->now.xl) s->now.xl[i] = low, s->now.xu[i] = up;
    }
    if (dive < 0) return 0;
    s->now.allowed[i] = list[dive].allowed;
    if (s->now.xl) s->now.xl[i] = list[dive].xl, s->now.xu[i] = list[dive].xu;
    return 1;
}

/* ---- the run ---- */

static void report(mq_search *s, double bound) {
    double whole = fmin(bound + s->p.constant, s->best);
    if (!(whole > s->reported)) return;
    s->reported = whole;
    if (s->monitor) kg_offer_bound(s->monitor, whole / s->scale.objective, s->nodes);
}

static int next_node(mq_search *s, double *bound, double *rho, int *depth, double *floor_bound) {
    while (s->stack || s->open > 0) {
        mq_node *node = s->stack;
        if (node) {
            s->stack = node->below;
        } else {
            node = pop(s);
            *floor_bound = node->bound;
            report(s, node->bound);
        }
        *bound = node->bound, *rho = node->rho, *depth = node->depth;
        int worth = node->bound < mq_cutoff(s);
        if (worth) load(s, node);
        else s->proven = fmin(s->proven, node->bound + s->p.constant);
        drop(s, node);
        if (worth) return 1;
    }
    return 0;
}

static void leave(mq_search *s, double floor_bound, int inside) {
    if (inside || s->stack) s->proven = fmin(s->proven, floor_bound + s->p.constant);
    if (s->open > 0) s->proven = fmin(s->proven, s->heap[0]->bound + s->p.constant);
    while (s->stack) {
        mq_node *node = s->stack;
        s->stack = node->below;
        drop(s, node);
    }
    for (int64_t k = 0; k < s->open; k++) drop(s, s->heap[k]);
    let_go(s->diagonal);
    s->diagonal = NULL;
    free(s->heap);
    s->heap = NULL;
    s->open = s->capacity = 0;
}

/* How many names the node leaves to decide. */
static int undecided(const mq_search *s) {
    int count = 0;
    for (int i = 0; i < s->p.n; i++) count += (s->now.allowed[i] & MQ_ZERO) && s->now.allowed[i] != MQ_ZERO;
    return count;
}

/* Try a diagonal of its own for this node once enough names are decided. As mq_evaluate; -1 without memory. */
static int renew(mq_search *s, double *bound, double *rho) {
    int names = undecided(s), known = s->diagonal ? s->diagonal->names : s->p.n;
    if (!(s->r.rho > 0) || names > RENEW_AT * known || names > RENEW_MOST) return 0;
    size_t bytes = (size_t)s->p.n * sizeof(double);
    mq_shared_d *fresh = malloc(sizeof *fresh + bytes);
    if (!fresh) return -1;
    fresh->users = 1;
    fresh->names = names;
    int state = mq_sharpen(s, bound, rho, 0);
    memcpy(fresh->d, s->p.d, bytes); /* kept or not: its count of names says when to try again */
    let_go(s->diagonal);
    s->diagonal = fresh;
    return state == MQ_KEPT ? 0 : state;
}

/* Bound the present node and say where to branch. As mq_evaluate; -1 without memory. */
static int decide(mq_search *s, double *bound, double *rho, branch *b) {
    int closed = mq_evaluate(s, bound, rho, 3);
    if (!closed) closed = renew(s, bound, rho);
    if (!closed) *b = choose(s);
    /* Nothing is split: too many names is no longer the question. Ends: rho comes back only with a name fixed. */
    while (!closed && *rho > 0 && is_whole(s, b)) {
        *rho = 0;
        closed = mq_evaluate(s, bound, rho, 1);
        if (!closed) *b = choose(s);
    }
    return closed;
}

int mq_tree(mq_search *s, double bound, double rho) {
    memcpy(s->root_d, s->p.d, (size_t)s->p.n * sizeof(double));
    double floor_bound = bound;
    int depth = 0, inside = 1, memory = 0;
    while (inside || next_node(s, &bound, &rho, &depth, &floor_bound)) {
        inside = 1;
        if (s->nodes >= s->options->nodes_max || mq_stopped(s)) break;
        s->nodes++;
        branch b = {DECIDED, -1, 0};
        int closed = decide(s, &bound, &rho, &b);
        if (closed < 0) memory = -1;
        if (closed < 0 || closed == 2) break;
        inside = 0;
        if (!closed) {
            if (is_whole(s, &b))
                mq_offer(s, s->r.x);
            else if (s->nodes % 64 == 0)
                mq_round(s, 0, bound);
            closed = bound >= mq_cutoff(s);
            if (!closed && b.kind == DECIDED) b = any_undecided(s);
            closed |= b.kind == DECIDED;
        }
        if (closed) {
            s->proven = fmin(s->proven, bound + s->p.constant);
            continue;
        }
        inside = expand(s, &b, bound, rho, depth, &memory);
        depth++;
        if (memory) break;
    }
    leave(s, floor_bound, inside);
    return memory;
}
