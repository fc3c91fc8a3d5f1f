"""`ketgate circuit`: run, estimate, compile and cost OpenQASM programs."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ketgate._circuits import Program
from ketgate._cli import quantum_options as of
from ketgate._cli import quantum_view as view
from ketgate._cli.connection import Json, Server, names_server

circuit = typer.Typer(help="Run, estimate, compile and cost circuits.", no_args_is_help=True)

File = Annotated[str, typer.Argument(help="OpenQASM 3 or 2; - reads the standard input.")]
Terms = Annotated[
    list[str],
    typer.Option(
        "--observable",
        "-o",
        help='Terms joined by commas, for example "Z0 Z1" or "0.5*Z0 Z1, -1*X0"; may be repeated.',
    ),
]


@circuit.command()
@names_server
def run(
    server: Server,
    file: File,
    shots: of.Shots = 1024,
    parameter: of.Values = None,
    backend: of.Backend = None,
    policy: of.Policy = None,
    noise: of.NoiseName = None,
    mitigate: Annotated[
        bool, typer.Option("--mitigate", help="Correct counts for errors of readout.")
    ] = False,
    seed: of.Seed = None,
    max_cost: of.Cost = None,
    time_limit: of.TimeLimit = None,
    durable: of.Durable = False,
    plot: of.Plot = None,
    as_json: Json = False,
) -> None:
    """Run a program and show the histogram of its outcomes."""
    options = of.execution(
        backend=backend, policy=policy, noise=noise, seed=seed, time_limit=time_limit,
        cost=max_cost, durable=durable, mitigation="readout" if mitigate else None,
    )  # fmt: skip
    with server.connect() as client:
        made = _program(file)
        result = client.quantum.run(
            made, shots or 0, parameters=of.parameters(parameter), **options
        )
    of.tell(result, as_json, plot)


@circuit.command()
@names_server
def estimate(
    server: Server,
    file: File,
    observable: Terms,
    shots: of.Shots = 0,
    gradients: Annotated[
        bool, typer.Option("--gradients", help="Also the derivatives by every parameter.")
    ] = False,
    parameter: of.Values = None,
    backend: of.Backend = None,
    policy: of.Policy = None,
    noise: of.NoiseName = None,
    seed: of.Seed = None,
    max_cost: of.Cost = None,
    time_limit: of.TimeLimit = None,
    durable: of.Durable = False,
    as_json: Json = False,
) -> None:
    """Estimate expectations of observables."""
    options = of.execution(
        backend=backend, policy=policy, noise=noise, seed=seed, time_limit=time_limit,
        cost=max_cost, durable=durable,
    )  # fmt: skip
    with server.connect() as client:
        result = client.quantum.estimate(
            _program(file),
            list(observable),
            shots or 0,
            gradients=gradients,
            parameters=of.parameters(parameter),
            **options,
        )
    of.tell(result, as_json)


@circuit.command()
@names_server
def transpile(
    server: Server,
    file: File,
    backend: of.Backend = None,
    basis: Annotated[
        str | None, typer.Option(help="Gates to use, for example cx,rz,sx,x; without --backend.")
    ] = None,
    level: Annotated[int, typer.Option(min=0, max=3, help="Optimisation: 0 to 3.")] = 1,
    openqasm2: Annotated[bool, typer.Option("--openqasm2", help="Write OpenQASM 2.0.")] = False,
    parameter: of.Values = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="Write the program there; default: print it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compile a program to a back end's gates and coupling."""
    with server.connect() as client:
        made = client.quantum.transpile(
            _program(file),
            backend=backend or "",
            basis_gates=basis.split(",") if basis else (),
            optimization_level=level,
            format="openqasm2" if openqasm2 else "openqasm3",
            parameters=of.parameters(parameter),
        )
    assert not isinstance(made, list)
    if as_json:
        typer.echo(json.dumps(made.to_dict(), indent=2))
        return
    if output is None:
        typer.echo(made.openqasm)
        return
    made.save(output)
    view.print_transpiled(made)


@circuit.command()
@names_server
def cost(
    server: Server,
    file: File,
    shots: of.Shots = 1024,
    parameter: of.Values = None,
    backend: of.Backend = None,
    policy: of.Policy = None,
    noise: of.NoiseName = None,
    as_json: Json = False,
) -> None:
    """Tell time, memory, shots and cost of a run on each back end that could; nothing is run."""
    options = of.execution(backend=backend, policy=policy, noise=noise)
    with server.connect() as client:
        told = client.quantum.estimate_run(
            _program(file), shots=shots or 0, parameters=of.parameters(parameter), **options
        )
    of.tell(told, as_json, show=view.print_estimate)


def _program(file: str) -> Program:
    label = "" if file == "-" else Path(file).stem[:128]
    return Program(of.program(file), label=label)
