/* The dense kernels, written once over a vector of KG_VECTOR_BYTES and compiled per instruction set.
 *
 * -ffp-contract=off holds for the whole tree, so a fused multiply-add is asked for by name where the CPU has it.
 */
#include "linalg.h"
#include "monitor.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

typedef double vector __attribute__((vector_size(KG_VECTOR_BYTES)));
typedef int64_t bits __attribute__((vector_size(KG_VECTOR_BYTES)));
typedef double loose __attribute__((vector_size(KG_VECTOR_BYTES), aligned(8), may_alias));

#ifndef KG_VECTOR_FMA
#define KG_VECTOR_FMA(a, b, c) ((a) * (b) + (c))
#endif

enum {
    LANES = KG_VECTOR_BYTES / 8,
    TI = KG_TILE_ROWS, /* accumulators of a tile: as many as leave registers for the operands */
    TJ = 4,
    BLOCK = 48, /* columns of a Cholesky panel: a multiple of TI and TJ */
    POLL_ROWS = 256
};

static inline vector load(const double *p) { return *(const loose *)p; }
static inline void store(double *p, vector v) { *(loose *)p = v; }
static inline vector broadcast(double a) { return a - (vector){0}; }

static inline double lanes_sum(vector v) {
    double sum = v[0];
    for (int i = 1; i < LANES; i++) sum += v[i];
    return sum;
}

static double dot(ptrdiff_t n, const double *a, const double *b) {
    vector s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
    ptrdiff_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        s0 = KG_VECTOR_FMA(load(a + i), load(b + i), s0);
        s1 = KG_VECTOR_FMA(load(a + i + LANES), load(b + i + LANES), s1);
        s2 = KG_VECTOR_FMA(load(a + i + 2 * LANES), load(b + i + 2 * LANES), s2);
        s3 = KG_VECTOR_FMA(load(a + i + 3 * LANES), load(b + i + 3 * LANES), s3);
    }
    for (; i + LANES <= n; i += LANES) s0 = KG_VECTOR_FMA(load(a + i), load(b + i), s0);
    double sum = lanes_sum((s0 + s1) + (s2 + s3));
    for (; i < n; i++) sum = KG_MULTIPLY_ADD(a[i], b[i], sum);
    return sum;
}

static double largest(ptrdiff_t n, const double *a) {
    vector most = {0};
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vector v = load(a + i);
        bits magnitude = (bits)v & INT64_MAX; /* clears the sign */
        bits larger = (vector)magnitude > most;
        most = (vector)((magnitude & larger) | ((bits)most & ~larger));
    }
    double max = 0.0;
    for (int lane = 0; lane < LANES; lane++) max = most[lane] > max ? most[lane] : max;
    for (; i < n; i++) max = fabs(a[i]) > max ? fabs(a[i]) : max;
    return max;
}

static void axpy(ptrdiff_t n, double alpha, const double *x, double *y) {
    vector factor = broadcast(alpha);
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES) store(y + i, KG_VECTOR_FMA(factor, load(x + i), load(y + i)));
    for (; i < n; i++) y[i] = KG_MULTIPLY_ADD(alpha, x[i], y[i]);
}

static void add_rows(ptrdiff_t n, ptrdiff_t count, const double *alpha, const int *index, const double *a,
                     ptrdiff_t lda, double *y) {
    ptrdiff_t j = 0;
    for (; j + 4 <= count; j += 4) { /* four rows a pass: y is read and written once for four products */
        const double *r0 = a + index[j] * lda, *r1 = a + index[j + 1] * lda;
        const double *r2 = a + index[j + 2] * lda, *r3 = a + index[j + 3] * lda;
        vector f0 = broadcast(alpha[j]), f1 = broadcast(alpha[j + 1]);
        vector f2 = broadcast(alpha[j + 2]), f3 = broadcast(alpha[j + 3]);
        ptrdiff_t i = 0;
        for (; i + LANES <= n; i += LANES) {
            vector s = KG_VECTOR_FMA(f0, load(r0 + i), load(y + i));
            vector t = f2 * load(r2 + i);
            s = KG_VECTOR_FMA(f1, load(r1 + i), s);
            t = KG_VECTOR_FMA(f3, load(r3 + i), t);
            store(y + i, s + t);
        }
        for (; i < n; i++)
            y[i] += (alpha[j] * r0[i] + alpha[j + 1] * r1[i]) + (alpha[j + 2] * r2[i] + alpha[j + 3] * r3[i]);
    }
    for (; j < count; j++) axpy(n, alpha[j], a + index[j] * lda, y);
}

