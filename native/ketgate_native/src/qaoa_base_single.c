/* QAOA's loops in single precision: base. */
#include <stddef.h>
#include <stdint.h>

#define KG_VECTOR_BYTES 16
#define KG_REAL_BYTES 4
#define REAL float
#define MASK int32_t
#define FMA(a, b, c) ((a) * (b) + (c))
#define FNMA(a, b, c) ((c) - (a) * (b))
#define ISA_SINCOS kg_sincos_base
#define LOOPS kg_qaoa_loops_base_single

void kg_sincos_base(size_t count, const double *angle, double *cosine, double *sine);

#include "qaoa_loops_body.h"
