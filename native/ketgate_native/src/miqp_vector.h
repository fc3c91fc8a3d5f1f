/* The loops that take the time, once for every x86-64 and once for AVX2; chosen when a run starts. */
#ifndef KETGATE_MIQP_VECTOR_H
#define KETGATE_MIQP_VECTOR_H

typedef struct {
    double (*dot)(int n, const double *a, const double *b);
    void (*axpy)(int n, double s, const double *a, double *y);
    /* index and size of the largest max(gamma + left, -(gamma + right)); -1 if none is over limit */
    int (*price)(int n, const double *gamma, const double *left, const double *right, double limit);
} mq_vector;

extern const mq_vector mq_vector_base;
const mq_vector *mq_vector_best(int base_isa);

#endif
