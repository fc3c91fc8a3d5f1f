"""A client that had watched its server die kept the connection's back-off, up to 2.4 s with its jitter,
while the five attempts of a call may span 0.75 s: a call to a server that was up again failed
with "cannot be reached".
"""

from ketgate import Retry, _wire

JITTER = 1.2
"""What gRPC may make of a back-off (its connection-backoff.md: 20 % of jitter)."""


def test_the_attempts_of_a_call_outlast_the_back_off_of_its_connection() -> None:
    retry = Retry()
    waits_s = [
        retry.delay_s_initial * 2.0**attempt / 2 for attempt in range(retry.attempts_max - 1)
    ]
    back_off_ms = dict(_wire.CHANNEL_OPTIONS)["grpc.max_reconnect_backoff_ms"]
    assert back_off_ms * JITTER / 1000 < sum(waits_s)
