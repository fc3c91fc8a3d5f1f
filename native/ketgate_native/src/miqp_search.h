/* The state of one run, shared by root, tree and heuristics. */
#ifndef KETGATE_MIQP_SEARCH_H
#define KETGATE_MIQP_SEARCH_H

#include "miqp_internal.h"
#include "miqp_relax.h"
#include "miqp_setup.h"

typedef struct { int users, names; double d[]; } mq_shared_d;   /* a diagonal and how many names it covers */

typedef struct mq_node {
    double bound, rho;
    mq_shared_d *diagonal;        /* NULL: the root's */
    int64_t order;                /* when it was made: ties go to the older */
    int depth, count;             /* names that are not 0 in x */
    struct mq_node *below;        /* in the stack */
    double *y, *xl, *xu, *x;      /* m; n or NULL; n or NULL; count */
    int *name;                    /* count */
    unsigned char *allowed;       /* n */
} mq_node;

typedef struct {
    const mq_request *request;
    const mq_options *options;
    mq_answer *answer;
    kg_monitor *monitor;
    mq_scale scale;
    mq_problem p;
    mq_arena arena;               /* of p and what follows */
    mq_relax r, trial;            /* the node's relaxation; the heuristics' */
    mq_choice now, try;
    mq_selection s;
    double *work;                 /* 2 n ld */
    double *weight, *old_d, *root_d; /* n */
    double level;                 /* best bound of the last evaluation alone */
    int64_t diagonals;
    mq_shared_d *diagonal;        /* of the present node */
    double *point, *best_point;   /* the caller's n, the caller's units */
    double ceiling;               /* no point of the box is worth more, in p's units: a bound above proves infeasible */
    double best;                  /* scaled, with constant */
    double told;                  /* the last value that the monitor heard, in the caller's units */
    double best_size;             /* sum of the sizes of the objective's parts at best, scaled */
    double proven;                /* scaled, with constant: what was proven of all that was closed */
    double reported;              /* scaled: the highest bound told */
    int64_t nodes, order, pivots_before;
    mq_node **heap, *stack;
    int64_t open, capacity, stacked;
    double open_bytes;
    double *spare;                /* n */
    int *list, nonzero;           /* n */
} mq_search;

/* Workspaces for the present p; 0, or -1 without memory. */
int mq_search_memory(mq_search *s);

double mq_gap(const mq_search *s);              /* between best and bound at which the search is done */
double mq_cutoff(const mq_search *s);           /* prune at this bound, in p's units (without its constant) */
int mq_stopped(mq_search *s);
/* Offer x (of p). Checked and valued in the caller's numbers; 1 if it is feasible. */
int mq_offer(mq_search *s, const double *x);
int mq_offer_point(mq_search *s, const double *point); /* of the caller's problem */

/* Solve with exactly these choices (nothing undecided) and offer; value without constant, INFINITY if infeasible. */
double mq_try(mq_search *s, const mq_choice *c);
/* Hold the names that the caller's point holds, with its signs, and offer what is best then. */
void mq_follow(mq_search *s, const double *point);
/* A first point without a relaxation of the whole: names join while it helps. */
void mq_start(mq_search *s);
/* From the relaxation's point: hold the largest names, then exchange names while it helps and the bound is below. */
void mq_round(mq_search *s, int exchange, double bound);

/* Relax, adding turnover rows until they hold. */
void mq_relax_with_cuts(mq_search *s, mq_relax *r, const mq_choice *c, double rho);

/* Relax the present choices, raise *bound, fix names, move *rho. 0: open, 1: closed, 2: stopped. */
int mq_evaluate(mq_search *s, double *bound, double *rho, int rounds);

/* A new diagonal for the present choices, then evaluate again. 0: it helps, else as mq_evaluate or MQ_KEPT: it is of
 * little use (the present p->d may be either; it is valid here). */
enum { MQ_KEPT = 3 };
int mq_sharpen(mq_search *s, double *bound, double *rho, int at_root);

/* Search the tree below the present choices; 0, or -1 without memory. */
int mq_tree(mq_search *s, double bound, double rho);

#endif
