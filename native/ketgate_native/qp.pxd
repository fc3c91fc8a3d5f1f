from libc.stdint cimport int8_t, int64_t

from ketgate_native.monitor cimport kg_monitor


cdef extern from "src/linalg.h":
    enum: KG_CHOLESKY_STOPPED
    ctypedef struct kg_linalg:
        ptrdiff_t (*cholesky)(ptrdiff_t n, double *l, ptrdiff_t ld, kg_monitor *monitor) noexcept nogil
    const kg_linalg *kg_linalg_select(const char *isa) nogil


cdef extern from "src/qp.h":
    enum: KG_QP_NO_MEMORY

    ctypedef struct kg_qp:
        int n, m, k
        const double *q
        const double *factor
        const double *own
        const double *c
        const double *a
        const double *row_lower
        const double *row_upper
        const double *lower
        const double *upper
        const double *kink
        const double *buy
        const double *sell
        double tolerance
        int64_t iterations_max
        kg_monitor *monitor
        const kg_linalg *la

    ctypedef struct kg_qp_result:
        double *x
        double *dual_rows
        double *dual_bounds
        double *ray
        double *farkas
        int8_t *state
        int8_t *row_state
        int warm
        int64_t iterations
        double objective, kkt_residual, factor_s, price_s, total_s

    ctypedef int (*kg_qp_corner)(void *context, double t, const double *x) noexcept nogil

    int kg_qp_solve(const kg_qp *p, kg_qp_result *out) nogil
    int kg_qp_frontier(const kg_qp *p, const double *mu, double prox_share, kg_qp_result *out,
                       kg_qp_corner corner, void *context) nogil
