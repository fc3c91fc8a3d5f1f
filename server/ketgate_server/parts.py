"""The parts that a server may lack. Asking for one imports nothing: versions come from the
installed metadata."""

import importlib.util
from dataclasses import dataclass
from functools import cache
from importlib import metadata

from ketgate_server.errors import PartMissing


@dataclass(frozen=True)
class Part:
    """One optional part."""

    name: str
    distribution: str
    """Name under which it is installed."""
    module: str
    """What must be importable."""
    purpose: str
    install_command: str


PARTS: dict[str, Part] = {
    part.name: part
    for part in (
        Part(
            "native",
            "ketgate-server",
            "ketgate_native.monitor",
            "Ketgate's own solvers: Ising annealing, tempering and tabu, convex QP, branch-and-bound.",
            "pip install --force-reinstall ketgate-server",
        ),
        Part(
            "highs",
            "highspy",
            "highspy",
            "HiGHS: linear, mixed-integer and convex quadratic programs.",
            "pip install highspy",
        ),
        Part(
            "clarabel",
            "clarabel",
            "clarabel",
            "Clarabel: convex and conic programs.",
            "pip install clarabel",
        ),
        Part(
            "postgres",
            "psycopg",
            "psycopg",
            "PostgreSQL as the store that several servers share.",
            "pip install 'ketgate-server[postgres]'",
        ),
        Part(
            "s3",
            "boto3",
            "boto3",
            "S3: artifacts in a bucket that several servers share.",
            "pip install 'ketgate-server[s3]'",
        ),
        Part(
            "pkcs11",
            "python-pkcs11",
            "pkcs11",
            "PKCS #11: keys in a hardware security module, or under a key of one.",
            "pip install 'ketgate-server[pkcs11]'",
        ),
        Part(
            "nats",
            "nats-py",
            "nats",
            "NATS: the events of jobs, published to a stream of JetStream.",
            "pip install 'ketgate-server[nats]'",
        ),
        Part(
            "liboqs",
            "liboqs-python",
            "oqs",
            'liboqs-python: the provider "liboqs", over the library that `make liboqs` builds.',
            "pip install 'ketgate-server[oqs]'",
        ),
        Part(
            "ray",
            "ray",
            "ray",
            "Ray: jobs on a cluster.",
            'pip install "ketgate-server[ray]"',
        ),
        Part(
            "qiskit",
            "qiskit",
            "qiskit",
            "Qiskit: the compiler for devices.",
            "pip install 'ketgate-server[qiskit]'",
        ),
        Part(
            "aer",
            "qiskit-aer",
            "qiskit_aer",
            'Qiskit Aer: the back end "aer".',
            "pip install 'ketgate-server[aer]'",
        ),
        Part(
            "cirq",
            "cirq-core",
            "cirq",
            'Cirq: the back end "cirq".',
            "pip install 'ketgate-server[cirq]'",
        ),
        Part(
            "braket",
            "amazon-braket-sdk",
            "braket.devices",
            'Amazon Braket: the back end "braket-local", and the devices of AWS.',
            "pip install 'ketgate-server[braket]'",
        ),
        Part(
            "pennylane",
            "pennylane",
            "pennylane",
            'PennyLane: the back end "pennylane".',
            "pip install 'ketgate-server[pennylane]'",
        ),
        Part(
            "qutip",
            "qutip",
            "qutip",
            'QuTiP: the back end "qutip".',
            "pip install 'ketgate-server[qutip]'",
        ),
        Part(
            "ibm",
            "qiskit-ibm-runtime",
            "qiskit_ibm_runtime",
            "Qiskit Runtime: IBM's devices, and the emulators of them.",
            "pip install 'ketgate-server[ibm]'",
        ),
        Part(
            "google",
            "cirq-google",
            "cirq_google",
            "Cirq for Google's devices, and the emulators of them.",
            "pip install 'ketgate-server[google]'",
        ),
        Part(
            "learning",
            "scikit-learn",
            "sklearn",
            "scikit-learn: support vector machines, and the classical models beside quantum ones.",
            "pip install 'ketgate-server[learning]'",
        ),
    )
}


@cache
def part_version(name: str) -> str | None:
    """Version of an installed part; None if it is missing. What is installed while the server runs
    counts next time."""
    part = PARTS[name]
    try:
        if importlib.util.find_spec(part.module) is None:
            return None
    except ModuleNotFoundError:  # the parent package is missing
        return None
    try:
        return metadata.version(part.distribution)
    except metadata.PackageNotFoundError:  # run from the source tree
        from ketgate_server import __version__

        return __version__ if name == "native" else "unknown"


def require_part(name: str) -> None:
    """Raises PartMissing, with the command that installs it, if the part is not there."""
    if part_version(name) is None:
        raise PartMissing(name, PARTS[name].install_command)
