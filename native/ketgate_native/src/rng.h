/* Random numbers that are the same on every instruction set: integer mixing and IEEE operations only.
 *
 * A stream is (seed, index): work items take their own stream, so results do not depend on which thread runs them.
 * Generator: xoshiro256++ (Blackman and Vigna, 2019), seeded by splitmix64.
 */
#ifndef KETGATE_RNG_H
#define KETGATE_RNG_H

#include <stdint.h>
#include <string.h>

typedef struct {
    uint64_t s[4];
} kg_rng;

static inline uint64_t kg_mix64(uint64_t *state) { /* splitmix64 */
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static inline kg_rng kg_rng_stream(uint64_t seed, uint64_t index) {
    kg_rng r;
    uint64_t a = seed, b = index ^ 0xD1B54A32D192ED03u;
    uint64_t state = kg_mix64(&a) ^ kg_mix64(&b); /* both mixed: (seed + 1, 0) is not (seed, 1) */
    for (int i = 0; i < 4; i++) r.s[i] = kg_mix64(&state);
    return r;
}

static inline uint64_t kg_rng_next(kg_rng *r) {
    uint64_t *s = r->s, sum = s[0] + s[3];
    uint64_t result = ((sum << 23) | (sum >> 41)) + s[0], t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 45) | (s[3] >> 19);
    return result;
}

/* Uniform in [0, bound), bound >= 1; bias below bound / 2^32. */
static inline uint32_t kg_rng_below(kg_rng *r, uint32_t bound) {
    return (uint32_t)(((kg_rng_next(r) >> 32) * bound) >> 32);
}

static inline double kg_rng_unit(kg_rng *r) { return (double)(kg_rng_next(r) >> 11) * 0x1p-53; }

/* count exponential variates of mean 1 (-ln u, u of 24 bits, so at most 17.3). The loop has no branch and no call, so the
 * compiler turns it into SIMD; the logarithm is a polynomial because libm's may differ between instruction sets.
 * Error of the logarithm below 3e-6 absolute. */
static inline void kg_exponentials(float *restrict out, int count, kg_rng *r) {
    uint64_t key = kg_rng_next(r);
    uint32_t key0 = (uint32_t)key, key1 = (uint32_t)(key >> 32) | 1u;
    for (int i = 0; i < count; i++) {
        uint32_t x = ((uint32_t)i * 0x9E3779B9u) ^ key0; /* counter hash: lowbias32 (Wellons), keyed twice */
        x = (x ^ (x >> 16)) * 0x7FEB352Du;
        x = (x ^ (x >> 15)) * key1;
        x = (x ^ (x >> 13)) * 0x846CA68Bu;
        x ^= x >> 16;
        int32_t mantissa24 = (int32_t)(x >> 8);
        float u = ((float)mantissa24 + 0.5f) * 0x1p-24f;
        uint32_t bits;
        memcpy(&bits, &u, 4);
        uint32_t shifted = bits - 0x3F3504F3u; /* split at sqrt(1/2): mantissa in [0.707, 1.414) */
        int32_t exponent = (int32_t)shifted >> 23;
        bits = (shifted & 0x007FFFFFu) + 0x3F3504F3u;
        float m;
        memcpy(&m, &bits, 4);
        m -= 1.0f;
        /* 2 atanh(z) with z = m / (2 + m): odd series, |z| < 0.172 */
        float z = m / (2.0f + m), z2 = z * z;
        float log_m = z * (2.0f + z2 * (0.6666667f + z2 * (0.4f + z2 * 0.2857143f)));
        out[i] = -((float)exponent * 0.69314718f + log_m);
    }
}

#endif
