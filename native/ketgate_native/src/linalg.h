/* Dense kernels for the solvers: one table of functions per instruction set, chosen once at run time.
 *
 * Matrices are row-major with a leading dimension; Cholesky factors are lower triangles L with A = L L'.
 * Rows are contiguous, so the inner loop of everything here is a dot product or a sum of rows.
 */
#ifndef KETGATE_LINALG_H
#define KETGATE_LINALG_H

#include <stddef.h>

struct kg_monitor;

enum { KG_CHOLESKY_STOPPED = -1 };

typedef struct {
    const char *isa;
    double (*dot)(ptrdiff_t n, const double *a, const double *b);
    /* The largest magnitude; NaN is passed over. */
    double (*largest)(ptrdiff_t n, const double *a);
    /* y += alpha x */
    void (*axpy)(ptrdiff_t n, double alpha, const double *x, double *y);
    /* y += sum over j < count of alpha[j] * (row index[j] of a) */
    void (*add_rows)(ptrdiff_t n, ptrdiff_t count, const double *alpha, const int *index, const double *a,
                     ptrdiff_t lda, double *y);
    /* C (mi, nj) -= A (mi, kk) B (nj, kk)' */
    void (*sub_nt)(ptrdiff_t mi, ptrdiff_t nj, ptrdiff_t kk, const double *a, ptrdiff_t lda, const double *b,
                   ptrdiff_t ldb, double *c, ptrdiff_t ldc);
    /* Lower triangle in place. 0; 1 + the pivot that was not positive; KG_CHOLESKY_STOPPED. monitor may be NULL. */
    ptrdiff_t (*cholesky)(ptrdiff_t n, double *l, ptrdiff_t ld, struct kg_monitor *monitor);
    /* Solve L w = b in place for count right-hand sides, row s at b + s * ldb. */
    void (*forward)(ptrdiff_t n, const double *l, ptrdiff_t ld, ptrdiff_t count, double *b, ptrdiff_t ldb);
    /* Solve L' x = b in place. */
    void (*backward)(ptrdiff_t n, const double *l, ptrdiff_t ld, double *b);
    /* Remove row and column p of A from its n by n factor; the right-hand sides w = L^-1 b (count rows of
       length n, apart by ldw) follow, and lose their last entry. */
    void (*cholesky_remove)(ptrdiff_t n, double *l, ptrdiff_t ld, ptrdiff_t p, ptrdiff_t count, double *w,
                            ptrdiff_t ldw);
} kg_linalg;

/* The table for "base", "avx2" or "avx512"; NULL is the best this CPU runs. NULL when unknown or not supported. */
const kg_linalg *kg_linalg_select(const char *isa);

extern const kg_linalg kg_linalg_base;
#if defined(__x86_64__)
extern const kg_linalg kg_linalg_avx2, kg_linalg_avx512;
#endif

#endif
