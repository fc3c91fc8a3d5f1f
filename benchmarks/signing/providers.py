"""Providers of signatures, in process, beside the libraries underneath in the same run.

    python benchmarks/signing/providers.py [--only ML_DSA_65,...] [--rounds N] [--json FILE]

Operations a second on messages of 64 bytes. bare: liboqs called in a loop of C, one thread. unary: the provider, one
call each. batch: batches of 64 through the provider, on one thread and on two. liboqs-python, cryptography: the
same by these. Every candidate gets a short slice of each round; medians of the rounds.
"""

import argparse
import ctypes
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ketgate_server.signing.algorithms import ALGORITHMS, Algorithm, Purpose
from ketgate_server.signing.provider import Options
from ketgate_server.signing.providers.cryptography_provider import CryptographyProvider
from ketgate_server.signing.providers.liboqs_library import LibraryAbsent
from ketgate_server.signing.providers.liboqs_provider import LiboqsProvider

HERE = Path(__file__).parent
MESSAGE = os.urandom(64)
BATCH = 64
SLICE_S = 0.1
OPTIONS = Options()
NAMES = (
    "ML_DSA_44",
    "ML_DSA_65",
    "ML_DSA_87",
    "FALCON_512",
    "FALCON_1024",
    "ML_KEM_512",
    "ML_KEM_768",
    "ML_KEM_1024",
)
GOALS = """\
Goals: unary and batch at least 0.95 of bare; two threads at least 1.8 times one;
ML-DSA-65 over cryptography at least 5 times (sign) and 3 times (verify)."""
Loop = Callable[[int], object]
"""Does so many operations."""


def never() -> bool:
    return False


def compiled(library: str) -> ctypes.CDLL:
    """bare.c over the library that the provider uses."""
    folder = Path(library).parent
    with tempfile.TemporaryDirectory() as made:
        target = Path(made) / "bare.so"
        command = ["cc", "-O2", "-shared", "-fPIC", f"-I{folder.parent / 'include'}"]
        command += [
            str(HERE / "bare.c"),
            "-Wl,--no-as-needed",
            library,
            f"-Wl,-rpath,{folder}",
            "-o",
            str(target),
        ]
        subprocess.run(command, check=True)
        return ctypes.CDLL(str(target))


def repeated(call: Callable[[], object]) -> Loop:
    def loop(count: int) -> None:
        for _ in range(count):
            call()

    return loop


