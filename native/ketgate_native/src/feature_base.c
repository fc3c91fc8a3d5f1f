/* Feature maps: base. */

#include "feature.h"

#define KG_VECTOR_BYTES 16
#define WIDE_FMA(a, b, c) ((a) * (b) + (c))
#define WIDE_FNMA(a, b, c) ((c) - (a) * (b))
#include "feature_body.h"

static int supported(void) { return 1; }

const kg_feature_isa kg_feature_base = {"base", supported, encode};
