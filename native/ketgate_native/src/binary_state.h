/* A point of a binary program with everything that tells what a flip would do, kept up to date as variables flip.
 *
 * score of a flip = change of the objective + change of the weighted violation of the rows. */
#ifndef KETGATE_BINARY_STATE_H
#define KETGATE_BINARY_STATE_H

#include "binary.h"

typedef struct {
    const kg_binary *p;
    int8_t *x;
    double *way;      /* (n) +1 where a flip turns the variable on, -1 where off */
    double *gain;     /* (n) derivative of the objective: turning x_i from 0 to 1 adds it */
    double *penalty;  /* (n) change of the weighted violation when x_i flips */
    double *activity; /* (rows) */
    double *weight;   /* (rows) of a unit of violation, in units of the objective */
    double *base;     /* (rows) initial weight: a typical change of the objective for a typical coefficient */
    double *reach;    /* (rows) largest |coefficient| */
    int32_t *violated, *place; /* the violated rows, and where each stands among them; -1: satisfied */
    int violated_count;
    double objective;
} kg_binary_state;

int kg_binary_state_init(kg_binary_state *s, const kg_binary *p); /* 0, or -1 without memory */
void kg_binary_state_free(kg_binary_state *s);
void kg_binary_state_load(kg_binary_state *s, const int8_t *x); /* also wipes out rounding */
void kg_binary_state_flip(kg_binary_state *s, int i);
void kg_binary_state_reweigh(kg_binary_state *s, int row, double weight);
void kg_binary_state_scale_weights(kg_binary_state *s, double factor);

/* No flip of one variable can violate row r at activity a. */
static inline int kg_binary_slack(const kg_binary_state *s, int r, double a) {
    return a - s->reach[r] >= s->p->lower[r] && a + s->reach[r] <= s->p->upper[r];
}

/* How far activity a of row r lies outside its bounds, beyond the tolerance. */
static inline double kg_binary_beyond(const kg_binary *p, int r, double a) {
    double below = p->lower[r] - a, above = a - p->upper[r];
    double worse = (below > above ? below : above) - p->tolerance[r];
    return worse > 0.0 ? worse : 0.0;
}

static inline double kg_binary_change(const kg_binary_state *s, int i) { return s->way[i] * s->gain[i]; }

#endif
