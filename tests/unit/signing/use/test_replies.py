"""What each reply says of what did it: the algorithm, its standard, the version, the provider."""

from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from ketgate.signing.v1 import algorithm_pb2
from ketgate.signing.v1 import signing_service_pb2 as pb
from ketgate_server.signing.algorithms import ALGORITHMS

from .conftest import Desk, FakeCall

A_DAY = Duration(seconds=int(timedelta(days=1).total_seconds()))


def replies(desk: Desk, call: FakeCall, algorithm: str) -> list[Any]:
    """The parts of replies of all that a key of the algorithm does."""
    key, do = "keys/a", desk.service
    desk.create("a", algorithm)

    def parsed(kind: Any, answer: Any) -> Any:
        return kind.FromString(answer) if isinstance(answer, bytes) else answer

    match ALGORITHMS[algorithm].purpose.name:
        case "ENCAPSULATE":
            made = do.encapsulate(call, pb.EncapsulateRequest(key=key))
            request = pb.DecapsulateRequest(key=key, ciphertext=made.ciphertext)
            return [made, do.decapsulate(call, request)]
        case "SEAL":
            sealed = do.seal(call, pb.SealRequest(key=key, plaintext=b"m"))
            request = pb.OpenRequest(key=key, ciphertext=sealed.ciphertext)
            return [sealed, do.open(call, request)]
        case "MAC":
            made = do.compute_mac(call, pb.ComputeMacRequest(key=key, message=b"m"))
            check = pb.VerifyMacRequest(key=key, message=b"m", mac=made.mac)
            return [made, do.verify_mac(call, check).verdict]
        case _:
            signed = parsed(
                pb.SignResponse, do.sign(call, pb.SignRequest(key=key, message=b"m"))
            ).signature
            item = {"message": b"m", "signature": signed.signature}
            batch = pb.VerifyBatchRequest(key=key, items=[item])
            order = pb.IssueCertificateRequest(key=key, issuer="CN=a", validity=A_DAY)
            asked = pb.CreateSigningRequestRequest(key=key, subject="CN=a")
            return [
                signed,
                do.verify(call, pb.VerifyRequest(key=key, **item)).verdict,
                pb.VerifyBatchResponse.FromString(do.verify_batch(call, batch)).results[0].verdict,
                parsed(pb.IssueCertificateResponse, do.issue_certificate(call, order)),
                parsed(pb.CreateSigningRequestResponse, do.create_signing_request(call, asked)),
            ]


@pytest.mark.parametrize(
    ("name", "standard"),
    [
        ("ML_DSA_44", "FIPS 204"),
        ("ML_DSA_44_ED25519", "draft-ietf-lamps-pq-composite-sigs-13"),
        ("ML_KEM_768", "FIPS 203"),
        ("HPKE_MLKEM768_X25519", "draft-ietf-hpke-pq"),
        ("HMAC_SHA256", "FIPS 198-1"),
    ],
)
def test_each_says_what_did_it(desk: Desk, call: FakeCall, name: str, standard: str) -> None:
    """Of certificates, ciphertexts and verdicts, which draft they follow stood in no answer."""
    for reply in replies(desk, call, name):
        assert algorithm_pb2.Algorithm.Name(reply.algorithm) == f"ALGORITHM_{name}"
        assert reply.standard == ALGORITHMS[name].standard
        assert standard in reply.standard
        assert reply.key_version == "keys/a/versions/1"
        assert reply.provider.startswith("cryptography ")
