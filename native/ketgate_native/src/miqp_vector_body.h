/* Shared body of miqp_vector_base.c and miqp_vector_avx2.c. Sums run in a fixed order of four lanes. */

static double body_dot(int n, const double *restrict a, const double *restrict b) {
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    int i = 0;
    for (; i + 4 <= n; i += 4) {
        s0 += a[i] * b[i];
        s1 += a[i + 1] * b[i + 1];
        s2 += a[i + 2] * b[i + 2];
        s3 += a[i + 3] * b[i + 3];
    }
    for (; i < n; i++) s0 += a[i] * b[i];
    return (s0 + s2) + (s1 + s3);
}

static void body_axpy(int n, double s, const double *restrict a, double *restrict y) {
    for (int i = 0; i < n; i++) y[i] += s * a[i];
}

static int body_price(int n, const double *restrict gamma, const double *restrict left, const double *restrict right,
                      double limit) {
    double best = limit;
    int found = -1;
    for (int i0 = 0; i0 < n; i0 += 16) { /* the maximum of a block first: it vectorises, the index does not */
        int end = i0 + 16 < n ? i0 + 16 : n;
        double top = 0;
        for (int i = i0; i < end; i++) {
            double down = gamma[i] + left[i], up = -(gamma[i] + right[i]);
            double v = down > up ? down : up;
            top = v > top ? v : top;
        }
        if (top <= best) continue;
        for (int i = i0; i < end; i++) {
            double down = gamma[i] + left[i], up = -(gamma[i] + right[i]);
            double v = down > up ? down : up;
            if (v > best) best = v, found = i;
        }
    }
    return found;
}