def in_batches(call: Callable[[int], object]) -> Loop:
    def loop(count: int) -> None:
        for _ in range(max(1, count // BATCH)):
            call(BATCH)

    return loop


def signature_loops(algorithm: Algorithm, oqs: LiboqsProvider, bare: ctypes.CDLL) -> dict[str, Any]:
    material = oqs.generate(algorithm)
    key, other = oqs.open_private(material), CryptographyProvider()
    public = oqs.open_public(algorithm, key.public_key)
    signature = key.sign(MESSAGE, OPTIONS)
    direct = oqs._oqs.Signature(algorithm.name, bytes(secret_of(oqs, material)))
    room = ctypes.create_string_buffer(algorithm.output_bytes_max)
    many, options = [MESSAGE] * BATCH, [OPTIONS] * BATCH
    signatures = [signature] * BATCH
    size = ctypes.c_size_t
    sign: dict[str, Loop] = {
        "bare": lambda n: bare.sign(
            direct._sig, n, room, MESSAGE, size(len(MESSAGE)), direct.secret_key
        ),
        "unary": repeated(lambda: key.sign(MESSAGE, OPTIONS)),
        "batch": in_batches(lambda _: key.sign_many(many, options, 1, never)),
        "batch x2": in_batches(lambda _: key.sign_many(many, options, 2, never)),
        "liboqs-python": repeated(lambda: direct.sign(MESSAGE)),
    }
    verify: dict[str, Loop] = {
        "bare": lambda n: bare.verify(
            direct._sig,
            n,
            signature,
            size(len(signature)),
            MESSAGE,
            size(len(MESSAGE)),
            key.public_key,
        ),
        "unary": repeated(lambda: public.verify(signature, MESSAGE, OPTIONS)),
        "batch": in_batches(lambda _: public.verify_many(signatures, many, options, 1, never)),
        "batch x2": in_batches(lambda _: public.verify_many(signatures, many, options, 2, never)),
        "liboqs-python": repeated(lambda: direct.verify(MESSAGE, signature, key.public_key)),
    }
    if algorithm.id in other.abilities():
        theirs = other.open_private(material)
        checking = other.open_public(algorithm, key.public_key)
        sign["cryptography"] = repeated(lambda: theirs.sign(MESSAGE, OPTIONS))
        verify["cryptography"] = repeated(lambda: checking.verify(signature, MESSAGE, OPTIONS))
    return {"sign": sign, "verify": verify}


def kem_loops(algorithm: Algorithm, oqs: LiboqsProvider, bare: ctypes.CDLL) -> dict[str, Any]:
    material = oqs.generate(algorithm)
    key, other = oqs.open_private(material), CryptographyProvider()
    public = oqs.open_public(algorithm, key.public_key)
    _, ciphertext = public.encapsulate()
    direct = oqs._oqs.KeyEncapsulation(algorithm.name, bytes(secret_of(oqs, material)))
    room, shared = (ctypes.create_string_buffer(n) for n in (algorithm.output_bytes_max, 32))
    encapsulate: dict[str, Loop] = {
        "bare": lambda n: bare.encapsulate(direct._kem, n, room, shared, key.public_key),
        "unary": repeated(public.encapsulate),
        "liboqs-python": repeated(lambda: direct.encap_secret(key.public_key)),
    }
    decapsulate: dict[str, Loop] = {
        "bare": lambda n: bare.decapsulate(direct._kem, n, shared, ciphertext, direct.secret_key),
        "unary": repeated(lambda: key.decapsulate(ciphertext)),
        "liboqs-python": repeated(lambda: direct.decap_secret(ciphertext)),
    }
    if algorithm.id in other.abilities():
        theirs = other.open_private(material)
        sealing = other.open_public(algorithm, key.public_key)
        encapsulate["cryptography"] = repeated(sealing.encapsulate)
        decapsulate["cryptography"] = repeated(lambda: theirs.decapsulate(ciphertext))
    return {"encapsulate": encapsulate, "decapsulate": decapsulate}


def secret_of(oqs: LiboqsProvider, material: Any) -> bytearray:
    """A private key as the library writes it."""
    from ketgate_server.signing.providers import liboqs_schemes

    return liboqs_schemes.private_key(oqs._oqs, material).content


def rates(loops: dict[str, Loop], rounds: int) -> dict[str, float]:
    """Operations a second, the median of the rounds."""
    sizes = {}
    for name, loop in loops.items():
        started = time.perf_counter()
        loop(BATCH)
        each_s = (time.perf_counter() - started) / BATCH
        sizes[name] = max(1, round(SLICE_S / each_s / BATCH)) * BATCH
    found: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(rounds):
        for name, loop in loops.items():
            started = time.perf_counter()
            loop(sizes[name])
            found[name].append(sizes[name] / (time.perf_counter() - started))
    return {name: statistics.median(values) for name, values in found.items()}


def row(name: str, operation: str, found: dict[str, float]) -> str:
    def share(of: str, by: str) -> str:
        return f"{found[of] / found[by]:6.2f}" if of in found and by in found else f"{'-':>6}"

    return (
        f"{name:12} {operation:11} {found['bare']:9,.0f} {found['unary']:9,.0f}"
        f" {share('unary', 'bare')} {share('batch', 'bare')} {share('batch x2', 'batch')}"
        f" {share('unary', 'liboqs-python')} {share('unary', 'cryptography')}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(NAMES))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    try:
        oqs = LiboqsProvider()
    except LibraryAbsent as absent:
        print(f"{absent}: {absent.install_command}")
        return
    bare = compiled(oqs.path)
    print(f"liboqs {oqs.version}, cryptography {CryptographyProvider.version}")
    print(
        f"{'':24} {'bare/s':>9} {'unary/s':>9} {'/bare':>6} {'batch':>6} {'two':>6} {'/oqs':>6} {'/crypt':>6}"
    )
    told: dict[str, Any] = {}
    for name in asked.only.split(","):
        algorithm = ALGORITHMS[name]
        signs = algorithm.purpose is Purpose.SIGN
        for operation, loops in (signature_loops if signs else kem_loops)(
            algorithm, oqs, bare
        ).items():
            found = rates(loops, asked.rounds)
            print(row(algorithm.name, operation, found), flush=True)
            told[f"{name} {operation}"] = found
    print(
        f"\n/bare: unary to bare; batch: a batch of {BATCH}, one thread, to bare; two: two threads to one;"
    )
    print("/oqs, /crypt: unary to liboqs-python and to cryptography.")
    print(GOALS)
    if asked.json:
        asked.json.write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
