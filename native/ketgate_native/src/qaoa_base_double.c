/* QAOA's loops in double precision: base. */
#include <stddef.h>
#include <stdint.h>

#define KG_VECTOR_BYTES 16
#define KG_REAL_BYTES 8
#define REAL double
#define MASK int64_t
#define FMA(a, b, c) ((a) * (b) + (c))
#define FNMA(a, b, c) ((c) - (a) * (b))
#define ISA_SINCOS kg_sincos_base
#define LOOPS kg_qaoa_loops_base_double

void kg_sincos_base(size_t count, const double *angle, double *cosine, double *sine);

#include "qaoa_loops_body.h"
