"""The rules of the tree, held by reading every import: dependencies point one way, and domains know no gRPC."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVER = ROOT / "server" / "ketgate_server"
EDGE = {"rpc", "main.py", "shutdown.py", "__main__.py"}
# What each part of the server may import from it, besides itself.
BASE = {
    "address",
    "admission",
    "arrays",
    "cached",
    "child",
    "config",
    "domain",
    "errors",
    "files",
    "job_settings",
    "limits",
    "parts",
    "processor",
    "randomness",
    "roles",
    "settings",
    "type",
    "__version__",
    "wire",
    "",
}
ALLOWED = {
    "rpc": BASE | {"store", "tokens"},
    "type": BASE,
    "store": BASE,
    "audit": BASE | {"rpc", "store"},
    "artifacts": BASE | {"rpc", "store", "audit"},
    "jobs": BASE | {"rpc", "store", "audit", "artifacts"},
    "signing": BASE | {"rpc", "store", "audit"},
    "quantum": BASE | {"rpc", "store", "audit", "jobs", "artifacts"},
    "optimization": BASE | {"rpc", "jobs", "artifacts", "quantum"},
}
CONTRACT_READERS = {"service.py", "sparse.py", "tensors.py", "job.py"}  # and convert*.py
KEEPS_MESSAGES = {"jobs"}  # what it stores and hands on are the contract's own


def imports(path: Path) -> list[str]:
    """Every module that a file imports, at any depth of its code."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.append(node.module or "")
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def sources() -> list[Path]:
    return sorted(SERVER.rglob("*.py"))


def part(path: Path) -> str:
    return path.relative_to(SERVER).parts[0]


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(SERVER)))
def test_domains_know_no_grpc(path: Path) -> None:
    if part(path) in EDGE:
        return
    assert not [name for name in imports(path) if name.split(".")[0].startswith("grpc")]


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(SERVER)))
def test_generated_messages_stay_at_the_edge_of_a_domain(path: Path) -> None:
    if part(path) in EDGE | KEEPS_MESSAGES:
        return
    if path.name in CONTRACT_READERS or path.name.startswith("convert"):
        return
    assert not [name for name in imports(path) if "_pb2" in name]


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(SERVER)))
def test_dependencies_point_one_way(path: Path) -> None:
    own = part(path)
    if own not in ALLOWED:
        return
    reached = {name.split(".")[1] for name in imports(path) if name.startswith("ketgate_server.")}
    assert reached <= ALLOWED[own] | {own}
    if own in ("optimization", "quantum"):  # of the edge, a domain sees only what a call is
        assert {n for n in imports(path) if n.startswith("ketgate_server.rpc.")} <= {
            "ketgate_server.rpc.call",
            *(
                f"ketgate_server.rpc.call.{n}"
                for n in (
                    "Call",
                    "Method",
                    "Service",
                    "Identity",
                    "UnaryFunction",
                    "StreamFunction",
                )
            ),
        }


def test_kernels_know_nothing_above_them() -> None:
    for path in (ROOT / "native" / "ketgate_native").glob("*.py*"):
        if path.suffix in {".py", ".pyx"}:
            assert "ketgate_server" not in path.read_text()
            assert "import grpc" not in path.read_text()
