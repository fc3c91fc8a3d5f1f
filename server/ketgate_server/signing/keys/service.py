"""KeyService: messages in, messages out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ketgate.signing.v1 import key_service_pb2 as pb

from ketgate_server.errors import KetgateError, NotFound
from ketgate_server.randomness import drawn
from ketgate_server.rpc.call import Answer, Call, Method, Service, require_role
from ketgate_server.signing.algorithms import ALGORITHMS
from ketgate_server.signing.formats.export import export_public_key
from ketgate_server.signing.keys import (
    convert,
    convert_changes,
    convert_policy,
    listing,
    names,
    quorum,
)
from ketgate_server.signing.keys import convert_requests as read
from ketgate_server.signing.keys.access import Access, is_usable
from ketgate_server.signing.keys.change_list import ChangeList
from ketgate_server.signing.keys.exports import Exports
from ketgate_server.signing.keys.imports import Imports
from ketgate_server.signing.keys.rates import Rates
from ketgate_server.signing.keys.record import KeyRecord, Use
from ketgate_server.signing.keys.refusal import even
from ketgate_server.signing.keys.states import Act
from ketgate_server.signing.keys.store import KeyStore, Reply
from ketgate_server.signing.keys.veil import veiled
from ketgate_server.signing.keys.wrapping_keys import WrappingKeys

NAME = "ketgate.signing.v1.KeyService"
ADMIN, USER, ANY = "signing.admin", "signing.user", ""

READERS = (USER, ADMIN)


class KeyServicer:
    """Parse, call the key store, build the answer."""

    def __init__(self, keys: KeyStore, rates: Rates, limits: Mapping[str, int]) -> None:
        self._keys = keys
        self._access = Access(keys, rates)
        self._changes_max = limits["signing.changes_max"]
        self._changes = ChangeList(keys.store, keys.vault)
        self._wrapping = WrappingKeys(keys.store, keys.vault, limits["signing.wrapping_keys_max"])
        self._imports = Imports(keys, self._wrapping)
        self._exports = Exports(keys, self._access)

    def list_algorithms(self, _: Call, __: pb.ListAlgorithmsRequest) -> pb.ListAlgorithmsResponse:
        providers = self._keys.providers
        found = (convert.algorithm(algorithm, providers) for algorithm in ALGORITHMS.values())
        return pb.ListAlgorithmsResponse(algorithms=found)

    def create_key(self, call: Call, request: pb.CreateKeyRequest) -> Answer:
        asker, new = read.asker(call, request), read.new_key(request)
        if request.validate_only:
            return pb.CreateKeyResponse(key=convert.key(self._keys.preview(asker, new)))
        done = self._keys.create(asker, new, convert.created)
        if done.value is None:
            self._find(call, new.id)  # a repeat: whoever may not see the key any more sees no reply
        return done.reply

    def get_key(self, call: Call, request: pb.GetKeyRequest) -> pb.GetKeyResponse:
        _require_reader(call)
        key = self._find(call, names.read_key(request.name), for_policy=True)
        return pb.GetKeyResponse(key=convert.key(key))

    def list_keys(self, call: Call, request: pb.ListKeysRequest) -> pb.ListKeysResponse:
        _require_reader(call)
        page = listing.page_of_keys(
            self._keys,
            call.identity,
            page_size=request.page_size,
            page_token=request.page_token,
            filter_text=request.filter,
        )
        return pb.ListKeysResponse(
            keys=map(convert.key, page.keys),
            next_page_token=page.next_page_token,
            corrupt_keys=map(names.key_name, page.corrupt),
        )

    def update_key(self, call: Call, request: pb.UpdateKeyRequest) -> Answer:
        key_id = names.read_key(request.key.name, "key.name")
        asker, wanted = read.asker(call, request), read.update(request)
        self._find(call, key_id, field="key.name")
        return self._keys.update(asker, key_id, wanted, convert.updated).reply

    def set_key_policy(self, call: Call, request: pb.SetKeyPolicyRequest) -> Answer:
        key_id, asker = names.read_key(request.name), read.asker(call, request)
        policy = convert_policy.read_policy(request.policy)
        etag = read.read_etag(request.etag)
        justification = quorum.check_justification(request.justification)
        self._find(call, key_id, for_policy=True)
        random_bytes = drawn(names.ID_BYTES)
        return self._keys.change(
            asker,
            lambda change: quorum.set_policy(
                change,
                key_id,
                policy,
                etag=etag,
                justification=justification,
                changes_max=self._changes_max,
                random_bytes=random_bytes,
            ),
            convert.asked_to_set_policy,
        ).reply

    def rotate_key(self, call: Call, request: pb.RotateKeyRequest) -> Answer:
        key_id, asker = names.read_key(request.name), read.asker(call, request)
        self._find(call, key_id)
        return self._keys.rotate(asker, key_id, convert.rotated).reply

    def get_key_version(
        self, call: Call, request: pb.GetKeyVersionRequest
    ) -> pb.GetKeyVersionResponse:
        _require_reader(call)
        key_id, number = names.read_version(request.name)
        self._find(call, key_id, name=request.name, for_policy=True)
        found = self._keys.version(call.identity.tenant, key_id, number)
        if found is None:
            raise NotFound(request.name)
        return pb.GetKeyVersionResponse(version=convert.version(found))

    def list_key_versions(
        self, call: Call, request: pb.ListKeyVersionsRequest
    ) -> pb.ListKeyVersionsResponse:
        _require_reader(call)
        key = self._find(call, names.read_key(request.key, "key"), field="key", for_policy=True)
        page = listing.page_of_versions(
            self._keys, key, page_size=request.page_size, page_token=request.page_token
        )
        return pb.ListKeyVersionsResponse(
            versions=map(convert.version, page.versions), next_page_token=page.next_page_token
        )

    def enable_key_version(self, call: Call, request: pb.EnableKeyVersionRequest) -> Answer:
        return self._act(call, request, Act.ENABLE, convert.enabled)

    def disable_key_version(self, call: Call, request: pb.DisableKeyVersionRequest) -> Answer:
        return self._act(call, request, Act.DISABLE, convert.disabled)

    def restore_key_version(self, call: Call, request: pb.RestoreKeyVersionRequest) -> Answer:
        return self._act(call, request, Act.RESTORE, convert.restored)

    def destroy_key_version(self, call: Call, request: pb.DestroyKeyVersionRequest) -> Answer:
        (key_id, number), asker = names.read_version(request.name), read.asker(call, request)
        justification = quorum.check_justification(request.justification)
        self._find(call, key_id, name=request.name)
        random_bytes = drawn(names.ID_BYTES)
        return self._keys.change(
            asker,
            lambda change: quorum.destroy(
                change,
                key_id,
                number,
                justification=justification,
                changes_max=self._changes_max,
                random_bytes=random_bytes,
            ),
            convert.asked_to_destroy,
        ).reply

    def export_public_key(
        self, call: Call, request: pb.ExportPublicKeyRequest
    ) -> pb.ExportPublicKeyResponse:
        _require_reader(call)
        form = read.read_format(request.format)
        key, found = self._access.find(
            call.identity, request.name, Use.VERIFY, "name", usable=False
        )
        content = export_public_key(found.algorithm, found.public_key, form, found.name)
        return convert.public_key(content, form, found, is_usable(key, found))

    def export_private_key(
        self, call: Call, request: pb.ExportPrivateKeyRequest
    ) -> pb.ExportPrivateKeyResponse:
        key_id, number = names.read_version(request.name)
        how = read.read_wrapping(request.wrapping_algorithm)
        asker = read.asker(call, request)
        return convert.exported(
            self._exports.run(asker, key_id, number, how, request.wrapping_public_key)
        )

    def create_wrapping_key(self, call: Call, request: pb.CreateWrappingKeyRequest) -> Answer:
        how = read.read_wrapping(request.wrapping_algorithm)
        return self._wrapping.create(read.asker(call, request), how, convert.wrapping_key).reply

    def import_key(self, call: Call, request: pb.ImportKeyRequest) -> Answer:
        asker, wanted = read.asker(call, request), read.new_import(request)
        done = self._imports.run(asker, wanted, convert.imported)
        if done.value is None:
            self._find(call, wanted.key.id)
        return done.reply

    def get_key_change(
        self, call: Call, request: pb.GetKeyChangeRequest
    ) -> pb.GetKeyChangeResponse:
        found = self._changes.get(call.identity, names.read_change(request.name))
        return pb.GetKeyChangeResponse(change=convert_changes.change(found))

    def list_key_changes(
        self, call: Call, request: pb.ListKeyChangesRequest
    ) -> pb.ListKeyChangesResponse:
        found, token = self._changes.page(call.identity, *convert_changes.read_page(request))
        return pb.ListKeyChangesResponse(
            changes=map(convert_changes.change, found), next_page_token=token
        )

    def approve_key_change(self, call: Call, request: pb.ApproveKeyChangeRequest) -> Answer:
        change_id, asker = names.read_change(request.name), read.asker(call, request)
        self._changes.get(call.identity, change_id)
        return self._keys.change(
            asker, lambda change: quorum.approve(change, change_id), convert.approved
        ).reply

    def reject_key_change(self, call: Call, request: pb.RejectKeyChangeRequest) -> Answer:
        change_id, asker = names.read_change(request.name), read.asker(call, request)
        self._changes.get(call.identity, change_id)
        return self._keys.change(
            asker, lambda change: quorum.reject(change, change_id), convert.rejected
        ).reply

    def veiled(self, call: Call, error: KetgateError) -> KetgateError:
        """A refusal, without what the caller may not know of."""

        def may_know(resource: str) -> bool:
            key_id, change_id = names.key_of(resource), names.change_of(resource)
            if key_id is not None:
                return self._access.may_know(call.identity, key_id)
            return change_id is None or self._changes.may_know(call.identity, change_id)

        return veiled(error, may_know)

    def _act(
        self,
        call: Call,
        request: pb.EnableKeyVersionRequest
        | pb.DisableKeyVersionRequest
        | pb.RestoreKeyVersionRequest,
        act: Act,
        reply: Reply,
    ) -> Answer:
        (key_id, number), asker = names.read_version(request.name), read.asker(call, request)
        self._find(call, key_id, name=request.name)
        return self._keys.act(asker, key_id, number, act, reply).reply

    def _find(
        self,
        call: Call,
        key_id: str,
        field: str = "name",
        *,
        name: str = "",
        for_policy: bool = False,
    ) -> KeyRecord:
        """A key that the caller may manage. Asked before each change, so that repeats are authorised
        anew; the change asks again in its transaction."""
        return self._access.find_key(
            call.identity, key_id, Use.MANAGE, field, name=name, for_policy=for_policy
        )


def create_service(servicer: Callable[[], KeyServicer]) -> Service:
    """The service as the edge serves it. servicer: there once the store is open."""

    def method(request_type: type[Any], role: str, name: str, *, mutates: bool = False) -> Method:
        def unary(call: Call, request: Any) -> Answer:
            with even():  # also what was hidden between the first look and the transaction
                asked = servicer()
                try:
                    answer: Answer = getattr(asked, name)(call, request)
                except KetgateError as error:
                    raise asked.veiled(call, error) from error.__cause__
                return answer

        return Method(request_type, role, unary=unary, mutates=mutates)

    def change(request_type: type[Any], name: str, role: str = ADMIN) -> Method:
        return method(request_type, role, name, mutates=True)

    return Service(
        NAME,
        {
            "ListAlgorithms": method(pb.ListAlgorithmsRequest, ANY, "list_algorithms"),
            "CreateKey": change(pb.CreateKeyRequest, "create_key"),
            "GetKey": method(pb.GetKeyRequest, ANY, "get_key"),
            "ListKeys": method(pb.ListKeysRequest, ANY, "list_keys"),
            "UpdateKey": change(pb.UpdateKeyRequest, "update_key"),
            "SetKeyPolicy": change(pb.SetKeyPolicyRequest, "set_key_policy"),
            "RotateKey": change(pb.RotateKeyRequest, "rotate_key"),
            "GetKeyVersion": method(pb.GetKeyVersionRequest, ANY, "get_key_version"),
            "ListKeyVersions": method(pb.ListKeyVersionsRequest, ANY, "list_key_versions"),
            "EnableKeyVersion": change(pb.EnableKeyVersionRequest, "enable_key_version"),
            "DisableKeyVersion": change(pb.DisableKeyVersionRequest, "disable_key_version"),
            "DestroyKeyVersion": change(pb.DestroyKeyVersionRequest, "destroy_key_version"),
            "RestoreKeyVersion": change(pb.RestoreKeyVersionRequest, "restore_key_version"),
            "ExportPublicKey": method(pb.ExportPublicKeyRequest, ANY, "export_public_key"),
            "ExportPrivateKey": change(pb.ExportPrivateKeyRequest, "export_private_key"),
            "CreateWrappingKey": change(pb.CreateWrappingKeyRequest, "create_wrapping_key"),
            "ImportKey": change(pb.ImportKeyRequest, "import_key"),
            # Whom a change concerns is said by the key's policy, not by a role.
            "GetKeyChange": method(pb.GetKeyChangeRequest, ANY, "get_key_change"),
            "ListKeyChanges": method(pb.ListKeyChangesRequest, ANY, "list_key_changes"),
            "ApproveKeyChange": change(pb.ApproveKeyChangeRequest, "approve_key_change", ANY),
            "RejectKeyChange": change(pb.RejectKeyChangeRequest, "reject_key_change", ANY),
        },
    )


def _require_reader(call: Call) -> None:
    """Whoever may use or change keys may read them, as far as their policies allow."""
    if not any(role in call.identity.roles for role in READERS):
        require_role(call.identity, USER, call.method)
