"""Constraints that cannot hold together, where leaving out any one of them helps.

A deletion filter over HiGHS: of what is infeasible, leave out a part; if the rest still is, forget
the part, else keep it and look closer. Parts are halved, so that a small conflict among many
constraints is found in few solves.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ketgate_server.optimization.base import Conflict, Problem, Task
from ketgate_server.optimization.binary import BinaryProblem
from ketgate_server.optimization.interruption import stop_when
from ketgate_server.optimization.linear import LinearProblem
from ketgate_server.optimization.rows import Rows
from ketgate_server.optimization.solvers.highs_model import (
    LinearForm,
    build,
    entries_left_out,
    row_scales,
)
from ketgate_server.parts import part_version

SEARCH_S_MAX = 5.0
SEARCH_SHARE = 0.5
"""The search takes at most this share of the time left, and at most so many seconds."""


@dataclass(frozen=True)
class Element:
    """A constraint that may be left out: a row, or one bound of a variable."""

    kind: str
    """row, lower or upper."""
    index: int


class _InconclusiveError(Exception):
    """A solve ended without saying whether the constraints can hold."""


def irreducible(problem: Problem, task: Task) -> Sequence[Conflict]:
    """A conflict of an infeasible problem; empty if none was found in time. Integrality always
    stands."""
    if part_version("highs") is None or not isinstance(problem, (BinaryProblem, LinearProblem)):
        return ()
    elements = _elements(problem)
    impossible = _impossible_integer(problem)
    if impossible is not None:
        elements = [Element("lower", impossible), Element("upper", impossible)]
        return [_describe(problem, element) for element in elements]
    if entries_left_out(problem.rows):
        return ()
    oracle = _Oracle(problem, task)
    try:
        kept = _reduce(elements, oracle)
    except _InconclusiveError:
        return ()
    return [_describe(problem, element) for element in kept]


def _elements(problem: BinaryProblem | LinearProblem) -> list[Element]:
    """Rows; and of a linear program the bounds, first, so that rows stay where both would do. A
    whole number without bounds can keep a solver for ever, so with integers the bounds stand."""
    rows = [Element("row", k) for k in range(problem.rows.count)]
    if isinstance(problem, BinaryProblem) or problem.integer.any():
        return rows
    lower = [Element("lower", int(k)) for k in np.flatnonzero(np.isfinite(problem.lower))]
    upper = [Element("upper", int(k)) for k in np.flatnonzero(np.isfinite(problem.upper))]
    return lower + upper + rows


def _impossible_integer(problem: BinaryProblem | LinearProblem) -> int | None:
    """A whole number between whose bounds there is none."""
    if isinstance(problem, BinaryProblem):
        return None
    empty = problem.integer & (np.ceil(problem.lower) > np.floor(problem.upper))
    return int(np.argmax(empty)) if empty.any() else None


def _reduce(elements: list[Element], oracle: "_Oracle") -> list[Element]:
    if not oracle.infeasible(elements):
        return []
    elements = oracle.narrowed(elements)
    kept: list[Element] = []
    pending = list(elements)
    size = max(1, len(pending) // 2)
    while pending:
        part, rest = pending[:size], pending[size:]
        if oracle.infeasible(kept + rest):
            pending = rest
            size = min(2 * size, max(1, len(pending)))
        elif len(part) == 1:
            kept += part
            pending = rest
        else:
            size = max(1, len(part) // 2)
    return kept


class _Oracle:
    """Whether a part of the constraints can hold, by HiGHS."""

    def __init__(self, problem: BinaryProblem | LinearProblem, task: Task) -> None:
        self._task = task
        self._rows = problem.rows
        size = problem.size
        if isinstance(problem, LinearProblem):
            self._lower, self._upper, self._integer = problem.lower, problem.upper, problem.integer
        else:
            self._lower, self._upper = np.zeros(size), np.ones(size)
            self._integer = np.ones(size, dtype=np.bool_)
        self._removable = {element.kind for element in _elements(problem)}
        self._end_s = time.monotonic() + min(
            SEARCH_S_MAX, SEARCH_SHARE * max(0.0, task.remaining_s)
        )

    def infeasible(self, elements: list[Element]) -> bool:
        """Whether the elements, with what cannot be left out, have no solution."""
        import highspy

        remaining = self._end_s - time.monotonic()
        if remaining <= 0.0 or self._task.should_stop:
            raise _InconclusiveError
        highs = build(self._form(elements), {"time_limit": remaining})
        stop_when(highs, lambda: self._task.should_stop)
        highs.run()
        status = highs.getModelStatus()
        if status == highspy.HighsModelStatus.kInfeasible:
            return True
        if status in (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kModelEmpty):
            return False
        raise _InconclusiveError

    def narrowed(self, elements: list[Element]) -> list[Element]:
        """Those that carry a Farkas ray of the last infeasible linear program, if that is still
        infeasible."""
        if self._integer.any():
            return elements
        ray = self._ray()
        if ray is None:
            return elements
        matrix = self._rows.matrix
        reduced = np.bincount(
            matrix.column, weights=matrix.value * ray[matrix.row], minlength=len(self._lower)
        )
        scale = float(np.abs(ray).max(initial=0.0))
        active = {"row": np.abs(ray) > 1e-12 * scale}
        active["lower"] = active["upper"] = np.abs(reduced) > 1e-12 * max(scale, 1e-300)
        some = [element for element in elements if active[element.kind][element.index]]
        return some if len(some) < len(elements) and self.infeasible(some) else elements

    def _ray(self) -> Any:
        import highspy

        if not self._rows.count:
            return None
        elements = [Element("row", k) for k in range(self._rows.count)]
        form = self._form([*elements, *self._all_bounds()])
        remaining = max(0.0, self._end_s - time.monotonic())
        highs = build(form, {"time_limit": remaining, "presolve": "off", "solver": "simplex"})
        stop_when(highs, lambda: self._task.should_stop)
        highs.run()
        if highs.getModelStatus() != highspy.HighsModelStatus.kInfeasible:
            return None
        found = highs.getDualRay()
        values = next((part for part in reversed(found) if hasattr(part, "__len__")), None)
        if values is None or len(values) != self._rows.count:
            return None
        return np.array(values, dtype=np.float64) * row_scales(self._rows)

    def _all_bounds(self) -> list[Element]:
        size = len(self._lower)
        return [Element(kind, k) for kind in ("lower", "upper") for k in range(size)]

    def _form(self, elements: list[Element]) -> LinearForm:
        chosen = {
            kind: [e.index for e in elements if e.kind == kind]
            for kind in ("row", "lower", "upper")
        }
        row_lower, row_upper = self._rows.lower.copy(), self._rows.upper.copy()
        left_out = np.ones(self._rows.count, dtype=np.bool_)
        left_out[chosen["row"]] = False
        row_lower[left_out], row_upper[left_out] = -np.inf, np.inf
        lower, upper = self._lower, self._upper
        if "lower" in self._removable or "upper" in self._removable:
            lower, upper = np.full(len(lower), -np.inf), np.full(len(upper), np.inf)
            lower[chosen["lower"]] = self._lower[chosen["lower"]]
            upper[chosen["upper"]] = self._upper[chosen["upper"]]
        rows = Rows(self._rows.matrix, row_lower, row_upper)
        size = len(lower)
        return LinearForm(size, np.zeros(size), 0.0, rows, lower, upper, self._integer)


def _describe(problem: BinaryProblem | LinearProblem, element: Element) -> Conflict:
    if element.kind == "row":
        return problem.rows.conflict(element.index, problem.rows_path)
    assert isinstance(problem, LinearProblem)
    ends = problem.lower if element.kind == "lower" else problem.upper
    relation = "at least" if element.kind == "lower" else "at most"
    text = f"variable {element.index} is {relation} {ends[element.index]:g}"
    if problem.integer[element.index]:
        text += ", and a whole number"
    return Conflict(f"linear.{element.kind}[{element.index}]", "", text)
