"""A server leaves no copies of its memory."""

import subprocess
import sys

import pytest

from ...conftest import StartServer, server_environment

LOOK = """
import ctypes, resource
from ketgate_server import core_dumps
prctl = ctypes.CDLL(None).prctl
assert prctl(3, 0, 0, 0, 0) == 1
core_dumps.forbid()
core_dumps.forbid()
assert prctl(3, 0, 0, 0, 0) == 0
assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")


def test_core_dumps_are_off_for_good() -> None:
    subprocess.run([sys.executable, "-c", LOOK], env=server_environment(), check=True, timeout=100)


def test_a_server_makes_none(start_server: StartServer) -> None:
    process = start_server("--insecure").process
    with open(f"/proc/{process.pid}/limits") as limits:
        (line,) = [line for line in limits if line.startswith("Max core file size")]
    assert line.split()[4:6] == ["0", "0"]
