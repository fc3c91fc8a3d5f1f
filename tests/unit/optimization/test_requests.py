"""What a request must not hold, and the path by which it is refused."""

import math
import random
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from google.protobuf.descriptor import Descriptor
from hypothesis import given
from hypothesis import strategies as st
from ketgate.optimization.v1 import optimization_service_pb2 as pb
from ketgate.type.v1 import tensor_pb2
from ketgate_server.errors import FieldError, KetgateError, LimitError, Reason
from ketgate_server.limits import LIMITS
from ketgate_server.optimization import convert
from ketgate_server.optimization.registry import check_parameters, choose, solvers

from ...specs import binary, fill_sparse, ising, linear, qubo, tensor

Change = Callable[[pb.SolveSpec], Any]
THREADS = 2


def read(spec: pb.SolveSpec) -> tuple[Any, Any]:
    return convert.read_request(pb.SolveRequest(spec=spec), LIMITS, THREADS)


def path_exists(path: str) -> bool:
    """Whether a field path, subscripts apart, names a field or a oneof of SolveRequest."""
    descriptor: Descriptor | None = pb.SolveRequest.DESCRIPTOR
    for part in re.sub(r"\[[^\]]*\]", "", path).split("."):
        if descriptor is None:
            return False
        field = descriptor.fields_by_name.get(part)
        if field is None:
            return part in descriptor.oneofs_by_name
        descriptor = field.message_type
    return True


def small_ising() -> pb.SolveSpec:
    return ising([[0, 1, 0], [0, 0, -2], [0, 0, 0]], [1.0, 0.0, 0.5])


def small_binary() -> pb.SolveSpec:
    return binary(np.eye(2), [[1, 1]], [1], [1])


def small_linear() -> pb.SolveSpec:
    return linear([1.0, 1.0], [[1, 2]], [3], [math.inf])


def set_duration(seconds: int, nanos: int) -> Change:
    def change(spec: pb.SolveSpec) -> None:
        spec.time_limit.seconds, spec.time_limit.nanos = seconds, nanos

    return change


OPTIONS: list[tuple[Change, str]] = [
    (set_duration(0, 0), "spec.time_limit"),
    (set_duration(-1, 0), "spec.time_limit"),
    (set_duration(1, -5), "spec.time_limit"),
    (set_duration(0, 2_000_000_000), "spec.time_limit"),
    (set_duration((1 << 63) - 1, 0), "spec.time_limit"),
    (set_duration(3601, 0), "spec.time_limit"),
    (lambda s: setattr(s, "work_limit", -(1 << 63)), "spec.work_limit"),
    (lambda s: setattr(s, "threads", -1), "spec.threads"),
    (lambda s: setattr(s, "threads", 3), "spec.threads"),
    (lambda s: setattr(s, "pool_size", -1), "spec.pool_size"),
    (lambda s: setattr(s, "target_objective", math.nan), "spec.target_objective"),
    (lambda s: setattr(s, "target_objective", math.inf), "spec.target_objective"),
    (lambda s: setattr(s, "gap_relative", 1.5), "spec.gap_relative"),
    (lambda s: setattr(s, "gap_relative", math.nan), "spec.gap_relative"),
    (lambda s: setattr(s, "gap_absolute", -1.0), "spec.gap_absolute"),
    (lambda s: setattr(s, "feasibility_tolerance", 0.0), "spec.feasibility_tolerance"),
    (lambda s: setattr(s, "feasibility_tolerance", 0.1), "spec.feasibility_tolerance"),
    (lambda s: s.initial.CopyFrom(tensor([1, 1], "i1")), "spec.initial"),
    (lambda s: s.initial.CopyFrom(tensor([1, 0, 1], "i1")), "spec.initial"),
    (lambda s: s.initial.CopyFrom(tensor(np.empty((0, 3)), "i1")), "spec.initial"),
    (lambda s: s.initial.CopyFrom(tensor([1, math.nan, 1])), "spec.initial"),
    (lambda s: s.ClearField("ising"), "spec.problem"),
    (lambda s: setattr(s.ising, "num_spins", 0), "spec.ising.num_spins"),
    (lambda s: setattr(s.ising, "num_spins", -1), "spec.ising.num_spins"),
    (lambda s: setattr(s.ising, "num_spins", 4), "spec.ising.linear"),
    (lambda s: setattr(s.ising, "offset", math.nan), "spec.ising.offset"),
    (lambda s: s.ising.linear.CopyFrom(tensor([1, math.inf, 0])), "spec.ising.linear"),
    (lambda s: s.ising.linear.CopyFrom(tensor([1e300] * 3)), "spec.ising"),
    (lambda s: fill_sparse(s.ising.quadratic, np.eye(3)), "spec.ising.quadratic"),
    (lambda s: fill_sparse(s.ising.quadratic, np.ones((4, 4))), "spec.ising.quadratic.row"),
    (lambda s: s.ising.quadratic.ClearField("value"), "spec.ising.quadratic.value"),
    (lambda s: s.ising.quadratic.row.CopyFrom(tensor([0, 1])), "spec.ising.quadratic.row.dtype"),
    (lambda s: s.solvers.add(name="nonesuch"), "spec.solvers[0].name"),
    (lambda s: [s.solvers.add(name="tabu") for _ in range(2)], "spec.solvers[1].name"),
]


