from collections.abc import Callable, Sequence

ITEMS_MAX: int
CONTEXT_BYTES_MAX: int
OUTPUT_BYTES_MAX: int
THREADS_MAX: int

class Failed(Exception):
    """The library returned an error."""

class Closed(Exception):
    """The key was closed before."""

class SigningKey:
    """A private key of one of liboqs's signature schemes; threads may share it.

    scheme: address of the OQS_SIG, which must outlive the key. sign: address of OQS_SIG_sign_with_ctx_str. secret: the
    private key as the library writes it, copied to memory that is not swapped out nor dumped, where the system allows.
    signature_bytes: the longest signature.
    """

    def __init__(
        self, *, scheme: int, sign: int, secret: bytes | bytearray, signature_bytes: int
    ) -> None: ...
    def sign(self, message: bytes, context: bytes = b"") -> bytes:
        """Raises Failed, Closed, and ValueError for a context of more than CONTEXT_BYTES_MAX."""
    def sign_many(
        self,
        messages: Sequence[bytes],
        contexts: Sequence[bytes],
        *,
        threads: int = 1,
        stop: Callable[[], bool] | None = None,
        ask_every_ms: float | None = None,
    ) -> list[bytes | None]:
        """Signatures in order, without the GIL; None for those that were not begun when stop() said so.

        stop is asked before the first, and then by the calling thread between its items, not more often than every
        ask_every_ms (20). What it raises ends the batch, and is raised. Raises as sign does.
        """
    def close(self) -> None:
        """Overwrite the key, as soon as the last that uses it now is done."""

class VerifyingKey:
    """A public key. verify: address of OQS_SIG_verify_with_ctx_str; public_key: of the scheme's length."""

    def __init__(self, *, scheme: int, verify: int, public_key: bytes) -> None: ...
    def verify(self, signature: bytes, message: bytes, context: bytes = b"") -> bool:
        """Raises ValueError for a context of more than CONTEXT_BYTES_MAX."""
    def verify_many(
        self,
        signatures: Sequence[bytes],
        messages: Sequence[bytes],
        contexts: Sequence[bytes],
        *,
        threads: int = 1,
        stop: Callable[[], bool] | None = None,
        ask_every_ms: float | None = None,
    ) -> list[bool | None]:
        """As SigningKey.sign_many."""

class DecapsulationKey:
    """A private key of one of liboqs's KEMs. decapsulate: address of OQS_KEM_decaps."""

    def __init__(
        self,
        *,
        scheme: int,
        decapsulate: int,
        secret: bytes | bytearray,
        ciphertext_bytes: int,
        shared_bytes: int,
    ) -> None: ...
    def decapsulate(self, ciphertext: bytes) -> bytes:
        """The shared secret. Raises Failed, Closed, and ValueError for a ciphertext of another length."""
    def close(self) -> None:
        """As SigningKey.close."""

class EncapsulationKey:
    """A public key of one of liboqs's KEMs. encapsulate: address of OQS_KEM_encaps."""

    def __init__(
        self,
        *,
        scheme: int,
        encapsulate: int,
        public_key: bytes,
        ciphertext_bytes: int,
        shared_bytes: int,
    ) -> None: ...
    def encapsulate(self) -> tuple[bytes, bytes]:
        """(shared secret, ciphertext). Raises Failed."""
