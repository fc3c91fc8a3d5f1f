/* The expectation of an Ising energy in QAOA's state of one layer, without a state: <C> is a sum over its terms, each a
 * product over the neighbours of one or two spins (Ozaeta, van Dam and McMahon, Quantum Sci. Technol. 7, 045036). */
#ifndef KETGATE_QAOA_P1_H
#define KETGATE_QAOA_P1_H

#include <stdint.h>

#include "monitor.h"

typedef struct {
    int64_t n;
    const double *field;
    /* Neighbours of spin i, ascending: entries start[i] .. start[i + 1]; every coupling stands twice. */
    const int64_t *start;
    const int32_t *neighbour;
    const double *weight;
} kg_p1;

/* At given gamma, <C> = single sin(2 beta) + mixed sin(4 beta) + pair sin(2 beta)^2. */
typedef struct {
    double single, mixed, pair;
} kg_p1_terms;

/* And the derivatives of the three by gamma. 0, -1 without memory, 1 when stopped. */
int kg_p1_evaluate(const kg_p1 *problem, double gamma, kg_monitor *monitor, kg_p1_terms *terms, kg_p1_terms *slopes);

#endif
