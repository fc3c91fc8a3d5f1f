"""All solvers: which there are, which are chosen for a problem, and whether what a caller chose
makes sense."""

import difflib
import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from ketgate_server.errors import FieldError, KetgateError, PartMissing, Reason
from ketgate_server.optimization.base import (
    ParameterSpec,
    Problem,
    ProblemKind,
    SolveOptions,
    Solver,
    needs_parts,
)
from ketgate_server.optimization.binary import BinaryProblem
from ketgate_server.optimization.ising import IsingProblem
from ketgate_server.optimization.run import Chosen
from ketgate_server.parts import PARTS, part_version

PATH = "spec.solvers"
KEY_CHARACTERS_MAX = 40
EXHAUSTIVE_DEFAULT_MAX = 24
"""Variables up to which every assignment is tried by default: a fraction of a second."""
LINEARIZED_DEFAULT_MAX = 400
"""Products up to which HiGHS joins by default, as it then has a chance to prove something."""


@cache
def solvers() -> Mapping[str, Solver]:
    """All solvers by name. Imported when first asked for, so that the server starts fast."""
    from ketgate_server.optimization.portfolio.solvers import SOLVERS as PORTFOLIO_SOLVERS
    from ketgate_server.optimization.solvers.annealing import Annealing
    from ketgate_server.optimization.solvers.binary_search import BinarySearch
    from ketgate_server.optimization.solvers.elimination import Elimination
    from ketgate_server.optimization.solvers.exhaustive import Exhaustive
    from ketgate_server.optimization.solvers.highs import Highs
    from ketgate_server.optimization.solvers.quantum import Grover, Qaoa, Vqe
    from ketgate_server.optimization.solvers.search import LocalSearch
    from ketgate_server.optimization.solvers.tabu import Tabu
    from ketgate_server.optimization.solvers.tempering import ParallelTempering

    ours: list[Solver] = [
        Annealing(),
        BinarySearch(),
        Elimination(),
        Exhaustive(),
        Grover(),
        Highs(),
        LocalSearch(),
        ParallelTempering(),
        Qaoa(),
        Tabu(),
        Vqe(),
    ]
    found = {solver.name: solver for solver in [*ours, *PORTFOLIO_SOLVERS]}
    return dict(sorted(found.items()))


def choose(problem: Problem, options: SolveOptions) -> list[Chosen]:
    """The solvers to run, with all parameters. Raises FieldError, PartMissing and
    SOLVER_UNSUITABLE."""
    if options.solvers:
        return _chosen_by_caller(problem, options.solvers)
    names = default_names(problem, options)
    absent = {name: _missing_part(solvers()[name], problem) for name in names}
    picked = [_complete(solvers()[name]) for name in names if absent[name] is None]
    picked = [choice for choice in picked if choice.solver.unsuitable(problem) is None]
    if not picked:
        for part in filter(None, absent.values()):
            raise PartMissing(part, PARTS[part].install_command)
        raise KetgateError(
            Reason.SOLVER_UNSUITABLE,
            "no solver takes this problem: " + "; ".join(_why_not(problem, name) for name in names),
        )
    return picked


def choice_takes_work(problem: Problem, options: SolveOptions) -> bool:
    """Whether choose() looks for an order of elimination, which may take a tenth of a second."""
    from ketgate_server.optimization.solvers.elimination import ordering_takes_work

    if not isinstance(problem, IsingProblem) or problem.size <= EXHAUSTIVE_DEFAULT_MAX:
        return False
    asked = not options.solvers or any(name == "elimination" for name, _ in options.solvers)
    return asked and ordering_takes_work(problem)


def default_names(problem: Problem, options: SolveOptions) -> list[str]:
    """By size and structure; the order is the order of preference. A limit of work asks for a
    search."""
    if isinstance(problem, IsingProblem):
        if problem.size <= EXHAUSTIVE_DEFAULT_MAX:
            return ["exhaustive"]
        alone = options.pool_size == 1 and not options.work_limit
        if alone and solvers()["elimination"].unsuitable(problem) is None:
            return ["elimination"]
        return ["local-search"] + (["highs"] if problem.terms <= LINEARIZED_DEFAULT_MAX else [])
    if isinstance(problem, BinaryProblem):
        if problem.size <= EXHAUSTIVE_DEFAULT_MAX:
            return ["exhaustive"]
        return ["binary-search"] + (
            ["highs"] if problem.terms <= 10 * LINEARIZED_DEFAULT_MAX else []
        )
    if problem.kind in (ProblemKind.LINEAR, ProblemKind.MIXED_INTEGER):
        return ["highs"]
    from ketgate_server.optimization.portfolio.model import PortfolioProblem
    from ketgate_server.optimization.portfolio.solvers import choose as choose_portfolio

    assert isinstance(problem, PortfolioProblem)
    return list(choose_portfolio(problem))


