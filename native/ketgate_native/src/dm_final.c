#include <stdlib.h>

#include "dm_trajectory.h"

double kg_state_norm(const double *re, const double *im, size_t size) {
    double sum = 0.0;
    for (size_t i = 0; i < size; i++) sum += re[i] * re[i] + im[i] * im[i];
    return sum;
}

static int by_draw(const void *a, const void *b) {
    double x = ((const kg_draw *)a)->u, y = ((const kg_draw *)b)->u;
    return (x > y) - (x < y);
}

/* Inverse of the cumulative distribution, all draws in one pass. */
void kg_state_sample(const double *re, const double *im, size_t size, kg_draw *draws, int64_t count, int64_t *out) {
    double total = kg_state_norm(re, im, size), sum = 0.0;
    int64_t done = 0, last = 0;
    if (count > 1) qsort(draws, (size_t)count, sizeof *draws, by_draw);
    for (size_t i = 0; i < size && done < count; i++) {
        double p = re[i] * re[i] + im[i] * im[i];
        if (p == 0.0) continue;
        sum += p;
        last = (int64_t)i;
        while (done < count && draws[done].u * total < sum) out[draws[done++].slot] = last;
    }
    while (done < count) out[draws[done++].slot] = last;
}

/* <psi| P |psi>, P|i> = i^popcount(x & z) (-1)^popcount(i & z) |i ^ x>; not divided by the norm. */
double kg_state_expectation(const double *re, const double *im, size_t size, uint64_t x, uint64_t z) {
    double real = 0.0, imaginary = 0.0;
    for (size_t i = 0; i < size; i++) {
        size_t j = i ^ (size_t)x;
        double sign = __builtin_parityll(i & z) ? -1.0 : 1.0;
        real += sign * (re[j] * re[i] + im[j] * im[i]);
        imaginary += sign * (re[j] * im[i] - im[j] * re[i]);
    }
    switch (__builtin_popcountll(x & z) & 3) {
    case 0: return real;
    case 1: return -imaginary;
    case 2: return -real;
    default: return imaginary;
    }
}
