"""Keys, versions and algorithms as the contract has them."""

from __future__ import annotations

import google_crc32c
from ketgate.signing.v1 import algorithm_pb2, key_pb2
from ketgate.signing.v1 import key_service_pb2 as pb

from ketgate_server.signing.algorithms import Algorithm
from ketgate_server.signing.formats.export import PublicKeyFormat
from ketgate_server.signing.keys import convert_changes, convert_policy
from ketgate_server.signing.keys.changes import ChangeRecord
from ketgate_server.signing.keys.exports import Exported
from ketgate_server.signing.keys.quorum import Asked
from ketgate_server.signing.keys.record import KeyRecord, VersionRecord
from ketgate_server.signing.keys.store import Made
from ketgate_server.signing.keys.wrapping_keys import WrappingKey
from ketgate_server.signing.provider import Providers
from ketgate_server.signing.providers.registry import missing_part


def key(record: KeyRecord) -> key_pb2.Key:
    made = key_pb2.Key(
        name=record.name,
        uid=record.uid,
        etag=record.etag,
        labels=record.labels,
        algorithm=f"ALGORITHM_{record.algorithm.id}",
        purpose=f"KEY_PURPOSE_{record.algorithm.purpose.value}",
        primary_version=record.primary_version,
        min_version=record.min_version,
        exportable=record.exportable,
        policy=convert_policy.policy(record.policy),
        provider=record.provider,
        creator=record.creator,
    )
    made.create_time.FromMicroseconds(record.create_time_us)
    made.destroy_delay.FromMicroseconds(record.destroy_delay_us)
    if record.rotation_period_us:
        made.rotation_period.FromMicroseconds(record.rotation_period_us)
    if record.next_rotation_us is not None:
        made.next_rotation_time.FromMicroseconds(record.next_rotation_us)
    return made


def version(record: VersionRecord) -> key_pb2.KeyVersion:
    made = key_pb2.KeyVersion(
        name=record.name,
        version=record.version,
        state=f"KEY_VERSION_STATE_{record.state.value}",
        algorithm=f"ALGORITHM_{record.algorithm.id}",
        provider=record.provider,
        origin=f"KEY_ORIGIN_{record.origin.value}",
        fingerprint=record.fingerprint,
        has_private_key=record.envelope is not None,
    )
    made.create_time.FromMicroseconds(record.create_time_us)
    if record.destroy_time_us is not None:
        made.destroy_time.FromMicroseconds(record.destroy_time_us)
    if record.destroyed_time_us is not None:
        made.destroyed_time.FromMicroseconds(record.destroyed_time_us)
    return made


def algorithm(found: Algorithm, providers: Providers) -> algorithm_pb2.AlgorithmDescription:
    having = [provider.name for provider in providers.of(found)]
    return algorithm_pb2.AlgorithmDescription(
        algorithm=f"ALGORITHM_{found.id}",
        name=found.name,
        purpose=f"KEY_PURPOSE_{found.purpose.value}",
        standard=found.standard,
        status=f"ALGORITHM_STATUS_{found.status.value}",
        nist_category=found.nist_category,
        classical_bits=found.classical_bits,
        public_key_bytes=found.public_key_bytes,
        output_bytes_max=found.output_bytes_max,
        context_bytes_max=found.context_bytes_max,
        external_mu=found.external_mu,
        prehashes=found.prehashes,
        deterministic=found.deterministic,
        providers=having,
        install_command="" if having else missing_part(found)[1],
        oid=found.oid,
        generates=found.generates,
    )


# Answers as they are stored for repeats of their requests: nothing in them is secret.


def created(made: Made) -> bytes:
    answer = pb.CreateKeyResponse(key=key(made[0]), version=version(made[1]))
    return answer.SerializeToString()


def rotated(made: Made) -> bytes:
    answer = pb.RotateKeyResponse(key=key(made[0]), version=version(made[1]))
    return answer.SerializeToString()


def imported(made: Made) -> bytes:
    answer = pb.ImportKeyResponse(key=key(made[0]), version=version(made[1]))
    return answer.SerializeToString()


def updated(record: KeyRecord) -> bytes:
    return pb.UpdateKeyResponse(key=key(record)).SerializeToString()


def enabled(made: Made) -> bytes:
    return pb.EnableKeyVersionResponse(version=version(made[1])).SerializeToString()


def disabled(made: Made) -> bytes:
    return pb.DisableKeyVersionResponse(version=version(made[1])).SerializeToString()


def restored(made: Made) -> bytes:
    return pb.RestoreKeyVersionResponse(version=version(made[1])).SerializeToString()


def asked_to_destroy(asked: Asked) -> bytes:
    answer = pb.DestroyKeyVersionResponse()
    if asked.version is not None:
        answer.version.CopyFrom(version(asked.version))
    if asked.change is not None:
        answer.change.CopyFrom(convert_changes.change(asked.change))
    return answer.SerializeToString()


def asked_to_set_policy(asked: Asked) -> bytes:
    answer = pb.SetKeyPolicyResponse(key=key(asked.key))
    if asked.change is not None:
        answer.change.CopyFrom(convert_changes.change(asked.change))
    return answer.SerializeToString()


def approved(change: ChangeRecord) -> bytes:
    answer = pb.ApproveKeyChangeResponse(change=convert_changes.change(change))
    return answer.SerializeToString()


def rejected(change: ChangeRecord) -> bytes:
    answer = pb.RejectKeyChangeResponse(change=convert_changes.change(change))
    return answer.SerializeToString()


def wrapping_key(made: WrappingKey) -> bytes:
    found = pb.WrappingKey(
        name=made.name,
        wrapping_algorithm=f"WRAPPING_ALGORITHM_{made.wrapping.value}",
        public_key=made.public_key,
        public_key_crc32c=google_crc32c.value(made.public_key),
    )
    found.expire_time.FromMicroseconds(made.expire_time_us)
    return pb.CreateWrappingKeyResponse(wrapping_key=found).SerializeToString()


def public_key(
    content: bytes, form: PublicKeyFormat, record: VersionRecord, usable: bool
) -> pb.ExportPublicKeyResponse:
    return pb.ExportPublicKeyResponse(
        public_key=content,
        public_key_crc32c=google_crc32c.value(content),
        format=f"PUBLIC_KEY_FORMAT_{form.value}",
        version=version(record),
        usable=usable,
    )


def exported(made: Exported) -> pb.ExportPrivateKeyResponse:
    return pb.ExportPrivateKeyResponse(
        wrapped_key=made.wrapped,
        wrapped_key_crc32c=google_crc32c.value(made.wrapped),
        version=version(made.version),
    )
