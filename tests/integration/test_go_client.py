"""The Go client against a real server: its own tests, and its example as its README runs it."""

import os
import re
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Any

import ketgate
import pytest

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "clients" / "go"
# The first build compiles grpc-go.
BUILD_TIMEOUT_S = 600

pytestmark = [pytest.mark.timeout(BUILD_TIMEOUT_S + 60), pytest.mark.xdist_group("go")]


def environment(**more: str) -> dict[str, str]:
    """Go's own folders stay inside the checkout, unless the user has set them."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KETGATE_")}
    kept.setdefault("GOCACHE", str(ROOT / "build" / "go-cache"))
    if "GOMODCACHE" not in kept:
        kept.setdefault("GOPATH", str(ROOT / "build" / "go"))
    # Modules that may be deleted like anything else in build/, and builds that ask git nothing.
    flags = kept.get("GOFLAGS", "").split()
    kept["GOFLAGS"] = " ".join([*flags, "-modcacherw", "-buildvcs=false"])
    return kept | more


def go(*arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["go", *arguments], cwd=CLIENT, env=environment(**more), capture_output=True, text=True,
        timeout=BUILD_TIMEOUT_S,
    )  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def modules() -> None:
    """Skips where there is no Go, an older one than go.mod asks for, or no modules to be had."""
    if shutil.which("go") is None:
        pytest.skip("go is not installed")
    downloaded = go("mod", "download")
    if downloaded.returncode:
        pytest.skip(f"the Go client's modules cannot be had: {downloaded.stderr.strip()[:300]}")


def test_the_clients_own_tests_pass(server: Any) -> None:
    """They hold, among others, that client and server agree on X25519MLKEM768."""
    tested = go("test", "-count=1", "-v", "./...", KETGATE_READY_FILE=str(server.ready_file))
    assert tested.returncode == 0, tested.stdout + tested.stderr
    passed = set(re.findall(r"^--- PASS: (\w+)", tested.stdout, re.MULTILINE))
    assert "TestServerAgreesOnAPostQuantumKeyExchange" in passed
    assert "TestServerStreamsAPortfolio" in passed
    assert "TestServerRunsCircuits" in passed
    assert "TestServerSignsBatches" in passed
    assert "--- SKIP" not in tested.stdout


def test_the_code_is_formatted_and_vetted() -> None:
    gofmt = subprocess.run(
        ["gofmt", "-l", "."], cwd=CLIENT, capture_output=True, text=True, timeout=200
    )
    assert gofmt.stdout == ""
    vetted = go("vet", "./...")
    assert vetted.returncode == 0, vetted.stderr


@pytest.mark.parametrize("by_environment", [False, True])
def test_the_example_finds_a_portfolio(server: Any, by_environment: bool) -> None:
    ready = str(server.ready_file)
    arguments = ("run", "./examples/portfolio")
    ran = go(*arguments, KETGATE_READY_FILE=ready) if by_environment else go(*arguments, ready)
    assert ran.returncode == 0, ran.stderr
    assert "SOLVE_STATUS_OPTIMAL" in ran.stdout
    weights = {
        name: float(w) for name, w in re.findall(r"^([A-Z][a-z]+) +([\d.]+) %$", ran.stdout, re.M)
    }
    assert 1 <= len(weights) <= 4
    assert sum(weights.values()) == pytest.approx(100.0, abs=0.05)
    assert all(5.0 <= weight <= 40.0 for weight in weights.values())


def test_the_example_says_what_to_do_without_a_server(tmp_path: Path) -> None:
    ran = go("run", "./examples/portfolio", KETGATE_DATA_DIR=str(tmp_path))
    assert ran.returncode != 0
    assert "ketgate serve" in ran.stderr


def test_the_jobs_example_watches_a_job_to_its_end(server: Any) -> None:
    once = ("run", "./examples/jobs", "-id", uuid.uuid4().hex, str(server.ready_file))
    ran = go(*once)
    assert ran.returncode == 0, ran.stderr
    name = re.findall(r"^(jobs/\w+) is on disk", ran.stdout, re.M)
    revisions = [int(r) for r in re.findall(r"^ *(\d+)  JOB_STATE", ran.stdout, re.M)]
    assert revisions == sorted(set(revisions))
    assert len(revisions) >= 3
    assert "JOB_STATE_SUCCEEDED after 1 attempt(s)" in ran.stdout
    again = go(*once)
    assert again.returncode == 0, again.stderr
    assert re.findall(r"^(jobs/\w+) is on disk", again.stdout, re.M) == name
    assert again.stdout.splitlines()[-1] == ran.stdout.splitlines()[-1]
    with ketgate.connect(ready_file=server.ready_file) as client:
        client.jobs.delete(name[0])


def test_the_quantum_example_entangles_five_qubits(server: Any) -> None:
    ran = go("run", "./examples/quantum", str(server.ready_file))
    assert ran.returncode == 0, ran.stderr
    counts = {key: int(n) for key, n in re.findall(r"^([01]{5}) +(\d+)", ran.stdout, re.M)}
    assert counts.keys() == {"00000", "11111"}
    assert sum(counts.values()) == 2000
    assert re.search(r"^XXXXX +\+1\.000000 ", ran.stdout, re.M)
    assert "by native (BACKEND_KIND_SIMULATOR)" in ran.stdout
    nowhere = go("run", "./examples/quantum", "-backend", "nowhere", str(server.ready_file))
    assert nowhere.returncode != 0
    assert "nowhere" in nowhere.stderr


def test_the_signing_example_signs_a_thousand_orders(server: Any) -> None:
    key = f"go-{uuid.uuid4().hex[:8]}"
    arguments = ("run", "./examples/signing", "-key", key, "-algorithm", "ML_DSA_44")
    for _ in range(2):  # the key is made once, and used again
        ran = go(*arguments, str(server.ready_file))
        assert ran.returncode == 0, ran.stderr
        assert f"by keys/{key}/versions/1 (FIPS 204, " in ran.stdout
        assert re.findall(r"valid: (\w+)$", ran.stdout, re.M) == ["true", "false"]
        assert "1000 of 1000 orders signed in " in ran.stdout
    unknown = go("run", "./examples/signing", "-algorithm", "ROT13", str(server.ready_file))
    assert unknown.returncode != 0
    assert "ROT13" in unknown.stderr
