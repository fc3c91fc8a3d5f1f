# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""Stop a running kernel from outside, and read its incumbents while it runs.

The logic is in src/monitor.h; this is its Python face. Kernels in other modules take the struct by pointer.
"""
from libc.math cimport INFINITY
from libc.stdint cimport INT64_MAX, int64_t
from libc.stdlib cimport calloc, free

from typing import NamedTuple


cdef extern from *:
    """
    static int kg_read_stop(kg_monitor *m) { return atomic_load(&m->stop); }
    """
    int kg_read_stop(kg_monitor *m) nogil


_REASONS = ("", "cancelled", "time", "target", "gap")
# 95 years: longer than any run, and far from overflowing a 64-bit count of nanoseconds.
cdef double LONGEST_S = 3.0e9


cdef int64_t _nanoseconds(double seconds):
    return <int64_t>(min(max(seconds, 0.0), LONGEST_S) * 1e9)


class Incumbent(NamedTuple):
    elapsed_s: float
    objective: float
    bound: float
    work: int
    solution: bytes


class Stopped(Exception):
    pass


cdef class Monitor:
    def __cinit__(self, size_t solution_bytes, *, time_limit_s=None, target=None,
                  double gap_absolute=0.0, double gap_relative=0.0):
        self.ptr = <kg_monitor *>calloc(1, sizeof(kg_monitor))
        if self.ptr is NULL:
            raise MemoryError()
        if kg_monitor_init(self.ptr, solution_bytes):
            free(self.ptr)
            self.ptr = NULL
            raise MemoryError(f"no memory for incumbents of {solution_bytes} bytes")
        if time_limit_s is not None:
            self.ptr.deadline_ns = self.ptr.start_ns + _nanoseconds(time_limit_s)
        if target is not None:
            self.ptr.target = target
        self.ptr.gap_absolute = gap_absolute
        self.ptr.gap_relative = gap_relative

    def __dealloc__(self):
        if self.ptr is not NULL:
            kg_monitor_free(self.ptr)
            free(self.ptr)

    cdef int expect(self, size_t solution_bytes) except -1:
        if self.ptr.solution_bytes != solution_bytes:
            raise ValueError(f"monitor: expected one for solutions of {solution_bytes} bytes, "
                             f"given one for {self.ptr.solution_bytes}")
        return 0

    def cancel(self):
        kg_request_stop(self.ptr, 1)

    def shorten(self, double time_limit_s):
        self.ptr.deadline_ns = min(self.ptr.deadline_ns, kg_now_ns() + _nanoseconds(time_limit_s))

    def finish(self):
        kg_finish(self.ptr)

    def offer(self, double objective, const unsigned char[::1] solution not None, int64_t work=0):
        self.expect(solution.shape[0])
        kg_offer(self.ptr, objective, &solution[0] if solution.shape[0] else NULL, work)

    def offer_bound(self, double bound, int64_t work=0):
        kg_offer_bound(self.ptr, bound, work)

    def take(self, double timeout_s=0.0):
        cdef kg_incumbent found
        cdef bytearray buffer = bytearray(max(self.ptr.solution_bytes, 1))
        cdef unsigned char *into = buffer
        cdef int64_t timeout_ns = _nanoseconds(timeout_s)
        cdef int result
        with nogil:
            result = kg_take(self.ptr, timeout_ns, &found, into)
        if result < 0:
            raise StopIteration
        if result == 0:
            return None
        return Incumbent(found.elapsed_ns * 1e-9, found.objective, found.bound, found.work,
                         bytes(buffer[:self.ptr.solution_bytes]))

    @property
    def should_stop(self):
        return bool(kg_should_stop(self.ptr))

    @property
    def stop_reason(self):
        return _REASONS[kg_read_stop(self.ptr)]

    @property
    def best(self):
        return self.ptr.best

    @property
    def bound(self):
        return self.ptr.bound

    @property
    def work(self):
        return self.ptr.work

    @property
    def elapsed_s(self):
        return (kg_now_ns() - self.ptr.start_ns) * 1e-9

    @property
    def remaining_s(self):
        if self.ptr.deadline_ns == INT64_MAX:
            return float(INFINITY)
        return max(0.0, (self.ptr.deadline_ns - kg_now_ns()) * 1e-9)
