"""What one token may have under way at once."""

from contextlib import ExitStack

import pytest
from ketgate.signing.v1 import signing_service_pb2 as pb
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.signing.use.places import batch_places, stream_places

from .conftest import Desk, FakeCall

STREAMS = "signing.caller_streams_max"
BATCHES = "signing.caller_batches_max"


@pytest.mark.parametrize(("own", "all_of_them", "most"), [(32, 128, 32), (32, 10, 5), (5, 1, 1)])
@pytest.mark.parametrize("name", [STREAMS, BATCHES])
def test_no_token_has_more_than_half(name: str, own: int, all_of_them: int, most: int) -> None:
    limits = {name: own, "rpc.streams_max": all_of_them}
    limits |= {"signing.batches_max": 1, "signing.batches_queued_max": all_of_them - 1}
    places = (stream_places if name == STREAMS else batch_places)(limits)
    with ExitStack() as held:
        for _ in range(most):
            held.enter_context(places.take("emma"))
        with pytest.raises(KetgateError) as caught:
            held.enter_context(places.take("emma"))
        assert (caught.value.reason, caught.value.limit) == (Reason.SERVER_BUSY, name)
        assert caught.value.retry_after_s
        held.enter_context(places.take("otto"))
    assert not places._taken


def test_a_batch_takes_a_place_of_its_token(desk: Desk, call: FakeCall) -> None:
    """One token could hold all places of batches, running and waiting."""
    desk.create("a")
    places = batch_places({BATCHES: 1, "signing.batches_max": 2, "signing.batches_queued_max": 2})
    desk.service._batch_places = places
    sign = pb.SignBatchRequest(key="keys/a", items=[{"message": b"m"}])
    verify = pb.VerifyBatchRequest(key="keys/a", items=[{"message": b"m"}])
    with places.take(call.identity.subject):
        for work in (
            lambda: desk.service.sign_batch(call, sign),
            lambda: desk.service.verify_batch(call, verify),
        ):
            with pytest.raises(KetgateError) as caught:
                work()
            assert caught.value.limit == BATCHES
    assert desk.service.sign_batch(call, sign)
    assert desk.service.verify_batch(call, verify)
