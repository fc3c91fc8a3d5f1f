"""The Python of the README and of the guides to jobs, the audit log and signed documents, and the commands of the
log's, run as they stand there. What a page takes for given (prices, a key) is made here."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ketgate
import pytest
from ketgate.demo import sp500_prices

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 200
PRICES = sp500_prices().tail(300)

Space = dict[str, Any]
Run = Callable[..., Space]


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def run(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run blocks one after the other, with these names."""
    monkeypatch.setenv("KETGATE_READY_FILE", str(server.ready_file))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)

    def run(page: str, *sources: str, **names: Any) -> Space:
        space: Space = {"ketgate": ketgate, "prices": PRICES} | names
        for source in sources:
            exec(compile(source, page, "exec"), space)
        return space

    return run


@pytest.fixture
def client(server: Any) -> Any:
    with ketgate.connect(ready_file=server.ready_file) as made:
        yield made


def key(client: ketgate.Client, key_id: str) -> str:
    try:
        return client.signing.create_key(key_id).name
    except ketgate.AlreadyExists:
        return f"keys/{key_id}"


def test_the_readme(run: Run, client: ketgate.Client, capsys: pytest.CaptureFixture[str]) -> None:
    PRICES.to_csv("prices.csv")
    sixty_seconds, durable, quantum, signing = blocks("README.md", "python")
    space = run("README.md", sixty_seconds)
    assert space["best"].proven
    assert Path("portfolio.png").stat().st_size > 10_000
    run("README.md", durable, client=client)
    ghz, _, rest = quantum.partition("client.quantum")
    # The other calls need frameworks; docs/quantum.md, which is run elsewhere, has their like.
    first = rest.partition("  #")[0]
    run("README.md", f"{ghz}print(client.quantum{first})", client=client)
    assert "RunResult by native" in capsys.readouterr().out
    named = signing.replace('create_key("desk")', 'create_key("readme")')
    run("README.md", named, client=client, best=space["best"], order="buy", orders=["buy", "sell"])
    assert ketgate.SignedDocument.load("march.signed.json").verify(
        public_key=client.signing.export_public_key("readme")
    )


def test_jobs(run: Run, client: ketgate.Client, capsys: pytest.CaptureFixture[str]) -> None:
    create, back, watch = blocks("docs/jobs.md", "python")
    space = run("docs/jobs.md", create)
    assert space["job"].state is ketgate.JobState.SUCCEEDED
    name = re.compile(r"jobs/[0-9a-z]{26}")
    assert name.search(back)
    other = client.optimize.qubo([[1.0]], durable=True).name
    run("docs/jobs.md", name.sub(other, back), client=client)
    with pytest.raises(ketgate.NotFound):
        client.jobs.get(other)
    began = client.optimize.qubo([[1.0]], durable=True)
    begin = f"watch({began.revision})"
    capsys.readouterr()
    first_only = watch.rstrip() + "\n    break\n"
    assert "watch(jobs.revision + 1)" in first_only
    run("docs/jobs.md", first_only.replace("watch(jobs.revision + 1)", begin), client=client)
    assert str(began.revision) in capsys.readouterr().out


def test_the_audit_log(run: Run, server: Any, tmp_path: Path) -> None:
    run("docs/audit.md", *blocks("docs/audit.md", "python"))
    commands = blocks("docs/audit.md", "")[0].splitlines()
    kept = {name: value for name, value in os.environ.items() if name != "KETGATE_DATA_DIR"}
    folders = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
    ran = []
    for line in commands:
        command = line.partition("#")[0].strip().replace(" 42", " 2")
        if "redact" in command or "rotate-key" in command:  # of a server that other tests use
            continue
        done = subprocess.run(
            ["sh", "-euc", command], cwd=tmp_path, env=kept | {"PATH": folders}, text=True,
            capture_output=True, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, command + done.stdout + done.stderr
        ran.append(command.split()[2])
    assert ran == ["list", "head", "verify", "export", "verify", "prove"]


def test_signed_documents(run: Run, client: ketgate.Client, tmp_path: Path) -> None:
    pem = client.signing.export_public_key(key(client, "desk"))
    (tmp_path / "desk.pem").write_bytes(pem)
    space = run("docs/signed-documents.md", *blocks("docs/signed-documents.md", "python"))
    assert space["document"].title == "rebalancing of March"
    assert space["document"].open().held == space["result"].held
