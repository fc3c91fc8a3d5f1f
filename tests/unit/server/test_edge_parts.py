"""Small pieces of the edge: reasons, statuses, lanes, peers, parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate.type.v1 import error_pb2
from ketgate_server import parts
from ketgate_server.errors import CATALOGUE, KetgateError, PartMissing, Reason, echo
from ketgate_server.processor import instruction_set
from ketgate_server.rpc.admission import Lane, RequestBytes
from ketgate_server.rpc.edge import is_loopback_peer
from ketgate_server.rpc.errors import wire_status
from ketgate_server.rpc.grpc_call import trace_id


def test_reasons_are_those_of_the_contract():
    names = {name.removeprefix("ERROR_REASON_") for name in error_pb2.ErrorReason.keys()}  # noqa: SIM118
    assert names - {"UNSPECIFIED"} == {reason.value for reason in Reason} == set(CATALOGUE)


@given(
    reason=st.sampled_from(list(Reason)),
    message=st.text(),
    field=st.none() | st.text(),
    metadata=st.dictionaries(st.text(), st.text(), max_size=30),
    retry=st.none() | st.floats(),
)
def test_any_error_fits_into_the_trailers(reason, message, field, metadata, retry):
    if retry is not None and retry != retry:
        retry = None
    error = KetgateError(reason, message * 50, field=field, metadata=metadata, retry_after_s=retry)
    status = wire_status(error, "id")
    assert len(status.message.encode()) <= 800
    assert len(status.details) < 8192


def test_echo():
    assert echo(b"secret") == "6 bytes"
    assert echo("x" * 200) == "x" * 100 + "…"
    assert echo("a\x1b[31m") == "a\N{REPLACEMENT CHARACTER}[31m"
    assert echo(1.5) == "1.5"


def test_a_lane_takes_as_many_as_it_has_places():
    lane = Lane("unary", 2, "rpc.calls_max")
    lane.enter()
    lane.enter()
    with pytest.raises(KetgateError) as caught:
        lane.enter()
    assert caught.value.reason is Reason.SERVER_BUSY
    assert caught.value.retry_after_s
    lane.leave()
    assert lane.count == 1
    lane.enter()


def test_request_bytes():
    budget = RequestBytes(200_000)
    assert budget.take(()) == 0
    assert budget.take((b"small",)) == 0
    size = budget.take((bytes(150_000),))
    with pytest.raises(KetgateError):
        budget.take((bytes(100_000),))
    budget.give(size)
    assert budget.take((bytes(100_000),)) == 100_000


@pytest.mark.parametrize(
    ("peer", "loopback"),
    [
        ("ipv4:127.0.0.1:50000", True),
        ("ipv4:127.8.8.8:1", True),
        ("ipv6:%5B::1%5D:50000", True),
        ("ipv6:[::1]:50000", True),
        ("ipv6:%5B::ffff:127.0.0.1%5D:1", True),
        ("unix:", True),
        ("unix:/tmp/x", True),
        ("ipv4:10.0.0.1:127", False),
        ("ipv4:1.127.0.0:1", False),
        ("ipv6:%5B2001:db8::1%5D:1", False),
        ("ipv6:%5B127.0.0.1%5D:1", False),
        ("", False),
        ("unknown", False),
    ],
)
def test_loopback_peers(peer, loopback):
    assert is_loopback_peer(peer) is loopback


def test_trace_ids():
    assert trace_id("00-" + "a" * 32 + "-" + "b" * 16 + "-01") == "a" * 32
    assert trace_id("00-xyz") is None


def test_parts(monkeypatch):
    assert parts.part_version("native")
    assert parts.part_version("highs")
    absent = parts.Part("absent", "no-such-distribution", "no_such.module", "", "pip install x")
    monkeypatch.setitem(parts.PARTS, "absent", absent)
    assert parts.part_version("absent") is None
    with pytest.raises(PartMissing, match="pip install x"):
        parts.require_part("absent")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("sse2", "base"),
        ("avx2 fma", "base"),
        ("avx2 fma bmi2", "avx2"),
        ("avx2 fma bmi2 avx512f avx512dq avx512bw avx512vl", "avx512"),
    ],
)
def test_instruction_set(tmp_path, flags, expected):
    (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags\t\t: {flags}\n")
    assert instruction_set(tmp_path / "cpuinfo") == expected
    assert instruction_set(tmp_path / "none") == "base"
