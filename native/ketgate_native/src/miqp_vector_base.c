#include "miqp_vector.h"

#include "miqp_vector_body.h"

const mq_vector mq_vector_base = {body_dot, body_axpy, body_price};

#if defined(__x86_64__)
extern const mq_vector mq_vector_avx2;
#endif

const mq_vector *mq_vector_best(int base_isa) {
#if defined(__x86_64__)
    if (!base_isa && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &mq_vector_avx2;
#endif
    (void)base_isa;
    return &mq_vector_base;
}
