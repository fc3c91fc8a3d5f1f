"""Fuzz what reads and solves requests: python tests/fuzz/fuzz_requests.py --seconds 60 [--seed N].

Valid requests are mutated field by field, and now and then byte by byte. Whatever comes, the answer
must be a result or an error with a path that exists in the request; anything else is a finding,
which is printed with what reproduces it.
"""

# ruff: noqa: E402 - imported from this checkout, whose folders are put into the path first

import argparse
import os
import random
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "server"), str(ROOT / "native")]

from ketgate.optimization.v1 import optimization_service_pb2 as pb
from ketgate_server.errors import CATALOGUE, KetgateError
from ketgate_server.limits import LIMITS
from ketgate_server.optimization.engine import Engine
from ketgate_server.optimization.service import OptimizationServicer

from tests.specs import LocalCall, binary, ising, linear, qubo, random_couplings, tensor

INTEGERS = [0, 1, -1, 2, 3, 7, 255, 1 << 16, (1 << 31) - 1, -(1 << 31), (1 << 63) - 1, -(1 << 63)]
NUMBERS = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    1e-300,
    1e15,
    1e300,
    float("inf"),
    float("-inf"),
    float("nan"),
]
TEXTS = ["", "a", "x" * 300, "]\x00", "tabu", "highs", "sweeps", "active-set", "\U0001f600"]
SOLVE_S = 0.05
SOLVE_VARIABLES_MAX = 64
SLOW_S = 5.0
SERVICER = OptimizationServicer(LIMITS, Engine(LIMITS, 2))


def corpus() -> list[pb.SolveRequest]:
    """A valid request of each kind."""
    specs = [
        ising(random_couplings(6, 0.5, 1), np.ones(6)),
        qubo(random_couplings(5, 0.5, 2)),
        binary(np.eye(4), [[1, 1, 1, 1], [1, -1, 0, 0]], [1, 0], [2, 1]),
        linear([1, -2, 0.5], [[1, 1, 1]], [1], [2], x_upper=[3.0], integrality=[1, 0, 1]),
        _portfolio(moments=True),
        _portfolio(moments=False),
    ]
    for spec in specs:
        spec.seed = 1
        spec.pool_size = 2
    specs[0].solvers.add(name="annealing").parameters["sweeps"].integer = 4
    specs[0].initial.CopyFrom(tensor([1, -1, 1, -1, 1, -1], "i1"))
    return [pb.SolveRequest(spec=spec) for spec in specs]


def _portfolio(*, moments: bool) -> pb.SolveSpec:
    rng = np.random.default_rng(3)
    spec = pb.SolveSpec()
    problem = spec.portfolio
    if moments:
        problem.moments.covariance.CopyFrom(tensor(np.diag([1.0, 2.0, 3.0, 4.0])))
        problem.moments.expected_returns.CopyFrom(tensor([0.1, 0.2, 0.3, 0.4]))
        problem.objective.utility.risk_aversion = 2.0
    else:
        problem.prices.prices.CopyFrom(
            tensor(np.exp(0.01 * rng.normal(size=(12, 4)).cumsum(axis=0)))
        )
        problem.objective.minimum_variance.SetInParent()
    constraints = problem.constraints
    constraints.budget.lower = constraints.budget.upper = 1.0
    constraints.upper.CopyFrom(tensor([0.9]))
    group = constraints.groups.add(name="g", members=[0, 2])
    group.range.upper = 0.8
    constraints.cardinality.names_max = 3
    constraints.cardinality.position_min = 0.05
    return spec


def mutate(message: Message, rng: random.Random) -> None:
    """Change one thing somewhere in a message."""
    fields = list(message.DESCRIPTOR.fields)
    if not fields:
        return
    chosen = rng.choice(fields)
    if chosen.is_repeated:
        _mutate_repeated(message, chosen, rng)
    elif chosen.message_type is not None:
        if message.HasField(chosen.name) and rng.random() < 0.15:
            message.ClearField(chosen.name)
        elif message.HasField(chosen.name) or rng.random() < 0.1:
            inner = getattr(message, chosen.name)
            inner.SetInParent()
            mutate(inner, rng)
        else:
            _mutate_present(message, rng)
    elif rng.random() < 0.5:
        setattr(message, chosen.name, _scalar(chosen, rng))
    else:
        _mutate_present(message, rng)


def _mutate_present(message: Message, rng: random.Random) -> None:
    """Go down into something that is there, as most of a message is absent."""
    present = [value for _, value in message.ListFields() if isinstance(value, Message)]
    if present:
        mutate(rng.choice(present), rng)


