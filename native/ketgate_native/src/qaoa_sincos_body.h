/* Cosine and sine of many angles: reduction by pi/2 in three parts, then the polynomials of fdlibm (Sun, 1993) on
 * [-pi/4, pi/4]. */
#include <stddef.h>
#include <stdint.h>

typedef double wide __attribute__((vector_size(KG_VECTOR_BYTES)));
typedef int64_t wide_bits __attribute__((vector_size(KG_VECTOR_BYTES)));
typedef double wide_loose __attribute__((vector_size(KG_VECTOR_BYTES), aligned(8), may_alias));

enum { WIDE = KG_VECTOR_BYTES / 8 };

static inline __attribute__((always_inline)) void sincos_vector(wide x, wide *cosine, wide *sine) {
    const double magic = 6755399441055744.0; /* 1.5 * 2^52: adding it rounds to an integer, in the low bits */
    wide shifted = x * 0.63661977236758134308 + magic;
    wide_bits quadrant = (wide_bits)shifted;
    wide k = shifted - magic;
    wide r = WIDE_FNMA(k, (wide){0} + 1.57079632673412561417e+00, x);
    r = WIDE_FNMA(k, (wide){0} + 6.07710050630396597660e-11, r);
    r = WIDE_FNMA(k, (wide){0} + 2.02226624879595063154e-21, r);
    wide z = r * r;
    wide s = WIDE_FMA(z, (wide){0} + 1.58969099521155010221e-10, (wide){0} - 2.50507602534068634195e-08);
    s = WIDE_FMA(z, s, (wide){0} + 2.75573137070700676789e-06);
    s = WIDE_FMA(z, s, (wide){0} - 1.98412698298579493134e-04);
    s = WIDE_FMA(z, s, (wide){0} + 8.33333333332248946124e-03);
    s = WIDE_FMA(z, s, (wide){0} - 1.66666666666666324348e-01);
    s = WIDE_FMA(z * r, s, r);
    wide c = WIDE_FMA(z, (wide){0} - 1.13596475577881948265e-11, (wide){0} + 2.08757232129817482790e-09);
    c = WIDE_FMA(z, c, (wide){0} - 2.75573143513906633035e-07);
    c = WIDE_FMA(z, c, (wide){0} + 2.48015872894767294178e-05);
    c = WIDE_FMA(z, c, (wide){0} - 1.38888888888741095749e-03);
    c = WIDE_FMA(z, c, (wide){0} + 4.16666666666666019037e-02);
    c = WIDE_FMA(z * z, c, 1.0 - 0.5 * z);
    wide_bits odd = -(quadrant & 1);
    wide_bits sine_sign = (quadrant & 2) << 62, cosine_sign = ((quadrant + 1) & 2) << 62;
    *sine = (wide)((((wide_bits)c & odd) | ((wide_bits)s & ~odd)) ^ sine_sign);
    *cosine = (wide)((((wide_bits)s & odd) | ((wide_bits)c & ~odd)) ^ cosine_sign);
}

static void sincos_many(size_t count, const double *angle, double *cosine, double *sine) {
    size_t k = 0;
    wide c, s;
    for (; k + WIDE <= count; k += WIDE) {
        sincos_vector(*(const wide_loose *)(angle + k), &c, &s);
        *(wide_loose *)(cosine + k) = c, *(wide_loose *)(sine + k) = s;
    }
    if (k == count) return;
    wide x = {0};
    for (size_t j = k; j < count; j++) x[j - k] = angle[j];
    sincos_vector(x, &c, &s);
    for (size_t j = k; j < count; j++) cosine[j] = c[j - k], sine[j] = s[j - k];
}
