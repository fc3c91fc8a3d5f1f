"""Quantum results and back ends for people: tables, and histograms of characters."""

from collections.abc import Sequence
from typing import Any

from rich.markup import escape

from ketgate._algorithm_result import AlgorithmResult
from ketgate._backends import BackendDescription
from ketgate._cli.durations import local
from ketgate._cli.show import console, figure, print_table
from ketgate._estimate_result import EstimateResult
from ketgate._evidence import Evidence, RunEstimate
from ketgate._quantum_result import CircuitResult, RunResult
from ketgate._transpiled import TranspiledCircuit

OUTCOMES_MAX = 32
BAR_WIDTH = 40
_EIGHTHS = " ▏▎▍▌▋▊▉"


def print_quantum(result: Any) -> None:
    """Everything a person wants to know of a result of any kind of quantum work."""
    if isinstance(result, RunResult):
        for circuit in result.circuits:
            print_histogram(circuit)
    elif isinstance(result, EstimateResult):
        _print_expectations(result)
    else:
        _print_algorithm(result)
    print_evidence(result.evidence)


def print_histogram(result: CircuitResult) -> None:
    """A bar for each outcome, the likeliest first."""
    shown = list(result.probabilities.items())[:OUTCOMES_MAX]
    most = max((p for _, p in shown), default=0.0) or 1.0
    counted = bool(result.counts)
    rows = [
        [key, *([result.counts.get(key, 0)] if counted else []), f"{p:.4f}", bar(p / most)]
        for key, p in shown
    ]
    more = len(result.probabilities) - len(shown)
    if more:
        rows.append([f"and {more} more", *[""] * (3 if counted else 2)])
    columns = ["outcome", *(["count"] if counted else []), "probability", ""]
    r = result.resources
    title = f"{result.label or f'Circuit {result.index}'}: {r.num_qubits} qubits, depth {r.depth}"
    print_table(title, columns, rows, right=range(1, len(columns) - 1), whole=range(len(columns)))


def bar(share: float) -> str:
    """A bar of characters; share: 0 to 1 of its whole width."""
    eighths = round(max(0.0, min(1.0, share)) * BAR_WIDTH * 8)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def print_evidence(evidence: Evidence) -> None:
    """Where and how it came to be."""
    shots = f"{evidence.shots:,} shots" if evidence.shots else "exact"
    rows = [
        ("back end", f"{evidence.backend} ({evidence.kind}), {evidence.version}"),
        ("noise", evidence.noise_model),
        ("calibration", local(evidence.calibration_time) if evidence.calibration_time else ""),
        ("fidelity", figure(evidence.expected_fidelity, 4) if evidence.expected_fidelity else ""),
        ("seed", f"{evidence.seed}, {shots}"),
        ("mitigation", "; ".join(evidence.mitigation)),
        ("provider's job", evidence.provider_job),
        ("cost", str(evidence.cost) if evidence.cost else ""),
        ("time", f"{evidence.times.total_s:.3g} s"),
        *(("passed over", f"{name}: {reason}") for name, reason in evidence.routing),
        *(("warning", text) for text in evidence.warnings),
    ]
    print_table("How it came about", ("", ""), [row for row in rows if row[1]])


def _print_expectations(result: EstimateResult) -> None:
    slopes = sorted({name for e in result.expectations for name in e.gradient})
    rows = [
        [
            e.circuit,
            e.observable,
            figure(e.value),
            figure(e.standard_error, 2) if e.standard_error else "exact",
            *(figure(e.gradient.get(name), 6) for name in slopes),
        ]
        for e in result.expectations
    ]
    columns = ["circuit", "observable", "value", "standard error", *(f"d/d {s}" for s in slopes)]
    print_table("Expectations", columns, rows, right=range(2, len(columns)))


def _print_algorithm(result: AlgorithmResult) -> None:
    rows = [
        (name.replace("_", " "), _cell(value))
        for name, value in result._figures().items()
        if value is not None
    ]
    if result.baseline is not None:
        rows.append(("classical", str(result.baseline)))
    rows.append(("needed", str(result.resources)))
    print_table(type(result).__name__.removesuffix("Result"), ("", ""), rows)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return figure(value)
    if isinstance(value, list) and all(isinstance(one, float) for one in value):
        return ", ".join(figure(one, 6) for one in value)
    if isinstance(value, dict) and "model" in value:
        return f"{value['model']}: {value['test_accuracy']:.1%} right on the test part"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "\n".join(map(_cell, value))
    return str(value)