def _mutate_repeated(message: Message, chosen: FieldDescriptor, rng: random.Random) -> None:
    values = getattr(message, chosen.name)
    is_map = chosen.message_type is not None and chosen.message_type.GetOptions().map_entry
    if is_map:
        mutate(values[rng.choice(TEXTS)[:60]], rng)
    elif chosen.message_type is not None:
        if values and rng.random() < 0.7:
            mutate(rng.choice(values), rng)
        else:
            mutate(values.add(), rng)
    elif values and rng.random() < 0.6:
        values[rng.randrange(len(values))] = _scalar(chosen, rng)
    elif values and rng.random() < 0.4:
        del values[rng.randrange(len(values)) :]
    else:
        values.append(_scalar(chosen, rng))


def _scalar(chosen: FieldDescriptor, rng: random.Random) -> Any:
    kind = chosen.type
    if kind in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT):
        return rng.choice([*NUMBERS, rng.uniform(-2, 2)])
    if kind == FieldDescriptor.TYPE_BOOL:
        return rng.random() < 0.5
    if kind == FieldDescriptor.TYPE_STRING:
        return rng.choice(TEXTS)
    if kind == FieldDescriptor.TYPE_BYTES:
        return rng.randbytes(rng.choice([0, 1, 8, 16, 32, 128]))
    if kind == FieldDescriptor.TYPE_ENUM:
        return rng.choice([*(v.number for v in chosen.enum_type.values), 99])
    bits = (
        32
        if chosen.cpp_type in (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_UINT32)
        else 64
    )
    unsigned = chosen.cpp_type in (FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64)
    low, high = (0, (1 << bits) - 1) if unsigned else (-(1 << bits - 1), (1 << bits - 1) - 1)
    return min(max(rng.choice([*INTEGERS, rng.randint(0, 9)]), low), high)


def path_exists(descriptor: Descriptor | None, path: str) -> bool:
    for part in re.sub(r"\[[^\]]*\]", "", path).split("."):
        if descriptor is None:
            return False
        found = descriptor.fields_by_name.get(part)
        if found is None:
            return part in descriptor.oneofs_by_name
        descriptor = found.message_type
    return True


def check(request: pb.SolveRequest) -> str:
    """Send the request; the outcome in a word. Raises AssertionError, or whatever a fault of ours
    raises."""
    spec = request.spec
    if request.HasField(
        "spec"
    ):  # the outcome is to come fast; what was wrong with the limit is read first
        estimate = pb.SolveRequest(spec=spec, validate_only=True)
        outcome = _send(estimate)
        if outcome != "ok":
            return outcome
        response = SERVICER.solve(LocalCall(), estimate)
        if response.estimate.num_variables > SOLVE_VARIABLES_MAX:
            return "too large to solve here"
        spec.time_limit.FromNanoseconds(int(SOLVE_S * 1e9))
    request.validate_only = False
    return _send(request)


def _send(request: pb.SolveRequest) -> str:
    refused: KetgateError | None = None
    try:
        SERVICER.solve(LocalCall(), request)
    except KetgateError as error:
        refused = error
    if refused is None:
        return "ok"
    code = CATALOGUE[refused.reason].code
    assert code != "INTERNAL", refused.message
    if code == "INVALID_ARGUMENT":
        assert refused.field, f"no field: {refused.message}"
        assert path_exists(pb.SolveRequest.DESCRIPTOR, refused.field), refused.field
    return str(refused.reason)


def _mutated(base: pb.SolveRequest, rng: random.Random) -> pb.SolveRequest:
    request = pb.SolveRequest()
    request.CopyFrom(base)
    if rng.random() < 0.05:
        content = bytearray(request.SerializeToString())
        for _ in range(rng.randint(1, 4)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        try:
            return pb.SolveRequest.FromString(bytes(content))
        except DecodeError:
            return request
    for _ in range(rng.randint(1, 4)):
        mutate(request, rng)
    return request


def run(seconds: float, seed: int) -> int:
    """Mutate and send until the time is over; the number of findings."""
    bases, outcomes, findings = corpus(), dict[str, int](), 0
    end = time.monotonic() + seconds
    count = 0
    while time.monotonic() < end and findings < 10:
        rng = random.Random(f"{seed}/{count}")
        request = _mutated(rng.choice(bases), rng)
        started = time.monotonic()
        try:
            outcome = check(request)
            took = time.monotonic() - started
            assert took < SLOW_S, f"took {took:.1f} s"
        except Exception as error:
            findings += 1
            outcome = "finding"
            print(
                f"seed {seed}/{count}: {type(error).__name__}: {error}\n{request.SerializeToString().hex()}"
            )
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        count += 1
    print(f"{count} requests, seed {seed}: {outcomes}; {findings} findings")
    return findings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    failed = run(arguments.seconds, arguments.seed)
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: a library's threads that still solve would abort the process on its way out.
    os._exit(1 if failed else 0)


if __name__ == "__main__":
    main()
