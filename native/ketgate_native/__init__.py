"""Ketgate's Cython kernels: arrays and numbers in, arrays and numbers out. No I/O, no logging, no policy."""