@pytest.mark.parametrize(("change", "field"), OPTIONS)
def test_a_bad_field_is_refused_by_its_path(change: Change, field: str) -> None:
    spec = small_ising()
    change(spec)
    with pytest.raises(FieldError) as refusal:
        choose(*read(spec))
    assert refusal.value.field == field
    assert path_exists(field)


PROGRAMS: list[tuple[Callable[[], pb.SolveSpec], Change, str]] = [
    (
        small_binary,
        lambda s: s.binary_quadratic.ClearField("objective"),
        "binary_quadratic.objective",
    ),
    (
        small_binary,
        lambda s: s.binary_quadratic.rows.lower.CopyFrom(tensor([2])),
        "binary_quadratic.rows.lower",
    ),
    (
        small_binary,
        lambda s: s.binary_quadratic.rows.lower.CopyFrom(tensor([1, 1])),
        "binary_quadratic.rows.upper",
    ),
    (
        small_binary,
        lambda s: s.binary_quadratic.rows.lower.CopyFrom(tensor([math.inf])),
        "binary_quadratic.rows.lower",
    ),
    (
        small_binary,
        lambda s: s.binary_quadratic.rows.upper.CopyFrom(tensor([math.nan])),
        "binary_quadratic.rows.upper",
    ),
    (
        small_binary,
        lambda s: s.binary_quadratic.rows.names.extend("ab"),
        "binary_quadratic.rows.names",
    ),
    (
        small_binary,
        lambda s: s.binary_quadratic.rows.names.append("a" * 201),
        "binary_quadratic.rows.names[0]",
    ),
    (small_linear, lambda s: s.linear.ClearField("objective"), "linear.objective"),
    (small_linear, lambda s: s.linear.objective.CopyFrom(tensor([])), "linear.objective"),
    (small_linear, lambda s: s.linear.objective.CopyFrom(tensor([1, 1e20])), "linear.objective"),
    (small_linear, lambda s: setattr(s.linear, "sense", 99), "linear.sense"),
    (small_linear, lambda s: setattr(s.linear, "offset", math.inf), "linear.offset"),
    (small_linear, lambda s: s.linear.lower.CopyFrom(tensor([1, 2, 3])), "linear.lower"),
    (small_linear, lambda s: s.linear.upper.CopyFrom(tensor([-1])), "linear.lower"),
    (small_linear, lambda s: s.linear.upper.CopyFrom(tensor([1e25, 1])), "linear.upper"),
    (
        small_linear,
        lambda s: s.linear.integrality.CopyFrom(tensor([2, 0], "u1")),
        "linear.integrality",
    ),
    (
        small_linear,
        lambda s: s.linear.integrality.CopyFrom(tensor([1, 0])),
        "linear.integrality.dtype",
    ),
    (
        small_linear,
        lambda s: fill_sparse(s.linear.rows.matrix, [[1e16, 1]]),
        "linear.rows.matrix.value",
    ),
    (
        small_linear,
        lambda s: s.linear.rows.matrix.column.CopyFrom(tensor([0, 0], "i4")),
        "linear.rows.matrix",
    ),
]


@pytest.mark.parametrize(("make", "change", "field"), PROGRAMS)
def test_a_bad_program_is_refused_by_its_path(
    make: Callable[[], pb.SolveSpec], change: Change, field: str
) -> None:
    spec = make()
    change(spec)
    with pytest.raises(FieldError) as refusal:
        read(spec)
    assert refusal.value.field == f"spec.{field}"
    assert path_exists(f"spec.{field}")


def test_nothing_to_solve_is_refused() -> None:
    with pytest.raises(FieldError) as refusal:
        convert.read_request(pb.SolveRequest(), LIMITS, THREADS)
    assert refusal.value.field == "spec"


@pytest.mark.parametrize(
    ("change", "limit"),
    [
        (lambda s: setattr(s.ising, "num_spins", (1 << 63) - 1), "optimization.spins_max"),
        (lambda s: setattr(s, "pool_size", (1 << 31) - 1), "optimization.pool_size_max"),
        (lambda s: [s.solvers.add(name="tabu") for _ in range(9)], "optimization.solvers_max"),
        (
            lambda s: s.initial.CopyFrom(tensor(np.ones((1001, 3)), "i1")),
            "optimization.pool_size_max",
        ),
    ],
)
def test_what_is_over_a_limit_names_it(change: Change, limit: str) -> None:
    spec = small_ising()
    change(spec)
    with pytest.raises(LimitError) as refusal:
        read(spec)
    assert refusal.value.limit == limit


def test_a_pool_that_fits_no_message_is_refused() -> None:
    spec = pb.SolveSpec(pool_size=1000)
    spec.ising.num_spins = 100_000
    with pytest.raises(LimitError) as refusal:
        read(spec)
    assert refusal.value.limit == "rpc.message_bytes_max"


