/* QAOA's instruction set base: its table, and sines and cosines. */

#include "qaoa_pass.h"

#define KG_VECTOR_BYTES 16
#define WIDE_FMA(a, b, c) ((a) * (b) + (c))
#define WIDE_FNMA(a, b, c) ((c) - (a) * (b))
#include "qaoa_sincos_body.h"

void kg_sincos_base(size_t count, const double *angle, double *cosine, double *sine);
void kg_sincos_base(size_t count, const double *angle, double *cosine, double *sine) {
    sincos_many(count, angle, cosine, sine);
}

static int supported(void) { return 1; }

extern const kg_qaoa_loops kg_qaoa_loops_base_double, kg_qaoa_loops_base_single;
const kg_qaoa_isa kg_qaoa_base = {
    "base", supported, {&kg_qaoa_loops_base_double, &kg_qaoa_loops_base_single}, kg_sincos_base};
