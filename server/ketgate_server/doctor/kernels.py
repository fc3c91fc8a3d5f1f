"""The native kernels: whether each can be loaded, and on which instruction set they run."""

import importlib
import pkgutil
from collections.abc import Iterator

from ketgate_server.doctor.finding import Finding, State
from ketgate_server.parts import PARTS
from ketgate_server.processor import instruction_set

BUILT_FROM = "monitor"
"""A kernel that is there wherever they were built."""


def findings() -> Iterator[Finding]:
    try:
        package = importlib.import_module("ketgate_native")
    except ImportError as error:
        yield _fault("ketgate_native", str(error))
        return
    names = sorted({m.name for m in pkgutil.iter_modules(package.__path__) if m.name[0] != "_"})
    if BUILT_FROM not in names:
        yield _fault(BUILT_FROM, "not built")
    loaded = []
    for name in names:
        try:
            importlib.import_module(f"ketgate_native.{name}")
            loaded.append(name)
        except ImportError as error:
            yield _fault(name, str(error))
    yield Finding("kernels", "instruction set", State.FINE, instruction_set())
    yield Finding("kernels", "loaded", State.FINE, ", ".join(loaded))


def _fault(name: str, detail: str) -> Finding:
    return Finding("kernels", name, State.FAULT, detail, PARTS["native"].install_command)
