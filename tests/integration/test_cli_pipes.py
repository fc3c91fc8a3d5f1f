"""Commands between pipes: "-" is standard input, which is read once, and standard output."""

import os
import secrets
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import ketgate
import pytest

TIMEOUT_S = 200

Told = Any


@pytest.fixture
def key(server: Any) -> str:
    """A key of the server."""
    with ketgate.connect(ready_file=server.ready_file) as client:
        return client.signing.create_key(f"pipe-{secrets.token_hex(4)}").name


def piped(server: Any, tmp_path: Path, *arguments: str, content: bytes = b"") -> bytes:
    """What a command writes, run as a process of its own between two pipes."""
    ran = subprocess.run(
        [sys.executable, "-m", "ketgate", *arguments],
        env=own_environment(server, tmp_path), input=content, capture_output=True,
        timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def own_environment(server: Any, tmp_path: Path) -> dict[str, str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("KETGATE_")}
    environment["KETGATE_READY_FILE"] = str(server.ready_file)
    environment["XDG_STATE_HOME"] = str(tmp_path / "state")
    return environment


def test_binary_goes_through_a_pipe(server: Any, tmp_path: Path) -> None:
    assert len(piped(server, tmp_path, "random", "100", "--raw")) == 100


def test_what_comes_through_a_pipe_is_signed_and_sealed(
    server: Any, tmp_path: Path, key: str
) -> None:
    with ketgate.connect(ready_file=server.ready_file) as client:
        box = client.signing.create_key(
            f"{key.removeprefix('keys/')}-box", "HPKE_MLKEM768_X25519"
        ).name
    order = bytes(range(256))
    signed = piped(server, tmp_path, "sign", "-", "--key", key, "--title", "order", content=order)
    said = piped(server, tmp_path, "verify", "-", "--key", key, content=signed)
    assert b"title:         order" in said
    opened = piped(server, tmp_path, "verify", "-", "--key", key, "--content", "-", content=signed)
    assert opened == order
    sealed = piped(server, tmp_path, "seal", "-", "--key", box, content=order)
    assert order not in sealed
    assert piped(server, tmp_path, "open", "-", "--key", box, content=sealed) == order
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [100, 9 << 20])
def test_a_pipe_of_any_length_is_signed_whole(
    server: Any, told: Told, tmp_path: Path, key: str, size: int
) -> None:
    content = secrets.token_bytes(size)
    raw = ("--key", key, "--raw", "--context", "orders")
    signature = piped(server, tmp_path, "sign", "-", *raw, content=content)
    (tmp_path / "sig").write_bytes(signature)
    (tmp_path / "content").write_bytes(content)
    told("key", "export", key, "-o", "desk.pem")
    beside = ("--signature", "sig", "--context", "orders")
    for by in (("--key", key), ("--public-key", "desk.pem")):
        told("verify", "content", *beside, *by)
        told("verify", "-", *beside, *by, piped=content)
        told("verify", "-", *beside, *by, piped=content[:-1], status=3)
    told("verify", "content", "--signature", "-", *beside[2:], "--key", key, piped=signature)


def test_a_refusal_does_not_wait_for_the_end_of_a_pipe(server: Any, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ketgate", "sign", "-", "--key", "nowhere", "--raw"]
    with subprocess.Popen(
        command, env=own_environment(server, tmp_path), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as ran:  # fmt: skip
        assert ran.stdin
        assert ran.stderr
        with suppress(BrokenPipeError):
            os.write(ran.stdin.fileno(), bytes((4 << 20) + 300_000))
        assert b"keys/nowhere" in ran.stderr.readline()
        assert ran.wait(TIMEOUT_S) == 1
        assert b"Fatal" not in ran.stderr.read()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize(
    "words", [["key", "list"], ["key", "list", "--json"], ["random", "9", "--raw"]]
)
def test_a_full_disk_is_told(server: Any, tmp_path: Path, words: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "ketgate", *words],
            env=own_environment(server, tmp_path), stdout=full, stderr=subprocess.PIPE,
            text=True, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
    assert ran.returncode == 1
    told = "error: standard output cannot be written: No space left on device\n"
    assert ran.stderr == told


def test_what_standard_input_cannot_be(told: Told, tmp_path: Path) -> None:
    (tmp_path / "sig").write_bytes(b"x")
    for words, expected in (
        (("sign", "-", "--key", "x", "--json"), "--json: expected a file with it"),
        (("sign", "-", "--key", "x", "--jws"), "With --raw the content stays outside"),
        (("verify", "-", "--signature", "-", "--key", "x"), "standard input is FILE"),
        (("seal", "-", "--key", "x", "--associated-data", "-"), "standard input is FILE"),
        (("seal", "-", "--key", "x"), "given standard input, which has more"),
        (("verify", "-"), "expected JSON of a signed document"),
    ):
        assert expected in told(*words, status=1, piped=bytes((16 << 20) + 1)), words
