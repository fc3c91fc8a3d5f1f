/* A density matrix in the Pauli basis: real numbers r_P = Tr(P rho), index sum of 4^q times the letter on qubit q (0 I,
 * 1 X, 2 Y, 3 Z). Maps are their real Pauli transfer matrices: half the memory and a quarter of the products of complex
 * superoperators, and the expectation of a Pauli string is one number of the vector.
 */
#ifndef KETGATE_DM_PAULI_H
#define KETGATE_DM_PAULI_H

#include "dm_isa.h"
#include "monitor.h"

enum { KG_PAULI_DONE = 0, KG_PAULI_STOPPED = 1, KG_PAULI_NO_MEMORY = 2 };

typedef struct {
    int qubits;
    int64_t count;
    const int32_t *size;    /* (count) qubits of each map */
    const int32_t *on;      /* their numbers, joined */
    const double *matrices; /* (4^size, 4^size) each, joined */
    int size_max;
} kg_pauli_maps;

int kg_pauli_apply(double *vector, const kg_pauli_maps *maps, int threads, const kg_dm_isa *isa, kg_monitor *monitor);

#endif