def version(solver: Solver) -> str:
    return part_version(solver.part) or ""


def _chosen_by_caller(
    problem: Problem, wanted: Sequence[tuple[str, Mapping[str, Any]]]
) -> list[Chosen]:
    picked: list[Chosen] = []
    for index, (name, parameters) in enumerate(wanted):
        path = f"{PATH}[{index}]"
        solver = solvers().get(name)
        if solver is None:
            raise FieldError(
                f"{path}.name",
                expected="the name of a solver",
                given=name,
                hint=_nearest(name, list(solvers())),
            )
        if any(choice.solver is solver for choice in picked):
            raise FieldError(f"{path}.name", expected="each solver once", given=name)
        checked = check_parameters(solver, parameters, f"{path}.parameters")
        if not _installed(solver):
            raise PartMissing(solver.part, PARTS[solver.part].install_command)
        if problem.kind not in solver.problems or solver.unsuitable(problem) is not None:
            raise KetgateError(
                Reason.SOLVER_UNSUITABLE, _why_not(problem, name), field=f"{path}.name"
            )
        part = _missing_part(solver, problem)
        if part is not None:
            raise PartMissing(part, PARTS[part].install_command)
        picked.append(Chosen(solver, checked, version(solver)))
    return picked


def check_parameters(solver: Solver, given: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Every parameter of the solver: the values given, of the right type and in range, else the
    defaults."""
    specs = {spec.name: spec for spec in solver.parameters}
    values = {spec.name: spec.default for spec in solver.parameters}
    for name, value in sorted(given.items()):
        where = f'{path}["{_safe_key(name)}"]'
        if name not in specs:
            hint = _nearest(name, list(specs)) if specs else f"{solver.name} has no parameters"
            raise FieldError(where, expected=f"a parameter of {solver.name}", given=name, hint=hint)
        values[name] = _check_value(specs[name], value, where)
    return values


def _check_value(spec: ParameterSpec, value: Any, path: str) -> int | float | bool | str:
    kind = type(spec.default)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        names = {int: "an integer", float: "a number", bool: "a flag", str: "a text"}
        raise FieldError(path, expected=names[kind], given=names.get(type(value), "nothing"))
    if spec.choices and value not in spec.choices:
        raise FieldError(path, expected="one of " + ", ".join(spec.choices), given=value)
    if isinstance(value, (int, float)):
        low = -math.inf if spec.minimum is None else spec.minimum
        high = math.inf if spec.maximum is None else spec.maximum
        if not low <= value <= high:  # NaN is outside of everything
            raise FieldError(path, expected=f"a value from {low:g} to {high:g}", given=value)
    checked: int | float | bool | str = value
    return checked


def _complete(solver: Solver) -> Chosen:
    return Chosen(solver, check_parameters(solver, {}, PATH), version(solver))


def _installed(solver: Solver) -> bool:
    return part_version(solver.part) is not None


def _missing_part(solver: Solver, problem: Problem) -> str | None:
    """A part that the solver needs for this problem and the server lacks."""
    if not _installed(solver):
        return solver.part
    more = solver.parts_for(problem) if needs_parts(solver) else ()
    return next((part for part in more if part_version(part) is None), None)


def _why_not(problem: Problem, name: str) -> str:
    solver = solvers()[name]
    why = None
    if problem.kind in solver.problems:
        why = solver.unsuitable(problem)
    takes = ", ".join(sorted(kind.value for kind in solver.problems))
    return f"{name} cannot take this {problem.kind.value} problem: {why or f'it takes {takes}'}"


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name[:100], known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else "known: " + ", ".join(known)


def _safe_key(name: str) -> str:
    """A map's key as a field path can hold it."""
    return "".join(c for c in name[:KEY_CHARACTERS_MAX] if c.isalnum() or c in "_-. ")
