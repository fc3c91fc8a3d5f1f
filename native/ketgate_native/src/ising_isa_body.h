/* Everything that is compiled for each instruction set. The including file defines ISA (suffix of names), ISA_NAME,
 * ISA_SUPPORTED and KG_X86_VECTORS (1: 256-bit intrinsics; 0: the compiler's generic vectors). */
#include <math.h>
#include <string.h>

#define JOIN2(a, b) a##_##b
#define JOIN(a, b) JOIN2(a, b)

#if KG_X86_VECTORS
enum { VECTOR = 32 };
#else
enum { VECTOR = 16 }; /* wider ones are torn to scalars where the machine lacks them */
#endif
typedef int8_t v_int8 __attribute__((vector_size(VECTOR), may_alias));
typedef int16_t v_int16 __attribute__((vector_size(VECTOR), may_alias));
typedef int32_t v_int32 __attribute__((vector_size(VECTOR), may_alias));
typedef float v_float __attribute__((vector_size(VECTOR), may_alias));
typedef int64_t v_int64 __attribute__((vector_size(VECTOR), may_alias));

#if KG_X86_VECTORS
#define ANY_BITS(x) (!_mm256_testz_si256((__m256i)(x), (__m256i)(x)))
#define SIGNED_INT8(x, s) ((v_int8)_mm256_sign_epi8((__m256i)(x), (__m256i)(s)))
#define SIGNED_INT16(x, s) ((v_int16)_mm256_sign_epi16((__m256i)(x), (__m256i)(s)))
#else
static inline int any_bits(v_int64 x) { return (x[0] | x[1]) != 0; }
static inline v_int8 signed_int8(v_int8 x, v_int8 s) { /* s in {-1, 0, 1} */
    v_int8 negative = s < 0;
    return ((x ^ negative) - negative) & (s != 0);
}
#define ANY_BITS(x) any_bits((v_int64)(x))
#define SIGNED_INT8 signed_int8
#define SIGNED_INT16(x, s) ((x) * (s))
#endif

static inline v_int32 spread(uint32_t bits) {
    v_int32 zero = {0};
    return zero + (int32_t)bits;
}

#define T int8_t
#define LANES 32
#define WIDE int16_t
#define FLUSH 128
#define FLOATING 0
#define LIMIT 126
#define NAME(x) JOIN(int8, x)
#define V v_int8
#define SIGNED SIGNED_INT8
#define GREATER(a, b) ((v_int8)((a) > (b)))
#define OR(a, b) ((a) | (b))
#define AND(a, b) ((a) & (b))
#define BROADCAST(bits) ((v_int8)spread(bits))
#include "ising_lanes_body.h"

#define T int16_t
#define LANES 16
#define WIDE int32_t
#define FLUSH 16384
#define FLOATING 0
#define LIMIT 32766
#define NAME(x) JOIN(int16, x)
#define V v_int16
#define SIGNED SIGNED_INT16
#define GREATER(a, b) ((v_int16)((a) > (b)))
#define OR(a, b) ((a) | (b))
#define AND(a, b) ((a) & (b))
#define BROADCAST(bits) ((v_int16)spread(bits))
#include "ising_lanes_body.h"

#define T float
#define LANES 8
#define WIDE double
#define FLUSH 1073741824
#define FLOATING 1
#define LIMIT 0
#define NAME(x) JOIN(float32, x)
#define V v_float
#define SIGNED(x, s) ((x) * (s))
#define GREATER(a, b) ((v_float)((a) > (b)))
#define OR(a, b) ((v_float)((v_int32)(a) | (v_int32)(b)))
#define AND(a, b) ((v_float)((v_int32)(a) & (v_int32)(b)))
#define BROADCAST(bits) ((v_float)spread(bits))
#include "ising_lanes_body.h"

/* Bit b: spin first + b of the next ROW_BITS would be turned. */
#if KG_X86_VECTORS
enum { ROW_BITS = 16 };
static inline uint32_t rows_accepted(const kg_row_state *state, int first, const float *exponentials, float scale) {
    uint32_t bits = 0;
    __m256 minus = _mm256_set1_ps(-scale);
    for (int k = 0; k < ROW_BITS; k += 8) {
        __m256 sf = _mm256_mul_ps(_mm256_load_ps(state->spins + first + k), _mm256_load_ps(state->fields + first + k));
        __m256 threshold = _mm256_mul_ps(_mm256_loadu_ps(exponentials + first + k), minus);
        bits |= (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(sf, threshold, _CMP_GT_OQ)) << k;
    }
    return bits;
}
#else
enum { ROW_BITS = 16 };
static inline uint32_t rows_accepted(const kg_row_state *state, int first, const float *exponentials, float scale) {
    uint32_t bits = 0;
    for (int k = 0; k < ROW_BITS; k++) {
        float threshold = exponentials[first + k] * -scale;
        bits |= (uint32_t)(state->spins[first + k] * state->fields[first + k] > threshold) << k;
    }
    return bits;
}
#endif

static void scan(kg_row_state *state, int chunk, int32_t iteration) {
    const v_float *spins = (const v_float *)(state->spins + (int64_t)chunk * KG_CHUNK);
    const v_float *fields = (const v_float *)(state->fields + (int64_t)chunk * KG_CHUNK);
    const v_int32 *until = (const v_int32 *)(state->until + (int64_t)chunk * KG_CHUNK);
    enum { WIDTH = VECTOR / (int)sizeof(float) };
    v_float any = (v_float){0} - INFINITY, open = any;
    for (int k = 0; k < KG_CHUNK / WIDTH; k++) {
        v_float v = spins[k] * fields[k];
        v_int32 greater = v > any;
        any = (v_float)((greater & (v_int32)v) | (~greater & (v_int32)any));
        greater = (v > open) & (until[k] <= iteration);
        open = (v_float)((greater & (v_int32)v) | (~greater & (v_int32)open));
    }
    float any_max = -INFINITY, free_max = -INFINITY;
    for (int k = 0; k < WIDTH; k++) {
        any_max = any[k] > any_max ? any[k] : any_max;
        free_max = open[k] > free_max ? open[k] : free_max;
    }
    state->any_max[chunk] = any_max;
    state->free_max[chunk] = free_max;
}

#define ROW int8_t
#define NAME(x) JOIN(rows_int8, x)
#include "ising_rows_body.h"

#define ROW int16_t
#define NAME(x) JOIN(rows_int16, x)
#include "ising_rows_body.h"

#define ROW float
#define NAME(x) JOIN(rows_float, x)
#include "ising_rows_body.h"

const kg_isa JOIN(kg_isa, ISA) = {
    .name = ISA_NAME,
    .supported = ISA_SUPPORTED,
    .lanes = {32, 16, 8},
    .lanes_start = {int8_start, int16_start, float32_start},
    .lanes_visit = {int8_visit, int16_visit, float32_visit},
    .lanes_descend = {int8_descend, int16_descend, float32_descend},
    .lanes_energy = {int8_energy, int16_energy, float32_energy},
    .lanes_thresholds = {int8_thresholds, int16_thresholds, float32_thresholds},
    .rows_visit = {rows_int8_visit, rows_int16_visit, rows_float_visit},
    .rows_flip = {rows_int8_flip, rows_int16_flip, rows_float_flip},
    .rows_flip_scan = {rows_int8_flip_scan, rows_int16_flip_scan, rows_float_flip_scan},
    .scan = scan,
};
