/* The state vector of n qubits: qubit q is bit q of the index. Amplitudes are pairs of reals, re before im.
 *
 * A program is gates, fused into clusters (sv_fuse.c), ordered into passes (sv_plan.c) and turned into steps for one
 * instruction set and precision (sv_lower.c). A pass brings blocks of 2^b amplitudes into the cache, whose qubits are the
 * low ones and a few others, runs all its steps on each block, and puts them back: memory is read and written once a pass.
 * Qubits outside a block are constant in it, so controls and diagonal gates on them cost nothing there.
 */
#ifndef KETGATE_SV_H
#define KETGATE_SV_H

#include <stddef.h>
#include <stdint.h>

#include "monitor.h"

enum {
    KG_SV_QUBITS_MAX = 40,
    KG_SV_QUBITS_MIN = 3,    /* a vector of the widest instruction set; smaller states are padded with zeros */
    KG_SV_DENSE_MAX = 5,     /* targets of a gate with a matrix */
    KG_SV_DIAGONAL_MAX = 9,  /* targets of a diagonal one: its table stays in the first-level cache */
    KG_SV_ITEMS_MAX = 64,    /* parts of a reduction: fixed, so that sums do not depend on the number of threads */
    KG_SV_CHUNK_BITS = 11    /* amplitudes that sampling and expectations take at a time */
};

enum { KG_SV_OK = 0, KG_SV_STOPPED = 1, KG_SV_NO_MEMORY = 2 };

typedef enum { KG_SV_DOUBLE = 0, KG_SV_SINGLE = 1 } kg_sv_precision;

/* Memory that is freed all at once. */
typedef struct kg_sv_arena {
    struct kg_sv_arena_part *parts;
    size_t bytes;
    int failed;
} kg_sv_arena;

void *kg_sv_take(kg_sv_arena *arena, size_t bytes); /* zeroed, aligned to 64 bytes; NULL and failed without memory */
void kg_sv_arena_free(kg_sv_arena *arena);

/* A gate acts where (index & control) == value. Bit k of its matrix' index is target[k]. */
typedef struct {
    uint64_t control, value, targets;
    int count;
    uint8_t target[KG_SV_DIAGONAL_MAX];
    int diagonal;       /* the matrix is its diagonal */
    double *matrix;     /* complex, row-major */
    int slots, slot;    /* parameters: how many, and the place of the first among the program's */
    double *generators; /* slots of them, each like the matrix: (dU / d parameter) U^dagger */
    int next;           /* gate of the same cluster; -1: the last */
} kg_sv_gate;

/* Gates that are applied as one. Targets ascend; the controls are common to all. */
typedef struct {
    uint64_t control, value, targets;
    int count, diagonal, slots, first, last;
    double cost; /* of one amplitude, in cycles of a machine of 2023 */
    double *matrix;
    size_t transition; /* its place among all transition matrices */
} kg_sv_cluster;

/* A cluster, or its adjoint, ready to run on blocks. Indices are of vectors inside of the block. */
typedef struct {
    int diagonal, real, high, patterns; /* high: targets that are no lanes of a vector; patterns: 2^(targets that are) */
    int32_t offset[1 << KG_SV_DENSE_MAX];
    uint64_t fixed, on, count; /* bits that are not run through, their value, and how many vectors are visited */
    uint64_t outer_control, outer_value;
    uint8_t lane_xor[8];
    void *coefficients;
    int32_t *low_offset, *high_offset; /* diagonal: place in the table by the low bits and the others of the index */
    int low_bits, outers, outer_shift;
    uint8_t outer[KG_SV_DIAGONAL_MAX];
    int cluster;
    int32_t *transition_to; /* gradients: entry of the cluster's transition matrix for each lane that the loops add up;
                               -1: none. NULL: not wanted */
} kg_sv_step;

typedef struct {
    uint64_t qubits; /* of a block */
    int in_place;
    uint64_t touched; /* qubits that are no longer surely 0 behind it */
    kg_sv_step *steps;
    int count;
} kg_sv_pass;

typedef struct {
    kg_sv_pass *passes;
    int count;
} kg_sv_plan;

struct kg_sv_isa;

