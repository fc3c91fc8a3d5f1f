from libc.stdint cimport int8_t, int32_t, int64_t, uint64_t

from ketgate_native.ising cimport kg_pool
from ketgate_native.monitor cimport kg_monitor


cdef extern from "src/binary.h" nogil:
    ctypedef struct kg_binary:
        int n
        int rows
        double offset

    int kg_binary_build(kg_binary *p, int n, const double *linear, double offset, int64_t terms, const int32_t *row,
                        const int32_t *col, const double *weight, int rows, int64_t entries, const int32_t *a_row,
                        const int32_t *a_col, const double *a_value, const double *lower, const double *upper,
                        double tolerance)
    void kg_binary_free(kg_binary *p)
    double kg_binary_objective(const kg_binary *p, const int8_t *x)
    double kg_binary_violation(const kg_binary *p, const int8_t *x, int largest)

    ctypedef struct kg_binary_run:
        const kg_binary *p
        kg_pool *pool
        kg_pool *nearest
        kg_monitor *monitor
        uint64_t seed
        int threads
        const int8_t *initial
        int initial_count
        int64_t work
        int no_memory
        int interrupted

    void kg_binary_search(kg_binary_run *run, int64_t work_max)


cdef class BinaryProgram:
    cdef kg_binary problem
    cdef object _evaluate(self, values, int violation)
