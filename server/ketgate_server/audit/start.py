"""The audit, put together: what the composition root starts and ends."""

import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ketgate_server.audit import nodes
from ketgate_server.audit.log import Checkpoint
from ketgate_server.audit.recorder import Recorder
from ketgate_server.audit.remembered import Remembered, settings_digest
from ketgate_server.audit.seen import Seen
from ketgate_server.audit.sequencer import Sequencer
from ketgate_server.audit.service import create_service
from ketgate_server.audit.signer import Reopen, Signer
from ketgate_server.rpc.call import Service
from ketgate_server.store.base import Store, StoreUnavailable
from ketgate_server.store.erasure import Traces

INTERVAL_S = 1.0
CHECKPOINT_ENTRIES = 50_000
"""After so many, the state that the log bears witness of is told again: a start looks back so far."""

_log = logging.getLogger(__name__)


@dataclass
class Audit:
    """A running audit."""

    recorder: Recorder
    sequencer: Sequencer
    service: Service
    background: "Background"

    def close(self) -> None:
        """Record the end of the server. To be called when no more calls are taken, and before the
        store is closed. Raises StoreUnavailable when that could not be written."""
        self.background.close()
        self.recorder.server_stopped()


def start(
    store: Store,
    data_dir: Path,
    *,
    server: str,
    version: str,
    settings: Mapping[str, Any],
    signer: Signer,
    reopen: Reopen,
    checkpoint: Checkpoint = lambda _: {},
    keep_seen: bool = True,
) -> Audit:
    """Start the audit of a server, and record its start before anything else is recorded.

    server: its name, as workers' names begin. settings: as JSON, with secrets masked. signer: of the
    key that signs, of which the log knows already. keep_seen: False where the log may have been put back
    to an older copy, so that what was seen of it stays known. Raises StoreUnavailable, and OSError for the data
    folder.
    """
    recorder = Recorder(store, server, checkpoint=checkpoint)
    remembered = Remembered(data_dir, settings)
    recorder.server_started(
        {"version": version, "settings_sha256": settings_digest(settings)}, *remembered.changes()
    )
    remembered.told()
    # A name that no other process has, not even one of the same server that was started again.
    sequencer = Sequencer(store, f"{server}/{os.getpid()}/{os.urandom(4).hex()}")
    traces = Traces(store)
    seen = Seen(data_dir, store) if keep_seen else None
    background = Background(recorder, sequencer, traces, seen)
    background.start()
    service = create_service(store, sequencer, signer, reopen, checkpoint, traces)
    return Audit(recorder, sequencer, service, background)


class Background:
    """What happens once a second: what was counted is recorded, what is durable goes into the
    tree, what was redacted leaves the files, and how far the tree is stays known beside the store."""

    def __init__(
        self, recorder: Recorder, sequencer: Sequencer, traces: Traces, seen: Seen | None = None
    ) -> None:
        self._recorder = recorder
        self._sequencer = sequencer
        self._traces = traces
        self._seen = seen
        self._checkpoint_at = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._last_fault = ""

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End; entries that wait go into the tree when a server next runs."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL_S):
            self.run_once()

    def run_once(self) -> None:
        """Whatever is wrong, the next time may do: it is logged when it is new."""
        fault: Exception | None = None
        try:
            self._recorder.tick()
            self._traces.clear()
            self._sequencer.add_all(self._stop.is_set)
            if self._seen is not None:
                size = self._seen.update()
                if size >= self._checkpoint_at + CHECKPOINT_ENTRIES:
                    if self._checkpoint_at:
                        self._recorder.checkpoint()
                    self._checkpoint_at = size
        except Exception as error:
            fault = error
        if fault is not None and str(fault) != self._last_fault:
            known = isinstance(fault, (nodes.LogIncomplete, StoreUnavailable, OSError))
            _log.error("the audit cannot go on: %s", fault, exc_info=None if known else fault)
        self._last_fault = "" if fault is None else str(fault)
