/* Small matrices on some bits of an index, compiled once for each instruction set; all give the same bytes.
 *
 * A vector of 2^n numbers, and a matrix on `targets` of the n index bits: for each value of the other bits the 2^targets
 * numbers are gathered, multiplied and put back; eight values of the other bits at a time, one in each lane. Rows of
 * matrices are kept sparse: noise and Clifford gates leave few entries.
 */
#ifndef KETGATE_DM_ISA_H
#define KETGATE_DM_ISA_H

#include <stddef.h>
#include <stdint.h>

enum { KG_DM_LANES = 8, KG_DM_BITS_MAX = 10, KG_DM_DIM_MAX = 1 << KG_DM_BITS_MAX, KG_DM_REDUCED_MAX = 16 };

typedef struct {
    int dim;                         /* 2^targets */
    int taken;                       /* targets and controls */
    int position[64];                /* their bits, rising */
    size_t fixed;                    /* bits of controls that are 1 */
    size_t outer;                    /* values of the other bits */
    size_t offset[KG_DM_DIM_MAX];    /* of a value of the targets; target 0 is its least significant bit */
} kg_gather;

typedef struct {
    int32_t *start;     /* (dim + 1) */
    int32_t *column;    /* at most dim^2 */
    double *real, *imaginary; /* imaginary: NULL for real matrices */
} kg_rows;

typedef struct kg_dm_isa {
    const char *name;
    int (*supported)(void);
    /* x <- M x for outer values from..to; scratch: 2 dim lanes doubles, aligned to 64 bytes */
    void (*real_apply)(double *x, const kg_gather *g, const kg_rows *m, size_t from, size_t to, double *scratch);
    void (*complex_apply)(double *re, double *im, const kg_gather *g, const kg_rows *m, double *scratch);
    /* rho_ij = sum over the other bits of x_i conj(x_j), interleaved complex (dim, dim) */
    void (*reduced)(const double *re, const double *im, const kg_gather *g, double *rho);
} kg_dm_isa;

extern const kg_dm_isa kg_dm_isa_base;
#if defined(__x86_64__)
extern const kg_dm_isa kg_dm_isa_avx2, kg_dm_isa_avx512;
#endif

const kg_dm_isa *kg_dm_isa_named(const char *name); /* NULL name: the best; NULL result: unknown or not supported here */

/* targets: index bits, the first the least significant of the matrix; controls: bits that must have their value. */
void kg_gather_make(kg_gather *g, int bits, const int32_t *targets, int count, const int32_t *controls, int control_count,
                    uint64_t control_values);
int kg_rows_init(kg_rows *m, int dim, int complex_entries); /* 0, or -1 without memory */
void kg_rows_free(kg_rows *m);
void kg_rows_real(kg_rows *m, int dim, const double *matrix);
void kg_rows_complex(kg_rows *m, int dim, const double *matrix); /* interleaved */

#endif