def print_estimate(told: RunEstimate) -> None:
    """What a run would take, on each back end that could."""
    print_table(
        "What it would take",
        ("back end", "time", "queue", "memory", "shots", "cost", "fidelity"),
        [
            [
                one.backend,
                f"{one.run_time_s:.3g} s",
                "" if one.queue_time_s is None else f"{one.queue_time_s:.3g} s",
                f"{one.memory_bytes / 2**20:,.3g} MiB",
                f"{one.shots:,}",
                str(one.cost or "free"),
                figure(one.expected_fidelity, 4) if one.expected_fidelity else "",
            ]
            for one in (told, *told.alternatives)
        ],
        right=range(1, 7),
    )
    for text in told.warnings:
        console().print(f"warning: {escape(text)}")


def print_transpiled(made: TranspiledCircuit) -> None:
    print_table(
        f"Compiled by {made.compiler} in {made.time_s:.3g} s",
        ("", "before", "after"),
        [
            ["depth", made.before.depth, made.after.depth],
            [
                "gates of two or more qubits",
                made.before.num_multi_qubit_gates,
                made.after.num_multi_qubit_gates,
            ],
            ["qubits", made.before.num_qubits, made.after.num_qubits],
        ],
        right=(1, 2),
    )


def print_backends(found: Sequence[BackendDescription]) -> None:
    """A row for each."""
    print_table(
        "Back ends",
        ("name", "kind", "status", "qubits", "waiting", "price", "what it is"),
        [
            [
                one.name,
                one.kind,
                one.status,
                one.num_qubits,
                "" if one.queue_depth is None else one.queue_depth,
                one.price or "free",
                one.status_message or one.description,
            ]
            for one in found
        ],
        right=(3, 4),
        whole=(0, 2),
    )


def print_backend(told: BackendDescription) -> None:
    """All of one, with its calibration."""
    can = [name.replace("_", " ") for name, able in told.capabilities.items() if able]
    rows = [
        ("", told.description),
        ("kind", f"{told.kind} of {told.provider}"),
        ("status", f"{told.status} {told.status_message}".strip()),
        ("version", told.version),
        ("qubits", str(told.num_qubits)),
        ("gates", ", ".join(told.basis_gates) or "all of the standard library"),
        ("coupling", f"{len(told.coupling)} pairs" if told.coupling else "all"),
        ("can", ", ".join(can)),
        ("region", told.region),
        ("waiting there", "" if told.queue_depth is None else f"{told.queue_depth} jobs"),
        ("price", str(told.price or "free")),
    ]
    print_table(told.name, ("", ""), [row for row in rows if row[1]])
    calibration = told.calibration
    if calibration is None:
        return
    print_table(
        f"Calibration of {local(calibration.time) or 'unknown time'}, SHA-256 {calibration.digest[:16]}",
        ("qubit", "T1 us", "T2 us", "reads 1 for 0", "reads 0 for 1"),
        [
            [
                q.label or q.qubit,
                figure(q.t1_us, 4),
                figure(q.t2_us, 4),
                figure(q.p1_given_0, 3),
                figure(q.p0_given_1, 3),
            ]
            for q in calibration.qubits
        ],
        right=range(5),
    )
    print_table(
        "Gates",
        ("gate", "places", "median error", "median ns"),
        _medians(told),
        right=(1, 2, 3),
    )


def _medians(told: BackendDescription) -> list[list[object]]:
    from statistics import median

    assert told.calibration is not None
    rows: list[list[object]] = []
    for name in sorted({g.gate for g in told.calibration.gates}):
        gates = [g for g in told.calibration.gates if g.gate == name]
        errors = [g.error for g in gates if g.error is not None]
        times = [g.duration_ns for g in gates if g.duration_ns is not None]
        rows.append(
            [
                name,
                len(gates),
                figure(median(errors) if errors else None, 3),
                figure(median(times) if times else None, 4),
            ]
        )
    return rows
