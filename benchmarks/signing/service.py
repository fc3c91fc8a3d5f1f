"""Signing through the service beside the bare libraries, a TLS echo with a durable commit, a token over PKCS #11 and
a key service over HTTP, all in the same run.

    python benchmarks/signing/service.py [--rounds 12] [--calls 100] [--softhsm LIBRARY] [--json FILE]

Cases take turns, so that what else the machine does falls on all. The bare library signs in this process, on two
threads where a batch does. Goals: a batch of 64 over gRPC at least 0.8 of the bare library on the same cores; one
signature at most 0.3 ms at the median above a TLS echo and one durable commit; batches ahead of the token and of the
key service.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ketgate.signing.v1 import key_service_pb2 as keys
from ketgate.signing.v1 import key_service_pb2_grpc, signing_service_pb2_grpc
from ketgate.signing.v1 import signing_service_pb2 as pb
from ketgate_server.signing.algorithms import ALGORITHMS
from ketgate_server.signing.provider import Options, Provider
from ketgate_server.signing.providers.registry import load_providers
from ketgate_server.signing.settings import SigningSettings

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
sys.path.insert(1, str(ROOT))
from edge import ECHO, Server, echo, ketgate  # noqa: E402 - found by the path

from tests.softhsm import PIN, SoftHsm, find_module  # noqa: E402 - found by the path

MESSAGE = b"an order of 100 bytes, more or less; what is signed is hashed first, so its size matters little"
BATCH = 64
THREADS = len(os.sched_getaffinity(0))
ALGORITHM = "ML_DSA_65"
TIMEOUT_S = 60.0

Case = tuple[int, Callable[[], object]]
"""(operations of a call, the call)."""


@dataclass
class Row:
    """One line of the table."""

    case: str
    operations_per_s: float
    call_us_p50: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--calls", type=int, default=100, help="of single operations, a round")
    parser.add_argument(
        "--softhsm", type=Path, default=find_module(), help="libsofthsm2.so; found by itself"
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ketgate-bench-")))
        server = stack.enter_context(ketgate(folder))
        plain = stack.enter_context(echo(folder, server.ca))
        cases = dict(bare()) | dict(floor(stack, plain, folder)) | dict(service(stack, server))
        for name, peer in (
            ("token", token(folder, options.softhsm)),
            ("key service", http_service(folder)),
        ):
            try:
                cases |= stack.enter_context(peer)
            except (ImportError, OSError, RuntimeError, subprocess.SubprocessError) as error:
                print(f"{name}: not measured: {str(error)[:150]}")
        rows = measure(cases, options.calls, options.rounds)
    for row in rows.values():
        print(f"{row.case:44} {row.operations_per_s:10.0f} /s {row.call_us_p50:9.0f} us a call")
    goals = show_goals(rows)
    if options.json:
        options.json.write_text(
            json.dumps({"rows": [asdict(row) for row in rows.values()], "goals": goals}, indent=1)
        )
    return 0


def measure(cases: dict[str, Case], calls: int, rounds: int) -> dict[str, Row]:
    """Rates are medians over rounds, times medians over all calls."""
    rates: dict[str, list[float]] = {name: [] for name in cases}
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _, call in cases.values():
        for _ in range(3):
            call()
    for _ in range(rounds):
        for name, (operations, call) in cases.items():
            begin_s = time.perf_counter()
            done = max(5, calls // operations) if operations > 1 else calls
            for _ in range(done):
                start_s = time.perf_counter()
                call()
                times[name].append((time.perf_counter() - start_s) * 1e6)
            rates[name].append(done * operations / (time.perf_counter() - begin_s))
    return {
        name: Row(name, statistics.median(rates[name]), statistics.median(times[name]))
        for name in cases
    }


def show_goals(rows: dict[str, Row]) -> dict[str, float]:
    best = max(
        (row for name, row in rows.items() if name.startswith("bare sign")),
        key=lambda row: row.operations_per_s,
    )
    verify = max(
        (row for name, row in rows.items() if name.startswith("bare verify")),
        key=lambda row: row.operations_per_s,
    )
    floor_us = rows["TLS echo"].call_us_p50 + rows["durable commit"].call_us_p50
    goals = {
        "SignBatch of 64 / bare library": rows["SignBatch of 64"].operations_per_s
        / best.operations_per_s,
        "VerifyBatch of 64 / bare library": rows["VerifyBatch of 64"].operations_per_s
        / verify.operations_per_s,
        "Sign above echo and commit, ms": (rows["Sign"].call_us_p50 - floor_us) / 1e3,
        "Ed25519 Sign above echo and commit, ms": (rows["Sign Ed25519"].call_us_p50 - floor_us)
        / 1e3,
    }
    asked = {"SignBatch of 64 / bare library": 0.8, "VerifyBatch of 64 / bare library": 0.8}
    for name, value in goals.items():
        goal = f"at least {asked[name]}" if name in asked else "at most 0.3"
        print(f"{name:44} {value:10.2f}    goal: {goal}")
    for peer in ("SoftHSM2 over PKCS #11, ECDSA P-256", "moto's KMS over HTTP, ECDSA P-256"):
        if peer in rows:
            ratio = rows["SignBatch of 64, ECDSA P-256"].operations_per_s
            goals[f"SignBatch / {peer}"] = ratio / rows[peer].operations_per_s
            print(
                f"SignBatch, ECDSA P-256 / {peer:18} {goals[f'SignBatch / {peer}']:.1f}    goal: ahead"
            )
    return goals


def bare() -> Iterator[tuple[str, Case]]:
    """The library underneath, in this process."""
    algorithm = ALGORITHMS[ALGORITHM]
    for provider in load_providers(SigningSettings()).of(algorithm):
        signing, verifying, signature = opened(provider)
        contents, options = [MESSAGE] * BATCH, [Options()] * BATCH
        name = provider.name

        def sign(
            signing: Any = signing, contents: Any = contents, options: Any = options
        ) -> object:
            return signing.sign_many(contents, options, THREADS, lambda: False)

        def verify(
            verifying: Any = verifying,
            signature: bytes = signature,
            contents: Any = contents,
            options: Any = options,
        ) -> object:
            signatures = [signature] * BATCH
            return verifying.verify_many(signatures, contents, options, THREADS, lambda: False)

        yield f"bare sign, {name}, {THREADS} threads", (BATCH, sign)
        yield f"bare verify, {name}, {THREADS} threads", (BATCH, verify)


def opened(provider: Provider) -> tuple[Any, Any, bytes]:
    algorithm = ALGORITHMS[ALGORITHM]
    material = provider.generate(algorithm)
    signing: Any = provider.open_private(material)
    verifying: Any = provider.open_public(algorithm, signing.public_key)
    return signing, verifying, signing.sign(MESSAGE, Options())


def floor(stack: ExitStack, plain: Server, folder: Path) -> Iterator[tuple[str, Case]]:
    """What a call costs that does nothing, and a commit that is on disk."""
    channel = stack.enter_context(plain.channel())
    call = channel.unary_unary(ECHO)
    yield "TLS echo", (1, lambda: call(MESSAGE, timeout=TIMEOUT_S))
    database = sqlite3.connect(folder / "commit.db", isolation_level=None)
    stack.callback(database.close)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE entries (idx INTEGER PRIMARY KEY, payload BLOB)")
    yield (
        "durable commit",
        (1, lambda: database.execute("INSERT INTO entries (payload) VALUES (?)", (bytes(200),))),
    )


def service(stack: ExitStack, server: Server) -> Iterator[tuple[str, Case]]:
    channel = stack.enter_context(server.channel())
    admin = key_service_pb2_grpc.KeyServiceStub(channel)
    stub = signing_service_pb2_grpc.SigningServiceStub(channel)
    extra = {"metadata": server.metadata, "timeout": TIMEOUT_S}
    for key_id, algorithm in (
        ("pq", ALGORITHM),
        ("ed", "ED25519"),
        ("ec", "ECDSA_P256_SHA256"),
    ):
        admin.CreateKey(
            keys.CreateKeyRequest(key_id=key_id, algorithm=f"ALGORITHM_{algorithm}"), **extra
        )
    for name, key in (("Sign", "pq"), ("Sign Ed25519", "ed")):
        request = pb.SignRequest(key=f"keys/{key}", message=MESSAGE)
        yield name, (1, lambda request=request: stub.Sign(request, **extra))
    made = stub.Sign(pb.SignRequest(key="keys/pq", message=MESSAGE), **extra).signature.signature
    verify = pb.VerifyRequest(key="keys/pq", message=MESSAGE, signature=made)
    yield "Verify", (1, lambda: stub.Verify(verify, **extra))
    for name, key in (("SignBatch of 64", "pq"), ("SignBatch of 64, ECDSA P-256", "ec")):
        batch = pb.SignBatchRequest(
            key=f"keys/{key}", items=[pb.SignBatchRequest().items.add(message=MESSAGE)] * BATCH
        )
        yield name, (BATCH, lambda batch=batch: stub.SignBatch(batch, **extra))
    item = pb.VerifyBatchRequest().items.add(message=MESSAGE, signature=made)
    verifying = pb.VerifyBatchRequest(key="keys/pq", items=[item] * BATCH)
    yield "VerifyBatch of 64", (BATCH, lambda: stub.VerifyBatch(verifying, **extra))


@contextmanager
def token(folder: Path, module: Path | None) -> Iterator[dict[str, Case]]:
    """SoftHSM2, through its PKCS #11 library in this process."""
    import pkcs11
    from pkcs11.util.ec import encode_named_curve_parameters

    if module is None:
        raise FileNotFoundError("SoftHSM is not installed; on Debian: apt-get install softhsm2")
    softhsm = SoftHsm(folder, module)
    os.environ |= softhsm.environment
    softhsm.add_token("bench")
    library = pkcs11.lib(str(module))
    with library.get_token(token_label="bench").open(user_pin=PIN, rw=True) as session:
        curve = encode_named_curve_parameters("secp256r1")
        parameters = session.create_domain_parameters(
            pkcs11.KeyType.EC, {pkcs11.Attribute.EC_PARAMS: curve}, local=True
        )
        _, private = parameters.generate_keypair(store=True, label="bench")

        def sign() -> object:
            return private.sign(MESSAGE[:32], mechanism=pkcs11.Mechanism.ECDSA)

        yield {"SoftHSM2 over PKCS #11, ECDSA P-256": (1, sign)}


@contextmanager
def http_service(folder: Path) -> Iterator[dict[str, Case]]:
    """moto's emulator of a cloud's key service."""
    import boto3

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (folder / "moto.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        end_s = time.monotonic() + TIMEOUT_S
        while time.monotonic() < end_s:
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                break
            except OSError:
                time.sleep(0.1)
        client = boto3.client(
            "kms",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="us-east-1",
            aws_access_key_id="bench",
            aws_secret_access_key="bench",
        )
        made = client.create_key(KeyUsage="SIGN_VERIFY", KeySpec="ECC_NIST_P256")
        key = made["KeyMetadata"]["KeyId"]

        def sign() -> object:
            return client.sign(
                KeyId=key, Message=MESSAGE, MessageType="RAW", SigningAlgorithm="ECDSA_SHA_256"
            )

        yield {"moto's KMS over HTTP, ECDSA P-256": (1, sign)}
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
