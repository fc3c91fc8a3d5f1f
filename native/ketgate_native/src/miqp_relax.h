/* Inside the relaxation: pieces and the factor of the free names. */
#ifndef KETGATE_MIQP_RELAX_H
#define KETGATE_MIQP_RELAX_H

#include "miqp_internal.h"

void mq_pieces_build(const mq_problem *p, const mq_choice *c, int i, double rho, mq_pieces *q);
/* How much of a name a holding of x counts for: its share of the line piece, 1 beyond it, 0 at 0. */
double mq_pieces_fraction(const mq_pieces *q, double x);

/* Cholesky factor of Qt + curvature over r->free, row k at L + k n. */
void mq_factor_all(mq_relax *r, kg_monitor *monitor); /* when told to stop, only the first names stay free */
void mq_factor_append(mq_relax *r, int name);
void mq_factor_remove(mq_relax *r, int k);
/* in place: L b = b, and L'b = b */
void mq_factor_forward(const mq_relax *r, double *b);
void mq_factor_backward(const mq_relax *r, double *b);

#endif