static inline void tile(ptrdiff_t kk, const double *a, ptrdiff_t lda, const double *b, ptrdiff_t ldb, double *c,
                        ptrdiff_t ldc) {
    vector sum[TI][TJ] = {{{0}}};
    ptrdiff_t k = 0;
    for (; k + LANES <= kk; k += LANES) {
        vector right[TJ];
#pragma GCC unroll 4
        for (int j = 0; j < TJ; j++) right[j] = load(b + j * ldb + k);
#pragma GCC unroll 4
        for (int i = 0; i < TI; i++) {
            vector left = load(a + i * lda + k);
#pragma GCC unroll 4
            for (int j = 0; j < TJ; j++) sum[i][j] = KG_VECTOR_FMA(left, right[j], sum[i][j]);
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < TI; i++)
#pragma GCC unroll 4
        for (int j = 0; j < TJ; j++) {
            double total = lanes_sum(sum[i][j]);
            for (ptrdiff_t l = k; l < kk; l++) total = KG_MULTIPLY_ADD(a[i * lda + l], b[j * ldb + l], total);
            c[i * ldc + j] -= total;
        }
}

static void sub_nt(ptrdiff_t mi, ptrdiff_t nj, ptrdiff_t kk, const double *a, ptrdiff_t lda, const double *b,
                   ptrdiff_t ldb, double *c, ptrdiff_t ldc) {
    ptrdiff_t i = 0;
    for (; i + TI <= mi; i += TI) {
        ptrdiff_t j = 0;
        for (; j + TJ <= nj; j += TJ) tile(kk, a + i * lda, lda, b + j * ldb, ldb, c + i * ldc + j, ldc);
        for (; j < nj; j++)
            for (ptrdiff_t l = i; l < i + TI; l++) c[l * ldc + j] -= dot(kk, a + l * lda, b + j * ldb);
    }
    for (; i < mi; i++)
        for (ptrdiff_t j = 0; j < nj; j++) c[i * ldc + j] -= dot(kk, a + i * lda, b + j * ldb);
}

static ptrdiff_t cholesky_small(ptrdiff_t n, double *l, ptrdiff_t ld) {
    for (ptrdiff_t i = 0; i < n; i++) {
        double *row = l + i * ld;
        for (ptrdiff_t j = 0; j < i; j++) row[j] = (row[j] - dot(j, row, l + j * ld)) / l[j * ld + j];
        double pivot = row[i] - dot(i, row, row);
        if (!(pivot > 0.0) || !isfinite(pivot)) return i + 1;
        row[i] = sqrt(pivot);
    }
    return 0;
}

/* out (n, n; leading dimension BLOCK) = -L^-1, zeros above the diagonal. */
static void negative_inverse(ptrdiff_t n, const double *l, ptrdiff_t ld, double *out) {
    double row[BLOCK];
    for (ptrdiff_t i = 0; i < n; i++) {
        memset(row, 0, sizeof row);
        for (ptrdiff_t k = 0; k < i; k++) axpy(k + 1, l[i * ld + k], out + k * BLOCK, row);
        double inverse = 1.0 / l[i * ld + i];
        for (ptrdiff_t j = 0; j < i; j++) row[j] *= -inverse; /* out holds -L^-1, so one more sign */
        row[i] = -inverse;
        memcpy(out + i * BLOCK, row, sizeof row);
    }
}

static ptrdiff_t cholesky(ptrdiff_t n, double *l, ptrdiff_t ld, struct kg_monitor *monitor) {
    double inverse[BLOCK * BLOCK], rows[TI * 8 * BLOCK];
    for (ptrdiff_t j = 0; j < n; j += BLOCK) {
        ptrdiff_t width = n - j < BLOCK ? n - j : BLOCK;
        double *corner = l + j * ld + j;
        for (ptrdiff_t i = 0; i < width; i += TJ * 3) { /* the lower triangle of the diagonal block, in strips */
            ptrdiff_t high = width - i < TJ * 3 ? width - i : TJ * 3;
            sub_nt(high, i + high, j, l + (j + i) * ld, ld, l + j * ld, ld, corner + i * ld, ld);
        }
        ptrdiff_t failed = cholesky_small(width, corner, ld);
        if (failed) return j + failed;
        if (j + width == n) return 0;
        negative_inverse(width, corner, ld, inverse);
        for (ptrdiff_t i = j + width; i < n; i += TI * 8) {
            if (monitor != NULL && (i - j - width) % POLL_ROWS < TI * 8 && kg_should_stop(monitor))
                return KG_CHOLESKY_STOPPED;
            ptrdiff_t high = n - i < TI * 8 ? n - i : TI * 8;
            sub_nt(high, width, j, l + i * ld, ld, l + j * ld, ld, l + i * ld + j, ld);
            for (ptrdiff_t r = 0; r < high; r++) {
                memcpy(rows + r * BLOCK, l + (i + r) * ld + j, (size_t)width * sizeof(double));
                memset(l + (i + r) * ld + j, 0, (size_t)width * sizeof(double));
            }
            sub_nt(high, width, width, rows, BLOCK, inverse, BLOCK, l + i * ld + j, ld);
        }
    }
    return 0;
}

static void forward(ptrdiff_t n, const double *l, ptrdiff_t ld, ptrdiff_t count, double *b, ptrdiff_t ldb) {
    for (ptrdiff_t s = 0; s < count; s += BLOCK) { /* a block of right-hand sides shares each row of L in cache */
        ptrdiff_t end = count - s < BLOCK ? count : s + BLOCK;
        for (ptrdiff_t i = 0; i < n; i++) {
            double pivot = 1.0 / l[i * ld + i];
            for (ptrdiff_t r = s; r < end; r++) b[r * ldb + i] = (b[r * ldb + i] - dot(i, l + i * ld, b + r * ldb)) * pivot;
        }
    }
}

static void backward(ptrdiff_t n, const double *l, ptrdiff_t ld, double *b) {
    for (ptrdiff_t i = n - 1; i >= 0; i--) {
        b[i] /= l[i * ld + i];
        axpy(i, -b[i], l + i * ld, b);
    }
}

static void cholesky_remove(ptrdiff_t n, double *l, ptrdiff_t ld, ptrdiff_t p, ptrdiff_t count, double *w,
                            ptrdiff_t ldw) {
    /* Row i > p moves up and has one entry too many: rotate columns (i - 1, i) of all rows below. The rotation that
       clears row i is known once the earlier ones were applied to it, so each row is finished before the next. */
    for (ptrdiff_t i = p; i + 1 < n; i++) memcpy(l + i * ld, l + (i + 1) * ld, (size_t)(i + 2) * sizeof(double));
    for (ptrdiff_t j = p; j + 1 < n; j++) {
        double *row = l + j * ld;
        double length = hypot(row[j], row[j + 1]);
        double cosine = row[j] / length, sine = row[j + 1] / length;
        row[j] = length;
        for (ptrdiff_t i = j + 1; i + 1 < n; i++) {
            double *below = l + i * ld + j, first = below[0], second = below[1];
            below[0] = cosine * first + sine * second;
            below[1] = cosine * second - sine * first;
        }
        for (ptrdiff_t s = 0; s < count; s++) {
            double *pair = w + s * ldw + j, first = pair[0], second = pair[1];
            pair[0] = cosine * first + sine * second;
            pair[1] = cosine * second - sine * first;
        }
    }
}

const kg_linalg KG_TABLE = {
    .isa = KG_ISA,
    .dot = dot,
    .largest = largest,
    .axpy = axpy,
    .add_rows = add_rows,
    .sub_nt = sub_nt,
    .cholesky = cholesky,
    .forward = forward,
    .backward = backward,
    .cholesky_remove = cholesky_remove,
};