typedef struct {
    kg_sv_arena arena;
    int qubits, gates, capacity, clusters, slots, fuse, relabel;
    kg_sv_precision precision;
    const struct kg_sv_isa *isa;
    kg_sv_gate *gate;
    kg_sv_cluster *cluster;
    uint8_t layout[KG_SV_QUBITS_MAX]; /* where each qubit is stored behind the program: swaps only relabel */
    int block_bits;
    kg_sv_plan forward, backward;
    size_t transitions; /* complex numbers of all transition matrices */
} kg_sv_program;

/* relabel: a swap exchanges names, not amplitudes. */
int kg_sv_program_init(kg_sv_program *p, int qubits, kg_sv_precision precision, const char *isa, int capacity, int fuse,
                       int relabel);
void kg_sv_program_free(kg_sv_program *p);
/* matrix: 2^count squared complex numbers, or with diagonal 2^count of them; copied. Returns KG_SV_*. */
int kg_sv_program_add(kg_sv_program *p, const uint8_t *target, int count, uint64_t control, uint64_t value, int diagonal,
                      const double *matrix, int slots, const double *generators);
/* backward: also prepare the adjoint, for gradients. */
int kg_sv_program_finish(kg_sv_program *p, int backward);

/* What the parts of a program's making call in turn. */
void kg_sv_simplify(kg_sv_gate *gate, double tolerance);
int kg_sv_is_swap(const kg_sv_gate *gate);
int kg_sv_is_identity(const kg_sv_gate *gate);
void kg_sv_fuse(kg_sv_program *p);
void kg_sv_cluster_matrices(kg_sv_program *p);
void kg_sv_plan_passes(kg_sv_program *p, kg_sv_plan *plan, int adjoint);
void kg_sv_lower(kg_sv_program *p, kg_sv_step *step, const kg_sv_cluster *cluster, uint64_t block, int adjoint);
int kg_sv_place(uint64_t mask, int qubit); /* rank of a qubit among those of a mask */

typedef struct {
    int qubits, stored; /* stored: at least KG_SV_QUBITS_MIN */
    kg_sv_precision precision;
    const struct kg_sv_isa *isa;
    void *amplitudes;
    size_t bytes;
    uint64_t support; /* amplitudes whose index has another bit set are zero */
} kg_sv_state;

int kg_sv_state_init(kg_sv_state *s, int qubits, kg_sv_precision precision, const char *isa);
void kg_sv_state_free(kg_sv_state *s);
void kg_sv_state_zero(kg_sv_state *s); /* |0...0> */

/* How to run: monitor may be NULL. */
typedef struct {
    int threads;
    kg_monitor *monitor;
} kg_sv_how;

int kg_sv_apply(kg_sv_state *s, const kg_sv_program *p, kg_sv_how how);

/* Probabilities of the values of some qubits (bit k of the place in out: qubit[k]), added in a fixed order. */
int kg_sv_probabilities(const kg_sv_state *s, const uint8_t *qubit, int count, double *out, kg_sv_how how);
/* Indices drawn from the state, one for each shot: draw k depends on the seed and k alone. */
int kg_sv_sample(const kg_sv_state *s, uint64_t seed, int64_t shots, uint64_t *out, kg_sv_how how);
/* Keep what has (index & mask) == value, and multiply it by factor. */
int kg_sv_collapse(kg_sv_state *s, uint64_t mask, uint64_t value, double factor, kg_sv_how how);

typedef struct {
    const double *coefficients;
    const uint64_t *x, *z;
    int count;
} kg_sv_paulis;

/* <P_k> of each string, without its coefficient. Strings with the same x must stand together. */
int kg_sv_expect(const kg_sv_state *s, kg_sv_paulis paulis, double *out, kg_sv_how how);
/* out = sum_k coefficient_k P_k |s>. */
int kg_sv_paulis_apply(const kg_sv_state *s, kg_sv_paulis paulis, kg_sv_state *out, kg_sv_how how);
/* state: the result of the program, which is undone; other: an observable applied to it, undone too.
   out[slot] = d <observable> / d parameter. */
int kg_sv_gradient(kg_sv_state *state, kg_sv_state *other, const kg_sv_program *p, double *out, kg_sv_how how);

#endif
