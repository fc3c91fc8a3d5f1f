"""An HTTP service on loopback with faults by switch: what the emulators of the clouds share."""

import json
import socket
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, dict[str, str], bytes]


def json_reply(value: Any, status: int = 200, **headers: str) -> Reply:
    return status, {"Content-Type": "application/json", **headers}, json.dumps(value).encode()


@dataclass
class Question:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body or b"{}")


@dataclass
class Faults:
    """What goes wrong, by operation, in order: each entry for one question. "lost": it is done, and
    the connection closed without an answer; "dropped": closed, and not done; others are the
    service's own."""

    queued: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    seen: list[str] = field(default_factory=list)
    """Every operation that was asked for."""

    def next(self, operation: str) -> str:
        self.seen.append(operation)
        return self.queued[operation].pop(0) if self.queued[operation] else ""


class _Lost(Exception):  # noqa: N818 - what happens to the connection
    """The connection breaks instead of an answer."""


def answer(
    faults: Faults, operation: str, act: Callable[[], Reply], refuse: Callable[[str], Reply]
) -> Reply:
    """Do it, with the fault that is due. refuse: the service's own."""
    fault = faults.next(operation)
    if fault == "dropped":
        raise _Lost
    if fault == "lost":
        act()
        raise _Lost
    return refuse(fault) if fault else act()


@contextmanager
def serving(service: Callable[[Question], Reply]) -> Iterator[str]:
    """The URL of a server that asks service."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            from urllib.parse import parse_qs, unquote, urlsplit

            length = int(self.headers.get("Content-Length") or 0)
            parts = urlsplit(self.path)
            question = Question(
                self.command,
                unquote(parts.path),
                parse_qs(parts.query),
                {name.lower(): value for name, value in self.headers.items()},
                self.rfile.read(length),
            )
            try:
                with lock:
                    status, headers, body = service(question)
            except _Lost:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - names of http.server

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
