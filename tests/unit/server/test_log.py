"""The log never blocks, never loses count, and is always JSON."""

import json
import logging
import os
import threading

from ketgate_server.rpc.log import LogHandler, LogWriter

TIMEOUT_S = 200.0


def written(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def open_log(path, **options):
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
    return descriptor, LogWriter(descriptor, **options)


def test_lines_in_order_and_by_level(tmp_path):
    descriptor, log = open_log(tmp_path / "log", level="warning")
    log.write("info", "quiet", {})
    for i in range(100):
        log.write("error", "loud", {"i": i, "text": 'a"b\n\ud800'})
    log.close()
    os.close(descriptor)
    lines = written(tmp_path / "log")
    assert [line["i"] for line in lines] == list(range(100))
    assert {line["level"] for line in lines} == {"error"}
    assert lines[0]["time"].endswith("Z")


def test_a_reader_that_stalls_costs_lines_and_nothing_else():
    reader, writer = os.pipe()
    log = LogWriter(writer, queue_max=50)
    for i in range(20_000):  # far more than pipe and queue hold
        log.write("info", "event", {"i": i, "text": "x" * 100})
    content = bytearray()

    def read():
        while piece := os.read(reader, 65_536):
            content.extend(piece)

    thread = threading.Thread(target=read)
    thread.start()
    log.close()
    os.close(writer)
    thread.join(TIMEOUT_S)
    os.close(reader)
    lines = [json.loads(line) for line in content.decode().splitlines()]
    seen = sum(line["event"] == "event" for line in lines)
    dropped = sum(line.get("count", 0) for line in lines if line["event"] == "log_lines_dropped")
    assert seen + dropped == 20_000
    assert dropped > 0


def test_a_bad_record_does_not_end_the_log(tmp_path):
    descriptor, log = open_log(tmp_path / "log")

    def bad(threshold):
        raise ValueError("bad")

    log.submit((bad, ()))
    log.write("info", "good", {"odd": {1, 2}})
    log.close()
    os.close(descriptor)
    assert [line["event"] for line in written(tmp_path / "log")] == ["log_failed", "good"]


def test_a_closed_reader_is_survived():
    reader, writer = os.pipe()
    log = LogWriter(writer)
    os.close(reader)
    log.write("info", "event", {})
    log.close()
    os.close(writer)


def test_library_logs_come_along(tmp_path):
    descriptor, log = open_log(tmp_path / "log")
    logger = logging.getLogger("ketgate.test.library")
    handler = LogHandler(log)
    logger.addHandler(handler)
    try:
        raise KeyError("cause")
    except KeyError:
        logger.exception("it %s", "failed")
    finally:
        logger.removeHandler(handler)
    log.close()
    os.close(descriptor)
    (line,) = written(tmp_path / "log")
    assert (line["level"], line["logger"], line["message"]) == (
        "error",
        "ketgate.test.library",
        "it failed",
    )
    assert "KeyError: 'cause'" in line["stack"]
