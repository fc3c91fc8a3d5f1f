/* Feature maps on one state; KG_VECTOR_BYTES, WIDE_FMA, WIDE_FNMA and ENCODE are defined by who includes it. */
#include "feature.h"

#include <math.h>
#include <string.h>

#include "qaoa_sincos_body.h"

static inline __attribute__((always_inline)) wide exchanged(wide v, int stride) {
    wide_bits index;
    for (int k = 0; k < WIDE; k++) index[k] = k ^ stride;
    return __builtin_shuffle(v, index);
}

/* [[c, -s], [s, c]] on one qubit, whose bit is `stride`; with c = s = 1 and `hadamard` [[1, 1], [1, -1]]. */
static inline __attribute__((always_inline)) void turn(double *v, size_t size, size_t stride, double c, double s,
                                                       int hadamard) {
    if (stride >= WIDE) {
        for (size_t block = 0; block < size; block += 2 * stride)
            for (size_t k = block; k < block + stride; k += WIDE) {
                wide_loose *low = (wide_loose *)(v + k), *high = (wide_loose *)(v + k + stride);
                wide a = *low, b = *high;
                *low = hadamard ? a + b : c * a - s * b;
                *high = hadamard ? a - b : s * a + c * b;
            }
    } else if (size >= WIDE) {
        wide own, other; /* lanes with the bit clear: c and -s */
        for (int k = 0; k < WIDE; k++) {
            int set = (k & (int)stride) != 0;
            own[k] = hadamard ? (set ? -1.0 : 1.0) : c, other[k] = hadamard ? 1.0 : (set ? s : -s);
        }
        for (size_t k = 0; k < size; k += WIDE) {
            wide_loose *at = (wide_loose *)(v + k);
            wide a = *at;
            *at = own * a + other * (stride == 1 ? exchanged(a, 1) : stride == 2 ? exchanged(a, 2) : exchanged(a, 4));
        }
    } else {
        for (size_t k = 0; k < size; k++) {
            if (k & stride) continue;
            double a = v[k], b = v[k + stride];
            v[k] = hadamard ? a + b : c * a - s * b;
            v[k + stride] = hadamard ? a - b : s * a + c * b;
        }
    }
}

/* H on every qubit. */
static void hadamards(double *v, size_t size) {
    for (size_t stride = 1; stride < size; stride *= 2) turn(v, size, stride, 1.0, 1.0, 1);
    const double scale = 1.0 / sqrt((double)size);
    for (size_t k = 0; k < size; k++) v[k] *= scale;
}

/* angle[z] = sum factor x_i s_i + sum over pairs factor x_i x_j s_i s_j; s = 1 - 2 bit. room: (2^n). */
static void diagonal(const kg_feature_map *map, const double *x, double factor, int pairs, double *angle, double *room) {
    angle[0] = 0.0;
    for (int k = 0; k < map->n; k++) {
        const size_t half = (size_t)1 << k;
        for (size_t z = 0; z < half; z++) room[z] = factor * x[k];
        for (int p = 0; p < pairs; p++) {
            if (map->pair[2 * p + 1] != k) continue;
            const size_t bit = (size_t)1 << map->pair[2 * p];
            const double w = factor * x[map->pair[2 * p]] * x[k];
            for (size_t block = 0; block < half; block += 2 * bit)
                for (size_t z = block; z < block + bit; z++) room[z] += w, room[z + bit] -= w;
        }
        for (size_t z = 0; z < half; z++) {
            angle[z + half] = angle[z] - room[z];
            angle[z] += room[z];
        }
    }
}

static void encode_diagonal(const kg_feature_map *map, const double *x, double *re, double *im, double *room) {
    const size_t size = (size_t)1 << map->n;
    const int iqp = map->kind == KG_FEATURE_IQP, rounds = iqp ? 1 : map->layers;
    double *angle = room, *c = room + size, *s = room + 2 * size;
    diagonal(map, x, iqp ? map->layers : 1.0, map->pairs, angle, c);
    sincos_many(size, angle, c, s);
    const double even = 1.0 / sqrt((double)size);
    for (size_t z = 0; z < size; z++) re[z] = even * c[z], im[z] = -even * s[z];
    for (int round = 1; round < rounds; round++) {
        hadamards(re, size), hadamards(im, size);
        for (size_t z = 0; z < size; z++) {
            double a = re[z], b = im[z];
            re[z] = a * c[z] + b * s[z], im[z] = b * c[z] - a * s[z];
        }
    }
    if (iqp) hadamards(re, size), hadamards(im, size);
}

static void encode_uploading(const kg_feature_map *map, const double *x, double *re, double *im, double *room) {
    const size_t size = (size_t)1 << map->n;
    double *angle = room, *c = room + size, *s = room + 2 * size;
    diagonal(map, x, 0.5, 0, angle, c);
    sincos_many(size, angle, c, s);
    memset(re, 0, size * sizeof *re), memset(im, 0, size * sizeof *im);
    re[0] = 1.0;
    for (int layer = 0; layer < map->layers; layer++) {
        for (int q = 0; q < map->n; q++) {
            const double cosine = cos(0.5 * x[q]), sine = sin(0.5 * x[q]);
            turn(re, size, (size_t)1 << q, cosine, sine, 0), turn(im, size, (size_t)1 << q, cosine, sine, 0);
        }
        for (size_t z = 0; z < size; z++) angle[z] = re[z] * c[z] + im[z] * s[z];
        for (size_t z = 0; z < size; z++) im[z] = im[z] * c[z] - re[z] * s[z];
        for (size_t z = 0; z < size; z++) re[z] = angle[map->permuted[z]];
        memcpy(angle, im, size * sizeof *im);
        for (size_t z = 0; z < size; z++) im[z] = angle[map->permuted[z]];
    }
}

static void encode(const kg_feature_map *map, const double *x, double *re, double *im, double *room) {
    (map->kind == KG_FEATURE_UPLOADING ? encode_uploading : encode_diagonal)(map, x, re, im, room);
}
