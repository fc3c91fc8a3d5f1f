"""What other processes import to run jobs of algorithms: a function for each kind, named as it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from ketgate_server.jobs.base import RunContext
from ketgate_server.quantum import shared
from ketgate_server.quantum.algorithms.job import Reader, perform
from ketgate_server.quantum.algorithms.service import ALGORITHMS
from ketgate_server.quantum.learning.service import CLASSIFIER, KERNEL


def _entry(read: Reader) -> Callable[[Any, RunContext], Message]:
    def run(spec: Any, context: RunContext) -> Message:
        gateway = shared.gateway(context.limits, context.threads)
        return perform(gateway, read, spec, context)

    return run


globals().update({one.kind: _entry(one.read) for one in (*ALGORITHMS, KERNEL, CLASSIFIER)})
