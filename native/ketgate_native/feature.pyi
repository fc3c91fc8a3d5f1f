from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ketgate_native.monitor import Monitor

QUBITS_MAX: int
SAMPLES_MAX: int
KINDS: tuple[str, ...]

def states(
    samples: ArrayLike,
    pairs: ArrayLike | Sequence[tuple[int, int]],
    *,
    kind: str,
    layers: int,
    threads: int = 1,
    monitor: Monitor | None = None,
    isa: str | None = None,
) -> NDArray[np.float64]:
    """A state for each sample, (m, 2, 2^d): real parts, then imaginary ones; bit i of an index is qubit i.

    samples: (m, d) angles, 1 <= d <= QUBITS_MAX. 'zz': layers of H on each qubit, then exp(-i (sum x_i Z_i + sum x_i x_j
    Z_i Z_j)), the second sum over pairs. 'iqp': H, that diagonal `layers` times, H. 'data-reuploading': layers of
    RY(x_i), RZ(x_i), then CX on each pair, control first. Memory: 16 bytes an amplitude. Raises ValueError, naming the
    argument, MemoryError and monitor.Stopped.

    >>> states([[0.0]], [], kind="iqp", layers=1)[0, 0].round(12).tolist()
    [1.0, 0.0]
    """
