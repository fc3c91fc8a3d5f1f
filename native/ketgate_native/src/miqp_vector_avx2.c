#include "miqp_vector.h"

#if defined(__x86_64__)
#pragma GCC target("avx2,fma")
#include "miqp_vector_body.h"

const mq_vector mq_vector_avx2 = {body_dot, body_axpy, body_price};
#endif
