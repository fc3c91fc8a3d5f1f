/* Small matrices over the targets of a cluster. */
#ifndef KETGATE_SV_MATRIX_H
#define KETGATE_SV_MATRIX_H

#include "sv.h"

/* A gate among the targets of its cluster: bits of the cluster's index. */
typedef struct {
    int size, fixed, on; /* fixed: the gate's targets and controls; on: the controls that must be 1 */
    int offset[1 << KG_SV_DIAGONAL_MAX];
} kg_sv_embedding;

kg_sv_embedding kg_sv_embed(const kg_sv_gate *gate, uint64_t targets);

/* matrix <- gate matrix, (length, length); adjoint: the gate's adjoint. */
void kg_sv_act_columns(const kg_sv_gate *gate, const kg_sv_embedding *e, int adjoint, int length, double *matrix);
void kg_sv_act_vector(const kg_sv_gate *gate, const kg_sv_embedding *e, int adjoint, int length, double *vector);

#endif
