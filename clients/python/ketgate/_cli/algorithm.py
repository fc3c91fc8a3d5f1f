"""`ketgate algorithm`: quantum algorithms on problems that fit a command line or a file."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ketgate._cli import quantum_options as of
from ketgate._cli.connection import Json, Server, names_server
from ketgate._errors import InvalidArgument

algorithm = typer.Typer(
    help="Quantum algorithms, beside the classical result on the same instance.",
    no_args_is_help=True,
)

Layers = Annotated[int, typer.Option(min=1, help="Layers of the circuit.")]


@algorithm.command()
@names_server
def qaoa(
    server: Server,
    file: Annotated[
        str,
        typer.Argument(
            # A bracket before a letter begins Rich's markup, which would leave it out.
            help='JSON: {"Q": [\\[i, j, value], ...]} of a QUBO, or {"h": [...], "J": '
            "[\\[i, j, value], ...]} of an Ising energy; - reads the standard input."
        ),
    ],
    layers: Layers = 1,
    shots: of.Shots = 0,
    backend: of.Backend = None,
    noise: of.NoiseName = None,
    seed: of.Seed = None,
    time_limit: of.TimeLimit = None,
    durable: of.Durable = False,
    plot: of.Plot = None,
    as_json: Json = False,
) -> None:
    """Minimise a QUBO or an Ising energy by QAOA."""
    problem = _problem(file)
    options = _options(shots, backend, noise, seed, time_limit, durable)
    with server.connect() as client:
        result = client.algorithms.qaoa(layers=layers, **problem, **options)
    of.tell(result, as_json, plot)


@algorithm.command()
@names_server
def vqe(
    server: Server,
    file: Annotated[
        str,
        typer.Argument(help='JSON: {"Z0 Z1": -1.0, "X0": 0.5, ...}; - reads the standard input.'),
    ],
    layers: Layers = 2,
    shots: of.Shots = 0,
    backend: of.Backend = None,
    noise: of.NoiseName = None,
    seed: of.Seed = None,
    time_limit: of.TimeLimit = None,
    durable: of.Durable = False,
    plot: of.Plot = None,
    as_json: Json = False,
) -> None:
    """Find the least eigenvalue of a Pauli Hamiltonian."""
    options = _options(shots, backend, noise, seed, time_limit, durable)
    with server.connect() as client:
        result = client.algorithms.vqe(_json(file), layers=layers, **options)
    of.tell(result, as_json, plot)


@algorithm.command()
@names_server
def grover(
    server: Server,
    marked: Annotated[
        list[str], typer.Argument(help="Bits to find, the highest first: 10110; several may be.")
    ],
    backend: of.Backend = None,
    noise: of.NoiseName = None,
    seed: of.Seed = None,
    time_limit: of.TimeLimit = None,
    durable: of.Durable = False,
    as_json: Json = False,
) -> None:
    """Find marked bit strings by Grover's search."""
    options = _options(None, backend, noise, seed, time_limit, durable)
    with server.connect() as client:
        result = client.algorithms.grover(marked, **options)
    of.tell(result, as_json)


@algorithm.command()
@names_server
def factor(
    server: Server,
    number: Annotated[int, typer.Argument(help="The number.")],
    base: Annotated[int, typer.Option(help="Whose order is found; default: drawn.")] = 0,
    backend: of.Backend = None,
    seed: of.Seed = None,
    time_limit: of.TimeLimit = None,
    durable: of.Durable = False,
    as_json: Json = False,
) -> None:
    """Factor a small number by order finding."""
    options = _options(None, backend, None, seed, time_limit, durable)
    with server.connect() as client:
        result = client.algorithms.factor(number, base=base, **options)
    of.tell(result, as_json)


def _options(
    shots: int | None,
    backend: str | None,
    noise: str | None,
    seed: int | None,
    time_limit: float | None,
    durable: bool,
) -> dict[str, Any]:
    return of.execution(
        shots=shots, backend=backend, noise=noise, seed=seed, time_limit=time_limit, durable=durable
    )


def _json(file: str) -> dict[str, Any]:
    try:
        document = json.loads(of.program(file))
    except ValueError as error:
        raise InvalidArgument(f"{file}: expected JSON: {error}", field="file") from None
    if not isinstance(document, dict):
        raise InvalidArgument(f"{file}: expected a JSON object", field="file")
    return document


def _problem(file: str) -> dict[str, Any]:
    """Q, or h and J, as the SDK takes them."""
    document = _json(file)
    unknown = document.keys() - {"Q", "h", "J", "linear", "offset"}
    if unknown:
        raise InvalidArgument(
            f"{Path(file).name}: expected Q, linear, h, J and offset, given {min(unknown)!r}",
            field="file",
        )
    for name in ("Q", "J"):
        if name in document:
            document[name] = _entries(document[name], name)
    return document


def _entries(given: Any, name: str) -> dict[tuple[int, int], float]:
    entries: dict[tuple[int, int], float] = {}
    if not isinstance(given, list):
        raise InvalidArgument(
            f"{name}: expected a list of [i, j, value], given {given!r}", field=name
        )
    for entry in given:
        if not (
            isinstance(entry, list)
            and len(entry) == 3
            and all(isinstance(one, (int, float)) for one in entry)
        ):
            raise InvalidArgument(f"{name}: expected [i, j, value], given {entry!r}", field=name)
        i, j, value = entry
        entries[i, j] = entries.get((i, j), 0.0) + value
    return entries
