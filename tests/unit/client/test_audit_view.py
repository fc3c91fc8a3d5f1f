"""`ketgate audit list` on lines of any width: it once wrapped an entry over eleven lines."""

from datetime import UTC, datetime

import pytest
from ketgate._audit_entry import AuditEntry
from ketgate._cli.audit_view import cut, print_entries
from ketgate.audit.v1 import audit_service_pb2 as pb

TIME = datetime(2026, 11, 22, 15, 41, 33, tzinfo=UTC)


def entry(index: int, tenant: str = "desk", **said: object) -> AuditEntry:
    fields: dict[str, object] = {
        "time": TIME,
        "tenant": tenant,
        "actor": "a-desk-with-a-name-of-its-own",
        "action": "/ketgate.signing.v1.SigningService/EncapsulateKey",
        "resource": "keys/a-key-with-a-very-long-name-for-a-desk/versions/12",
        "outcome": "OK",
        "request_digest": b"",
        "call_id": "",
        "facts": {"provider": "liboqs 0.13.0", "content_sha256": "5e" * 32, "sum": "20" * 32},
        "redacted": False,
        "withheld": False,
        "raw": pb.AuditEntry(),
    } | said
    return AuditEntry(index=index, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_an_entry_is_one_line(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ketgate._cli.show.WIDE", width)
    print_entries([entry(1234567), entry(1234568), entry(1234569, actor="", withheld=True)])
    title, head, line, *lines = capsys.readouterr().out.splitlines()
    assert (title, len(lines)) == ("Audit log", 3)
    assert len(line) <= width
    assert "tenant" not in head
    assert lines[0].startswith("1234567  2026-11-22 15:41:33  ")
    assert "OK" in lines[0]
    assert "(withheld)" in lines[2]
    assert ("more" in head) is (width == 200)


def test_all_of_a_short_log_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    short = {"resource": "keys/desk", "actor": "ann"}
    print_entries([entry(0, **short), entry(1, "fx", **short)])
    told = capsys.readouterr().out
    assert "SigningService.EncapsulateKey" in told
    assert {"tenant", "desk", "fx", "keys/desk", "ann"} <= set(told.split())


def test_an_empty_log_is_a_head(capsys: pytest.CaptureFixture[str]) -> None:
    print_entries([])
    assert "entry" in capsys.readouterr().out


def test_the_middle_is_cut_out() -> None:
    assert cut("keys/desk", 9) == "keys/desk"
    assert cut("keys/desk-1/versions/12", 11) == "keys/…ns/12"
    assert len(cut("x" * 50, 8)) == 8
