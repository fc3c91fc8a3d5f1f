"""Power losses at every sync of a recorded history; see power_loss/."""

import sys
from pathlib import Path

import pytest

if not sys.platform.startswith("linux"):
    pytest.skip("writes are recorded with a preloaded library of Linux", allow_module_level=True)

from .power_loss.disk import Record
from .power_loss.replay import COMPILER, build, record, replay
from .power_loss.workload import BUGS

pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def records(library: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    return record(library, tmp_path_factory.mktemp("history"))


def story(wrong: list[str]) -> str:
    return f"{len(wrong)} faults:\n" + "\n".join(wrong[:20])


def test_what_is_recorded(records: list[Record]) -> None:
    kinds = {found.kind for found in records}
    assert kinds == set("CWTSDMRLUK")
    assert sum(found.kind == "S" for found in records) > 80


def test_nothing_acknowledged_is_lost(records: list[Record]) -> None:
    count, wrong = replay(records, seed=1)
    assert not wrong, story(wrong)
    assert count > 200


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(library: Path, tmp_path: Path, bug: str) -> None:
    _, wrong = replay(record(library, tmp_path, bug), seed=1, until_broken=True)
    assert wrong
