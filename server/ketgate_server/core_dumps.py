"""No copies of this process's memory: it holds private keys while they are used.

A core dump would write them to a disk, and a debugger of the same user could read them. Whoever is root still
can, and so can still look into a server that hangs (`sudo py-spy dump --pid PID`).
"""

import ctypes
import resource
import sys

_PR_SET_DUMPABLE = 4


def forbid() -> None:
    """Turn off core dumps, and, on Linux, that others than root attach to this process. For its whole life;
    of its children, only core dumps."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # Also where core_pattern is a pipe, which the limit does not hold back.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