def test_defaults_are_those_of_the_contract() -> None:
    spec = small_ising()
    spec.ClearField("time_limit")
    _, options = read(spec)
    assert (options.time_limit_s, options.pool_size, options.seed) == (10.0, 1, None)
    assert (options.gap_relative, options.gap_absolute, options.feasibility_tolerance) == (
        1e-9,
        0.0,
        1e-9,
    )


def test_the_digest_is_of_the_meaning_not_of_the_order_of_maps() -> None:
    one, other = small_ising(), small_ising()
    for spec, names in ((one, ("sweeps", "runs")), (other, ("runs", "sweeps"))):
        choice = spec.solvers.add(name="annealing")
        for name in names:
            choice.parameters[name].integer = 3
    assert convert.digest(one) == convert.digest(other)
    other.seed = 1
    assert convert.digest(one) != convert.digest(other)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"sweep": 1}, "did you mean 'sweeps'"),
        ({"sweeps": 0}, "from 1 to"),
        ({"sweeps": 1.5}, "an integer"),
        ({"sweeps": True}, "an integer"),
        ({"sweeps": None}, "given nothing"),
        ({"beta_end": math.nan}, "from 0 to"),
        ({"beta_end": "hot"}, "a number"),
    ],
)
def test_parameters_are_checked(parameters: dict[str, Any], expected: str) -> None:
    with pytest.raises(FieldError, match=re.escape(expected)) as refusal:
        check_parameters(solvers()["annealing"], parameters, "spec.solvers[0].parameters")
    assert refusal.value.field == f'spec.solvers[0].parameters["{next(iter(parameters))}"]'


def test_odd_names_of_parameters_stay_out_of_the_path() -> None:
    with pytest.raises(FieldError) as refusal:
        check_parameters(solvers()["tabu"], {'a"]].x' * 100: 1}, "spec.solvers[0].parameters")
    assert refusal.value.field is not None
    assert path_exists(refusal.value.field)


def test_an_integer_is_taken_for_a_number() -> None:
    values = check_parameters(solvers()["annealing"], {"beta_end": 3}, "p")
    assert values["beta_end"] == 3.0
    assert values["replicas"] == 32


@pytest.mark.parametrize(
    ("make", "solver"),
    [(small_ising, "active-set"), (small_linear, "tabu"), (small_binary, "local-search")],
)
def test_a_solver_of_another_kind_is_unsuitable(
    make: Callable[[], pb.SolveSpec], solver: str
) -> None:
    spec = make()
    spec.solvers.add(name=solver)
    with pytest.raises(KetgateError, match="cannot take this") as refusal:
        choose(*read(spec))
    assert refusal.value.reason is Reason.SOLVER_UNSUITABLE


def test_too_large_for_the_exhaustive_is_unsuitable_and_says_why() -> None:
    spec = ising(np.zeros((41, 41)))
    spec.solvers.add(name="exhaustive")
    with pytest.raises(KetgateError, match="at most 40 variables, not 41"):
        choose(*read(spec))


SCALARS = [0, 1, -1, 7, 255, (1 << 31) - 1, -(1 << 31), (1 << 63) - 1, -(1 << 63)]


def random_tensor(rng: random.Random) -> tensor_pb2.Tensor:
    """Any tensor at all, more often a small one that fits."""
    found = tensor_pb2.Tensor(dtype=rng.choice([0, 1, 1, 2, 3, 4, 4, 5, 6, 99]))
    found.shape.extend(rng.choice([[], [2], [3], [0], [-1], [1 << 62, 4], [rng.choice(SCALARS)]]))
    kind = rng.randrange(4)
    if kind == 0:
        found.data = rng.randbytes(rng.choice([0, 1, 8, 12, 16, 24]))
    elif kind == 1:
        found.doubles.values.extend(
            rng.choice([0.0, 1.0, -2.5, math.nan, math.inf, 1e300]) for _ in range(3)
        )
    elif kind == 2:
        found.integers.values.extend(rng.choice(SCALARS) for _ in range(3))
    return found


@given(seed=st.integers(0, 10**9))
def test_random_problems_are_read_or_refused_by_path(seed: int) -> None:
    rng = random.Random(seed)
    spec = small_ising() if seed % 2 else qubo(np.eye(3))
    message = spec.ising if seed % 2 else spec.qubo
    for part in (
        message.linear,
        message.quadratic.row,
        message.quadratic.column,
        message.quadratic.value,
    ):
        if rng.random() < 0.5:
            part.CopyFrom(random_tensor(rng))
    if rng.random() < 0.3:
        spec.initial.CopyFrom(random_tensor(rng))
    field = ""
    try:
        problem, _ = read(spec)
    except KetgateError as refusal:
        field = refusal.field or "nothing"
    else:
        assert problem.size == 3
    assert not field or path_exists(field), field


def test_a_start_beyond_all_bounds_is_refused() -> None:
    spec = linear([1.0], [[1.0]], [0.0], [1.0])
    spec.initial.CopyFrom(tensor([1e300]))
    with pytest.raises(FieldError, match=r"spec\.initial.*1e\+300 at element 0"):
        read(spec)
