from libc.stdint cimport int64_t


cdef extern from "src/monitor.h" nogil:
    ctypedef struct kg_incumbent:
        int64_t elapsed_ns
        double objective
        double bound
        int64_t work

    ctypedef struct kg_monitor:
        int64_t start_ns
        int64_t deadline_ns
        double target
        double gap_absolute
        double gap_relative
        double best
        double bound
        int64_t work
        size_t solution_bytes

    int kg_monitor_init(kg_monitor *m, size_t solution_bytes)
    void kg_monitor_free(kg_monitor *m)
    int kg_should_stop(kg_monitor *m)
    void kg_offer(kg_monitor *m, double objective, const void *solution, int64_t work)
    void kg_offer_bound(kg_monitor *m, double bound, int64_t work)
    void kg_request_stop(kg_monitor *m, int reason)
    void kg_finish(kg_monitor *m)
    int kg_take(kg_monitor *m, int64_t timeout_ns, kg_incumbent *out, void *solution)
    int64_t kg_now_ns()


cdef class Monitor:
    cdef kg_monitor *ptr
    cdef int expect(self, size_t solution_bytes) except -1
