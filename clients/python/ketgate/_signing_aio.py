"""Keys and their use, asynchronously: `client.signing` of ketgate.aio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast

from ketgate import _encryption_asks as encryption
from ketgate import _key_asks as of_keys
from ketgate import _key_material_asks as material
from ketgate import _signing_asks as uses
from ketgate._ask import Ask, AskPages, Damages, built
from ketgate._errors import DataLoss, InvalidArgument, LimitExceeded, RateExceeded
from ketgate._key_types import Key, KeyVersion
from ketgate._signature import describe_as, prepared_result
from ketgate._signing_tables import SignTable, VerifyTable

if TYPE_CHECKING:
    from ketgate.aio import Client

P = ParamSpec("P")
R = TypeVar("R")


def _asked(build: Callable[P, Ask[R]]) -> Callable[Concatenate[Signing, P], Awaitable[R]]:
    async def method(self: Signing, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._do(built(build, *args, **kwargs))

    made = describe_as(method, build, bound=True, returns=prepared_result(build))
    return cast(Callable[Concatenate["Signing", P], Awaitable[R]], made)


def _listed(
    build: Callable[P, AskPages[R]],
) -> Callable[Concatenate[Signing, P], Awaitable[list[R]]]:
    async def method(self: Signing, /, *args: P.args, **kwargs: P.kwargs) -> list[R]:
        return await self._list(built(build, *args, **kwargs))

    made = describe_as(method, build, bound=True, returns=list[prepared_result(build)])  # type: ignore[misc]
    return cast(Callable[Concatenate["Signing", P], Awaitable[list[R]]], made)


class Signing:
    """As `ketgate._signing.Signing`, awaited.

    >>> signed = await client.signing.sign("keys/desk", b"an order")
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    algorithms = _asked(of_keys.algorithms)
    create_key = _asked(of_keys.create_key)
    get_key = _asked(of_keys.get_key)
    keys = _listed(of_keys.keys)
    update_key = _asked(of_keys.update_key)
    set_policy = _asked(of_keys.set_policy)
    rotate = _asked(of_keys.rotate)
    version = _asked(of_keys.version)
    versions = _listed(of_keys.versions)
    enable = _asked(of_keys.enable)
    disable = _asked(of_keys.disable)
    destroy = _asked(of_keys.destroy)
    restore = _asked(of_keys.restore)
    export_public_key = _asked(material.export_public_key)
    import_public_key = _asked(material.import_public_key)
    change = _asked(of_keys.change)
    changes = _listed(of_keys.changes)
    approve = _asked(of_keys.approve)
    reject = _asked(of_keys.reject)

    sign = _asked(uses.sign)
    verify = _asked(uses.verify)
    sign_file = _asked(uses.sign_file)
    verify_file = _asked(uses.verify_file)
    encapsulate = _asked(encryption.encapsulate)
    decapsulate = _asked(encryption.decapsulate)
    seal = _asked(encryption.seal)
    open = _asked(encryption.open)
    random = _asked(encryption.random)
    mac = _asked(encryption.mac)
    verify_mac = _asked(encryption.verify_mac)
    certificate_request = _asked(encryption.certificate_request)
    issue_certificate = _asked(encryption.issue_certificate)

    async def sign_many(self, key: str | Key | KeyVersion, messages: Any, **options: Any) -> Any:
        """As Signing.sign_many of the synchronous client."""
        table = SignTable(messages)
        for piece in table.pieces:
            try:
                signed = await self._do(uses.sign_batch(key, piece, **options))
            except (LimitExceeded, RateExceeded) as error:
                table.pieces.after(error)
            else:
                table.pieces.add(signed)
        return table.result()

    async def verify_many(
        self,
        signatures: Any,
        messages: Any = None,
        *,
        key: str | Key | KeyVersion = "",
        public_key: bytes | str = b"",
        **options: Any,
    ) -> Any:
        """As Signing.verify_many of the synchronous client."""
        table = VerifyTable(signatures, messages)
        for piece in table.pieces:
            ask = uses.verify_batch(piece, key=key, public_key=public_key, **options)
            try:
                found = await self._do(ask)
            except (LimitExceeded, RateExceeded) as error:
                table.pieces.after(error)
            else:
                table.pieces.add(found)
        return table.result()

    async def import_key(
        self,
        key_id: str,
        algorithm: str,
        private_key: Any,
        *,
        password: bytes | None = None,
        **options: Any,
    ) -> Key:
        """As Signing.import_key of the synchronous client."""
        from ketgate._wrapping import WRAPPING_ALGORITHMS, private_key_bytes, wrap

        request = material.import_request(key_id, algorithm, **options)
        content = private_key_bytes(private_key, password)
        to = await self._do(material.wrapping_key(WRAPPING_ALGORITHMS[0]))
        request.wrapped.wrapping_key = to.name
        request.wrapped.wrapped_key = wrap(WRAPPING_ALGORITHMS[0], to.public_key, content)
        return await self._do(material.import_key(material.with_checksum(request)))

    async def export_private_key(self, name: str | KeyVersion) -> bytes:
        """As Signing.export_private_key of the synchronous client."""
        from ketgate._wrapping import Receiver

        receiver = Receiver()
        ask = material.export_wrapped_key(name, receiver.algorithm, receiver.public_key)
        return receiver.unwrap(await self._do(ask))

    async def _do(self, ask: Ask[R]) -> R:
        damages = Damages(self._client._retry.attempts_max, ask)
        while True:
            try:
                return ask.read(await self._answer(ask))
            except (DataLoss, InvalidArgument) as error:
                damages.after(error)

    async def _answer(self, ask: Ask[Any]) -> Any:
        if ask.pieces is not None:
            call = self._client._call_with_stream
            return await call(ask.method, ask.pieces, repeatable=ask.repeatable)
        return await self._client._call(ask.method, ask.request, ask.timeout_s)

    async def _list(self, ask: AskPages[R]) -> list[R]:
        found: list[R] = []
        while not ask.add(found, await self._client._call(ask.method, ask.request)):
            pass
        return found
