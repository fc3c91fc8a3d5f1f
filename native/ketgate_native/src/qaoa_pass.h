/* What one pass over the tiles does; shared by the driver and the loops of each instruction set. */
#ifndef KETGATE_QAOA_PASS_H
#define KETGATE_QAOA_PASS_H

#include "qaoa.h"

/* A mixer on the bits of a tiling, as 1 - i tan X, `repeat` times. */
typedef struct {
    int repeat; /* 0: none */
    double tangent[KG_QAOA_QUBITS_MAX]; /* by tile bit */
    double cosine[KG_QAOA_QUBITS_MAX];
    int fold; /* also the flip of all bits */
    double fold_tangent, fold_cosine;
    double gain; /* product of all cosines, repeats counted: what the state is to be multiplied with */
} kg_mix;

/* A diagonal, cut for a tiling. Value at (cell bits c, other tile bits t, outer bits o):
 * inner[c] + sum_k s_k(c) (field[t, k] + outer_k(o)) + rest[t] + ..., completed for each tile. */
typedef struct {
    const kg_tiling *tiling;
    int n, ising;        /* ising: there is more than a table */
    const double *table; /* or NULL */
    double table_factor;
    double scale;                    /* real factor on a phase */
    double pair[KG_QAOA_QUBITS_MAX * KG_QAOA_QUBITS_MAX], field[KG_QAOA_QUBITS_MAX]; /* by qubit */
    double inner[KG_CELL];
    double cosine[KG_CELL], sine[KG_CELL]; /* of inner, scaled */
    double *cell_field; /* (2^(bits - 8), 8) */
    double *cell_rest;  /* (2^(bits - 8)) */
} kg_cut;

/* Product state on a tiling. */
typedef struct {
    double inner[KG_CELL], *rest; /* rest: (2^(bits - 8)) */
    double outer[KG_QAOA_QUBITS_MAX][2];
} kg_product;

enum { KG_SUMS = 3 * (KG_QAOA_QUBITS_MAX + 1) + 2 };

/* Sums over one tile: by value, [0] expectation or derivative by gamma; then derivatives by beta of `before` and
 * `after`, bit by bit, the fold last; then by turn, by tile and outer bit. */
enum {
    KG_SUM_VALUE = 0,
    KG_SUM_BEFORE = 1,
    KG_SUM_AFTER = KG_SUM_BEFORE + KG_QAOA_QUBITS_MAX + 1,
    KG_SUM_TURN = KG_SUM_AFTER + KG_QAOA_QUBITS_MAX + 1
};

typedef struct {
    kg_qaoa_state *state;
    const kg_tiling *tiling;
    int pairs; /* tiles come with the one of flipped outer bits */
    int store;
    const kg_product *fill; /* instead of what is stored, or NULL */
    const kg_cut *phase;    /* or NULL */
    const kg_cut *observable;
    int turns; /* derivatives by turn are wanted */
    kg_mix before, after;
    double *sums; /* (tiles, KG_SUMS) */
} kg_pass;

typedef struct {
    void *tile[2][2]; /* of psi and lambda: the tile, and its pair */
    double *field, *field_cosine, *field_sine; /* of the cells of one tile, for the phase: (cells, 9) */
    double *value_field;                       /* and for the observable */
    double *row; /* (2 KG_CELL) */
    void *frame; /* what `begin` made of the pass, in the loops' own precision */
} kg_scratch;

typedef struct {
    int lanes;
    size_t frame_bytes;
    /* Before a member's first tile of a pass. */
    void (*begin)(const kg_pass *pass, kg_scratch *scratch);
    void (*forward)(const kg_pass *pass, int64_t tile, kg_scratch *scratch);
    /* Ends the last layer, then lambda = observable psi, then undoes that layer's part on lambda. */
    void (*turn)(const kg_pass *pass, int64_t tile, kg_scratch *scratch);
    /* Undoes what forward did, on both; phase is the inverse one, observable the cost. */
    void (*reverse)(const kg_pass *pass, int64_t tile, kg_scratch *scratch);
} kg_qaoa_loops;

struct kg_qaoa_isa {
    const char *name;
    int (*supported)(void);
    const kg_qaoa_loops *loops[2]; /* double, single */
    /* out[k] = (cos, sin) of angle[k]; within 2 units in the last place for angles below 1e9 */
    void (*sincos)(size_t count, const double *angle, double *cosine, double *sine);
};

extern const kg_qaoa_isa kg_qaoa_base;
#if defined(__x86_64__)
extern const kg_qaoa_isa kg_qaoa_avx2, kg_qaoa_avx512;
#endif

static inline size_t kg_cells(const kg_tiling *tiling) { return (size_t)1 << (tiling->bits - KG_CELL_BITS); }
static inline int64_t kg_tiles(const kg_tiling *tiling) { return (int64_t)1 << tiling->outer; }

/* Where a tile's cell begins, and how its amplitudes lie: runs of 2^run, `kg_row_stride` apart. */
static inline uint64_t kg_tile_at(const kg_tiling *tiling, int64_t tile) {
    return (uint64_t)tile << (tiling->run == tiling->bits ? tiling->bits : tiling->run);
}
static inline int kg_row_shift(const kg_tiling *tiling) { return tiling->run + tiling->outer; }

/* Cuts scale * (diagonal) (+ turn . s) for a tiling; room comes with the cut. */
void kg_cut_make(kg_cut *cut, const kg_qaoa_isa *isa, const kg_tiling *tiling, int n, const kg_diagonal *diagonal,
                 double factor, const double *turn, double turn_factor, double scale);
/* Completes a cut for one tile: field (cells, 9): 8 of the cell's bits, then the rest. */
void kg_cut_tile(const kg_cut *cut, int64_t tile, double *field);

#endif
