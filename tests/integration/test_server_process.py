"""The server as a process: start, ready file, what it makes, what it refuses, how it ends."""

import os
import signal
import socket
import stat
import time
import urllib.request

import grpc
import pytest
from ketgate.optimization.v1 import optimization_service_pb2 as optimization
from ketgate.type.v1 import tensor_pb2

INFO = "/ketgate.server.v1.ServerService/GetServerInfo"
SOLVE = "/ketgate.optimization.v1.OptimizationService/Solve"
TIMEOUT_S = 200.0


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def call_info(running, metadata):
    with running.channel() as channel:
        return channel.unary_unary(INFO)(b"", metadata=metadata, timeout=TIMEOUT_S)


def test_what_the_first_start_makes_and_the_second_keeps(start_server):
    first = start_server()
    assert set(first.ready) == {"address", "metrics_address", "ca_file", "token_file", "pid"}
    assert first.ready["pid"] == first.process.pid
    assert first.token.startswith("kg_")
    assert mode(first.data_dir) == 0o700
    for secret in ("admin.token", "ketgate.db", "tls/ca.key", "tls/server.key"):
        assert mode(first.data_dir / secret) == 0o600
    ca, metadata = first.ca, first.metadata
    assert first.stop() == 0
    assert not first.ready_file.exists()

    (first.data_dir / "admin.token").unlink()  # as a careful operator does
    second = start_server(data_dir=first.data_dir)
    assert second.ca == ca
    assert second.ready["token_file"] is None
    assert call_info(second, metadata)
    second.process.send_signal(signal.SIGINT)
    assert second.process.wait(TIMEOUT_S) == 0


def test_a_second_server_on_the_same_folder_is_refused(server, run_server):
    ended = run_server("--data-dir", str(server.data_dir), "--listen", "127.0.0.1:0")
    assert ended.returncode == 1
    assert f"process {server.process.pid}" in ended.stderr
    assert "--data-dir" in ended.stderr
    assert call_info(server, server.metadata)  # the first goes on


def test_an_address_in_use_is_refused(run_server, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = run_server("--data-dir", str(tmp_path / "d"), "--listen", address)
    assert ended.returncode == 1
    assert f"cannot listen on {address}" in ended.stderr
    assert not (tmp_path / "d" / "ready.json").exists()


def test_the_address_of_another_server_is_refused(server, run_server, tmp_path):
    ended = run_server("--data-dir", str(tmp_path / "d"), "--listen", server.address)
    assert ended.returncode == 1
    assert "cannot listen" in ended.stderr


def test_wrong_settings_are_refused(run_server, tmp_path):
    ended = run_server("--data-dir", str(tmp_path), "--set", "listn=x")
    assert ended.returncode == 2
    assert "did you mean 'listen'?" in ended.stderr


@pytest.mark.parametrize("below", ["", "below/it"])
def test_a_data_folder_that_is_a_file_is_named(run_server, tmp_path, below):
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / below
    ended = run_server("--data-dir", str(folder), "--listen", "127.0.0.1:0")
    assert ended.returncode == 1
    told = f"data_dir: expected a folder, given {folder}, where {tmp_path / 'file'} is a file"
    assert told in ended.stderr
    assert "Errno" not in ended.stderr


def test_a_ready_file_that_cannot_be_written_is_named(run_server, tmp_path):
    ended = run_server(
        *("--data-dir", str(tmp_path / "d"), "--listen", "127.0.0.1:0"),
        *("--ready-file", str(tmp_path / "none" / "r.json")),
    )
    assert ended.returncode == 1
    assert f"ready_file: expected a file that can be written, given {tmp_path}" in ended.stderr
    assert "Errno" not in ended.stderr


def test_a_store_that_is_no_database_is_refused(run_server, tmp_path):
    (tmp_path / "ketgate.db").write_bytes(b"not a database" * 100)
    ended = run_server("--data-dir", str(tmp_path), "--listen", "127.0.0.1:0")
    assert ended.returncode == 1
    assert "ketgate.db" in ended.stderr


def long_solve() -> bytes:
    request = optimization.SolveRequest()
    ising = request.spec.ising
    ising.num_spins = 3
    for tensor, values in ((ising.quadratic.row, [0, 1]), (ising.quadratic.column, [1, 2])):
        tensor.dtype = tensor_pb2.DATA_TYPE_INT64
        tensor.integers.values.extend(values)
    ising.quadratic.value.doubles.values.extend([1.0, -1.0])
    request.spec.time_limit.FromSeconds(600)
    request.spec.solvers.add(name="annealing")
    return bytes(request.SerializeToString())


def wait_in_progress(running):
    """Until the metrics show a unary call in progress."""
    end_s = time.monotonic() + TIMEOUT_S
    url = f"http://{running.ready['metrics_address']}/metrics"
    while time.monotonic() < end_s:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            if 'ketgate_calls_in_progress{lane="unary"} 1.0' in answer.read().decode():
                return
    raise AssertionError("no call came in")


def test_a_drain_refuses_new_calls_and_ends_a_long_solve_with_its_best(start_server):
    running = start_server("--set", "drain_limit_s=100", "--set", "limits.rpc.streams_max=9")
    metadata = running.metadata
    with running.channel() as channel:
        solve = channel.unary_unary(SOLVE).future(long_solve(), metadata=metadata, timeout=600)
        wait_in_progress(running)
        running.process.send_signal(signal.SIGTERM)
        codes = set()
        while not solve.done():
            try:
                channel.unary_unary(INFO)(b"", metadata=metadata, timeout=TIMEOUT_S)
            except grpc.RpcError as error:
                codes.add(error.code())
                # They insist: calls are told to stop at once, and all of the limit is left for it.
                running.process.send_signal(signal.SIGTERM)
        answer = optimization.SolveResponse.FromString(solve.result())
    # One that comes in the very moment the port closes is broken off by the transport.
    assert grpc.StatusCode.UNAVAILABLE in codes
    assert codes <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    assert answer.result.solutions
    assert running.process.wait(TIMEOUT_S) == 0
    events = {line["event"]: line for line in running.log()}
    assert events["settings"]["limits"] == {"rpc.streams_max": 9}
    assert events["stopped"]["idle"] is True


def test_a_stalled_reader_of_the_log_stalls_nothing(start_server):
    reader, writer = os.pipe()
    try:
        running = start_server(stderr=writer)
        with running.channel() as channel:
            call = channel.unary_unary(INFO)
            metadata = running.metadata
            for _ in range(1500):  # some 300 KB of lines into a pipe of 64 KB
                call(b"", metadata=metadata, timeout=TIMEOUT_S)
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(TIMEOUT_S) == 0
    finally:
        os.close(reader)
        os.close(writer)
