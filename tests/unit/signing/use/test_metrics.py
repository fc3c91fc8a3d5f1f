"""What is counted of keys in use."""

from ketgate.signing.v1 import signature_pb2
from ketgate.signing.v1 import signing_service_pb2 as pb
from ketgate_server.signing.algorithms import ALGORITHMS
from ketgate_server.signing.metrics import SigningMetrics
from prometheus_client import CollectorRegistry, generate_latest


def shown(metrics):
    registry = CollectorRegistry()
    metrics.show(registry)
    lines = generate_latest(registry).decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def test_operations_by_algorithm_and_provider(desk, call):
    metrics = SigningMetrics()
    desk.signatures._count = metrics.count
    desk.create("a")
    desk.service.sign(call, pb.SignRequest(key="keys/a", message=b"m"))
    items = [signature_pb2.SignItem(message=b"m"), signature_pb2.SignItem(message=b"n")]
    desk.service.sign_batch(call, pb.SignBatchRequest(key="keys/a", items=items))
    name = (
        'ketgate_signing_operations_total{algorithm="ED25519",operation="sign",'
        'provider="cryptography"}'
    )
    assert shown(metrics)[name] == "3.0"


def test_what_is_so_now():
    metrics = SigningMetrics()
    metrics.open_keys, metrics.batches = lambda: 3, lambda: 1
    metrics.count("seal", ALGORITHMS["HPKE_MLKEM768_X25519"], "cryptography")
    found = shown(metrics)
    assert found["ketgate_signing_open_keys"] == "3.0"
    assert found["ketgate_signing_batches"] == "1.0"
