"""`ketgate demo` from a bare folder: it starts a server, solves on real data, draws, and leaves nothing running."""

import hashlib
import json
import os
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ketgate.demo import nikkei, sp500_prices


def demo(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("KETGATE_")
    }
    return subprocess.run(
        [sys.executable, "-m", "ketgate", "demo", *arguments],
        cwd=folder, env=environment | {"TMPDIR": str(folder)}, capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip


def test_the_demo_tells_its_story_and_draws_it(tmp_path: Path) -> None:
    run = demo(tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Traceback" not in run.stderr
    for part in (
        "The best 10 of the 225 names of the Nikkei", "proven optimal", "branch-and-bound", "critical-line",
        "share of risk", "greatest Sharpe", "What to try next", "ketgate optimize",
        "A job that outlives its server", "kill -9", "running, attempt 1", "running, attempt 2",
        "the same as that of a call that nobody disturbed", "every one verified",
        "classical and quantum side by side", "exhaustive, proven", "QAOA, 8 layers", "on native (simulator)",
        "The result, signed", "(ML_DSA_65, ", "without the server: valid; with one character changed: not valid",
    ):  # fmt: skip
        assert part in run.stdout
    assert "NOT the same" not in run.stdout
    picture = tmp_path / "demo-output" / "ketgate-demo.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 100_000
    assert [path.name for path in tmp_path.iterdir()] == ["demo-output"], (
        "its server left something behind"
    )


def test_the_demo_on_a_given_server_in_json(server: Any, tmp_path: Path) -> None:
    run = demo(tmp_path, "--ready-file", str(server.ready_file), "--output", "here", "--json")
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert told["picture"] == "here/ketgate-demo.png"
    assert (tmp_path / told["picture"]).exists()
    assert told["ten"]["status"] == "optimal"
    assert told["signed"]["valid"]
    assert not told["signed"]["changed_valid"]
    assert (tmp_path / told["signed"]["document"]).exists()
    assert told["survived"] is None, "a server that is not the demo's own is not killed"
    classical, depths = told["quantum"]["classical"], told["quantum"]["depths"]
    assert classical["status"] == "optimal"
    assert [depth["evidence"]["backend"] for depth in depths] == ["native"] * len(depths)
    for depth in depths:
        assert depth["baseline"]["value"] == pytest.approx(classical["objective"])
        assert depth["baseline"]["proven"]
    ratios = [depth["approximation_ratio"] for depth in depths]
    assert ratios == sorted(ratios), "more layers are no worse"
    ran = [run["evidence"]["backend"] for run in told["quantum"]["backends"]]
    assert ran[0] == "native"
    assert len(ran) + len(told["quantum"]["absent"]) == 3
    assert told["lambda_objective"] == pytest.approx(-0.001440672, abs=5e-10)
    assert (
        told["five"]["figures"]["sharpe_ratio"] <= told["sharpe"]["figures"]["sharpe_ratio"] + 1e-9
    )
    assert server.process.poll() is None, "a server that is not the demo's own must live on"


def test_the_data_is_what_its_provenance_says() -> None:
    folder = files("ketgate.demo")
    provenance = (folder / "PROVENANCE.md").read_text(encoding="utf-8")
    sums = re.findall(r"`([0-9a-f]{64})`", provenance)
    import gzip

    packed = (folder / "sp500.csv.gz").read_bytes()
    text = gzip.decompress((folder / "nikkei225.txt.gz").read_bytes())
    assert sums == [hashlib.sha256(packed).hexdigest(), hashlib.sha256(text).hexdigest()]
    assert "BSD 3-Clause" in provenance


def test_the_data_is_read_whole() -> None:
    prices = sp500_prices()
    assert prices.shape == (8313, 20)
    assert bool((prices > 0).all().all())
    market = nikkei()
    assert market.covariance.shape == (225, 225)
    assert np.array_equal(market.covariance, market.covariance.T)
    assert np.sqrt(np.diag(market.covariance))[0] == pytest.approx(0.037894)
    assert market.expected_returns[0] == -0.001117
