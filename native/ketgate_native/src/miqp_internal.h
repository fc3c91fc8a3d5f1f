/* What the parts of the branch-and-bound share. Everything here is in scaled units: powers of two bring the largest
 * bound, the mean of diag(Q) and each row's largest coefficient near one, so absolute tolerances mean something and
 * scaling back is exact. */
#ifndef KETGATE_MIQP_INTERNAL_H
#define KETGATE_MIQP_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "miqp.h"
#include "miqp_vector.h"

enum { MQ_ZERO = 1, MQ_POSITIVE = 2, MQ_NEGATIVE = 4 };  /* what a node still allows a name */
enum { MQ_PIECES = 5 };
enum { MQ_CUTS = 48 };                                   /* turnover cuts held at once */

/* Memory of one phase, freed together; blocks are zeroed and aligned to 64 bytes. */
typedef struct mq_block mq_block;
typedef struct { mq_block *last; } mq_arena;
void *mq_take(mq_arena *arena, size_t bytes);            /* NULL without memory */
void mq_release(mq_arena *arena);

typedef struct {
    int n, m, rows;                  /* m: the caller's rows; rows: with turnover cuts */
    size_t ld;
    double *Qt;                      /* n x ld: Q - diag(d), still positive semidefinite */
    double *q, *d;                   /* the diagonals of Q and of what Qt lacks */
    double *c, *A, *row_lower, *row_upper;
    double *lower, *upper, *position_min, *lot, *book, *buy, *sell;
    unsigned char *allowed;          /* of the root */
    double *low_positive, *up_positive, *low_negative, *up_negative;  /* where x_i != 0 may lie */
    int *origin;                     /* the caller's index */
    int names_min, names_max;
    double turnover, constant;
    int has_lots, has_costs, counts; /* counts: cardinality can bind */
    const mq_vector *vec;
} mq_problem;

/* The choices of a node. xl, xu narrow lots; NULL without lots. */
typedef struct {
    unsigned char *allowed;
    double *xl, *xu;
} mq_choice;

typedef struct { double nl, nu, pl, pu; int zero, pos, neg; } mq_domain;

static inline mq_domain mq_domain_of(const mq_problem *p, const mq_choice *c, int i) {
    int a = c->allowed[i];
    mq_domain d = {p->low_negative[i], p->up_negative[i], p->low_positive[i], p->up_positive[i],
                   a & MQ_ZERO, a & MQ_POSITIVE, a & MQ_NEGATIVE};
    if (c->xl && p->lot[i] > 0) {
        if (c->xl[i] > d.pl) d.pl = c->xl[i];
        if (c->xu[i] < d.pu) d.pu = c->xu[i];
        if (c->xl[i] > d.nl) d.nl = c->xl[i];
        if (c->xu[i] < d.nu) d.nu = c->xu[i];
        if (d.pl > d.pu) d.pos = 0;
        if (d.nl > d.nu) d.neg = 0;
        if (c->xl[i] > 0 || c->xu[i] < 0) d.zero = 0;
    }
    return d;
}

static inline double mq_trade_cost(const mq_problem *p, int i, double x) {
    double move = x - p->book[i];
    return move > 0 ? p->buy[i] * move : -p->sell[i] * move;
}

/* ---- relaxation: minimise 1/2 x'Qt x + c'x + sum_i envelope_i(x_i) over the rows ---- */

/* Derivative on piece s (from b[s] to b[s+1]) is a[s] + h[s] x - price * g[s], where price is the multiplier of
 * "at least names_min names" and g x counts the fraction of a name held. */
typedef struct {
    int count;
    double b[MQ_PIECES + 1], a[MQ_PIECES], h[MQ_PIECES], g[MQ_PIECES];
    double tp, tn;                   /* sizes where the lines end, right and left of 0; 0: no line */
} mq_pieces;

typedef struct {
    const mq_problem *p;
    mq_pieces *piece;
    double *x, *gamma;               /* gamma = Qt x + c - A'y */
    double *left, *right;            /* slopes around the kink a nonbasic name rests on */
    int *where, *at;                 /* place in free (-1: rests on kink `at`), else piece `at` */
    int nf, *free;
    double *L, *V, *u, *dx, *S, *rhs;
    double *cosine, *sine;           /* of the rotations that take a name out of L */
    double *w, *y, *shift, *dw, *dy; /* rows, the last one counts names */
    double *ray;                     /* how multipliers last grew: for rows in conflict, a proof of it */
    signed char *state;              /* 0 idle, 1 at lower, 2 at upper, 3 equation */
    int *active, na;
    int count_row;                   /* whether the counting row takes part */
    double rho;                      /* price of a name when too many are wanted */
    double scale;                    /* size of gradients, for tolerances */
    int64_t pivots;
    int converged, swollen;          /* swollen: multipliers ran away, the rows look infeasible */
} mq_relax;

int mq_relax_new(mq_relax *r, const mq_problem *p, mq_arena *arena); /* 0, or -1 without memory */
/* Make the pieces for a node's choices and a price, and bring x into them. */
void mq_relax_prepare(mq_relax *r, const mq_choice *c, double rho, kg_monitor *monitor);
/* Descend from the present x and y to the optimum. Told to stop, this and mq_relax_prepare leave gamma unfinished: ask
 * mq_stopped before anything is made of it. */
void mq_relax_run(mq_relax *r, kg_monitor *monitor);
double mq_relax_names(const mq_relax *r);  /* sum of z at the present point */

/* ---- bounds ---- */

typedef struct {
    double *delta;                   /* change of the Lagrangian when a name is held; NAN: not free to choose */
    double *slope;
    int *order;
    int chosen, chosen_min, chosen_max, undecided, held;
    double value;
} mq_selection;

/* Lagrangian bound at the relaxation's (x, y): exact minimum over the names' own domains and the count. */
double mq_bound(const mq_problem *p, const mq_choice *c, const mq_relax *r, mq_selection *s);
/* Narrow the choices by the last bound; returns how many names changed, -1 if a name has nothing left. */
int mq_fix(mq_choice *c, const mq_selection *s, double cutoff);
/* 1 if no point of the node can satisfy the rows: each row alone, and the combination y if not NULL. 0 if stopped. */
int mq_rows_impossible(const mq_problem *p, const mq_choice *c, const double *y, mq_selection *s,
                       kg_monitor *monitor);

/* ---- diagonal of the perspective bound ---- */

/* Set p->d and p->Qt: large d, weighted, with Q - diag(d) positive semidefinite over the n listed names (0 for the
 * others, which must not be held). work: 2 n ld doubles. */
void mq_diagonal(mq_problem *p, const int *name, int n, const double *weight, int sweeps, double *work,
                 kg_monitor *monitor);
/* The diagonal of Qt for the present d. */
void mq_set_diagonal(mq_problem *p);

#endif
