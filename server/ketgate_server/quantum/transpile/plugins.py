"""Qiskit's own compiler plugins, without those of other packages.

Qiskit imports every package that registers one as soon as passes are made, whether or not it is
asked for: with a provider's package installed that took 18 of 19 seconds of the first compilation.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points

from stevedore.extension import ExtensionManager

_GROUPS = (
    *(f"qiskit.transpiler.{stage}" for stage in ("init", "layout", "routing", "translation")),
    *(f"qiskit.transpiler.{stage}" for stage in ("optimization", "scheduling")),
    "qiskit.unitary_synthesis",
    "qiskit.synthesis",
)
_OWN = {
    group: [entry for entry in entry_points(group=group) if entry.value.startswith("qiskit.")]
    for group in _GROUPS
}


@contextmanager
def own_plugins_only() -> Iterator[None]:
    """While it lasts, no other package's plugin is found. For one thread at a time, as in a worker
    process; afterwards whoever else makes passes here finds all of them."""
    cache = ExtensionManager.ENTRY_POINT_CACHE
    before = {group: cache[group] for group in _GROUPS if group in cache}
    cache.update(_OWN)
    try:
        yield
    finally:
        for group in _GROUPS:
            cache.pop(group, None)
        cache.update(before)
