"""A key of liboqs could be overwritten under a thread that was signing with it.

Its users were counted beside a mark that it was closed. The last user let go, and looked at the mark
only then: in between another thread could take the key and a third close it, so that the first
overwrote what the second was using, and a signature by no key was handed out.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "native" / "ketgate_native" / "src"


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_the_last_user_overwrites_it_and_nobody_before(tmp_path: Path) -> None:
    program = tmp_path / "closed_key"
    command = [
        "cc",
        "-Wall",
        "-Werror",
        f"-I{SOURCES}",
        str(HERE / "closed_key.c"),
        "-o",
        str(program),
    ]
    subprocess.run(command, check=True, timeout=120)
    told = subprocess.run([str(program)], check=True, capture_output=True, text=True, timeout=60)
    assert told.stdout == "0 0\n", "overwritten in use, left when out of use"
