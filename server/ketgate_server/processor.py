"""Which instruction set the native kernels run on."""

from pathlib import Path

_AVX2 = {"avx2", "fma", "bmi2"}
_AVX512 = {"avx512f", "avx512dq", "avx512bw", "avx512vl"}


def instruction_set(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """``avx512``, ``avx2`` or ``base``: the widest that this processor, and the kernel under it,
    offers."""
    try:
        lines = cpuinfo.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return "base"
    flags = next(
        (set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), set()
    )
    if flags >= _AVX512 | _AVX2:
        return "avx512"
    return "avx2" if flags >= _AVX2 else "base"
