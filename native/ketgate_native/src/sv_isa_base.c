/* The loops over amplitudes for any CPU. */
#define KG_VECTOR_BYTES 16
#define KG_ISA base
#define KG_ISA_NAME "base"
#define KG_FMA_DOUBLE(a, b, c) ((a) * (b) + (c))
#define KG_FMA_SINGLE(a, b, c) ((a) * (b) + (c))

static int supported(void) { return 1; }

#include "sv_isa_body.h"
