"""The kernel of keys of liboqs, over functions of the same shape that are written in Python: no liboqs is needed.

A signature of the stand-in is the key, the length of the context, the context and the message, each byte plus one.
"""

import ctypes
import threading
from collections.abc import Callable, Iterator

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate_native.oqs import (
    CONTEXT_BYTES_MAX,
    Closed,
    DecapsulationKey,
    EncapsulationKey,
    Failed,
    SigningKey,
    VerifyingKey,
)

SECRET = bytes(range(1, 33))
ROOM = 2048
SCHEME = ctypes.create_string_buffer(b"scheme")
Bytes = ctypes.POINTER(ctypes.c_uint8)
Sign = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_void_p,
    Bytes,
    ctypes.POINTER(ctypes.c_size_t),
    Bytes,
    ctypes.c_size_t,
    Bytes,
    ctypes.c_size_t,
    Bytes,
)
Verify = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_void_p,
    Bytes,
    ctypes.c_size_t,
    Bytes,
    ctypes.c_size_t,
    Bytes,
    ctypes.c_size_t,
    Bytes,
)
Exchange = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, Bytes, Bytes, Bytes)


def expected(message: bytes, context: bytes, secret: bytes = SECRET) -> bytes:
    return bytes((b + 1) % 256 for b in secret + bytes([len(context)]) + context + message)


def read(at: object, size: int) -> bytes:
    return ctypes.string_at(at, size) if size else b""  # type: ignore[arg-type]


class Library:
    """Functions of liboqs's shape, and what they were asked."""

    def __init__(self) -> None:
        self.before: Callable[[bytes], None] = lambda message: None
        self.contexts: list[bool] = []
        self._sign, self._verify = Sign(self.sign), Verify(self.verify)
        self._encapsulate, self._decapsulate = (
            Exchange(self.encapsulate),
            Exchange(self.decapsulate),
        )

    def sign(self, scheme, into, used, message, size, context, context_size, secret):  # type: ignore[no-untyped-def]
        assert scheme == ctypes.addressof(SCHEME)
        content = read(message, size)
        self.contexts.append(bool(context))
        self.before(content)
        made = expected(content, read(context, context_size), read(secret, len(SECRET)))
        if content == b"fail" or len(made) > used[0]:
            return -1
        ctypes.memmove(into, made, len(made))
        used[0] = len(made)
        return 0

    def verify(self, scheme, message, size, signature, length, context, context_size, public):  # type: ignore[no-untyped-def]
        self.before(read(message, size))
        wanted = expected(
            read(message, size), read(context, context_size), read(public, len(SECRET))
        )
        return 0 if read(signature, length) == wanted else -1

    def encapsulate(self, scheme, ciphertext, shared, public):  # type: ignore[no-untyped-def]
        if read(public, 4) == b"fail":
            return -1
        ctypes.memmove(ciphertext, read(public, 48), 48)
        ctypes.memmove(shared, b"s" * 32, 32)
        return 0

    def decapsulate(self, scheme, shared, ciphertext, secret):  # type: ignore[no-untyped-def]
        if read(ciphertext, 4) == b"fail":
            return -1
        ctypes.memmove(
            shared, bytes(a ^ b for a, b in zip(read(ciphertext, 32), SECRET, strict=True)), 32
        )
        return 0

    def signing_key(self, secret: bytes = SECRET) -> SigningKey:
        return SigningKey(
            scheme=ctypes.addressof(SCHEME),
            sign=address(self._sign),
            secret=secret,
            signature_bytes=ROOM,
        )

    def verifying_key(self) -> VerifyingKey:
        return VerifyingKey(
            scheme=ctypes.addressof(SCHEME), verify=address(self._verify), public_key=SECRET
        )

    def decapsulation_key(self) -> DecapsulationKey:
        return DecapsulationKey(
            scheme=ctypes.addressof(SCHEME),
            decapsulate=address(self._decapsulate),
            secret=SECRET,
            ciphertext_bytes=48,
            shared_bytes=32,
        )

    def encapsulation_key(self, public_key: bytes) -> EncapsulationKey:
        return EncapsulationKey(
            scheme=ctypes.addressof(SCHEME),
            encapsulate=address(self._encapsulate),
            public_key=public_key,
            ciphertext_bytes=48,
            shared_bytes=32,
        )


def address(function: object) -> int:
    found = ctypes.cast(function, ctypes.c_void_p).value  # type: ignore[arg-type]
    assert found is not None
    return found


@pytest.fixture(scope="module")
def shared() -> Library:
    return Library()


@pytest.fixture
def library() -> Library:
    return Library()


messages = st.lists(st.tuples(st.binary(max_size=40), st.binary(max_size=255)), max_size=20)


@given(asked=messages, threads=st.integers(1, 3))
def test_a_batch_is_what_one_by_one_gives(
    shared: Library, asked: list[tuple[bytes, bytes]], threads: int
) -> None:
    key, public = shared.signing_key(), shared.verifying_key()
    contents, contexts = [m for m, _ in asked], [c for _, c in asked]
    signatures = key.sign_many(contents, contexts, threads=threads)
    assert signatures == [expected(m, c) for m, c in asked]
    assert signatures == [key.sign(m, c) for m, c in asked]
    changed = [s[:-1] if i % 2 else s for i, s in enumerate(signatures) if s is not None]
    found = public.verify_many(changed, contents, contexts, threads=threads)
    assert found == [i % 2 == 0 for i in range(len(asked))]
    assert found == [public.verify(s, m, c) for s, (m, c) in zip(changed, asked, strict=True)]


def test_the_empty_context_is_given_as_none(library: Library) -> None:
    """Schemes without contexts refuse any other."""
    key = library.signing_key()
    key.sign(b"m")
    key.sign(b"m", b"c")
    key.sign_many([b"m"], [b""])
    assert library.contexts == [False, True, False]


def test_threads_work_at_the_same_time(library: Library) -> None:
    """Each of two waits until the other is there too."""
    meeting = threading.Barrier(2, timeout=60)
    library.before = lambda _: meeting.wait() and None
    assert None not in library.signing_key().sign_many([b"a", b"b"], [b"", b""], threads=2)


def test_an_item_that_fails_is_named(library: Library) -> None:
    key = library.signing_key()
    with pytest.raises(Failed, match="could not sign"):
        key.sign(b"fail")
    with pytest.raises(Failed, match="item 1"):
        key.sign_many([b"good", b"fail"], [b"", b""])
    with pytest.raises(Failed, match="could not sign"):  # longer than the room: it was not written
        key.sign(bytes(ROOM))


def test_what_was_stopped_before_is_left_undone(library: Library) -> None:
    found = library.signing_key().sign_many([b"a", b"b"], [b"", b""], stop=lambda: True)
    assert found == [None, None]
    found = library.verifying_key().verify_many([b"", b""], [b"a", b"b"], [b"", b""], stop=bool)
    assert found == [False, False]


@pytest.mark.parametrize("threads", [1, 3])
def test_a_stop_leaves_the_rest_undone(library: Library, threads: int) -> None:
    asked: Iterator[bool] = iter([False, False, True])
    count = 500
    found = library.signing_key().sign_many(
        [b"m"] * count, [b""] * count, threads=threads, stop=lambda: next(asked), ask_every_ms=0
    )
    done = [one for one in found if one is not None]
    assert 2 <= len(done) < count
    assert done == [expected(b"m", b"")] * len(done)


def test_a_stop_is_asked_seldom(library: Library) -> None:
    times = 0

    def stop() -> bool:
        nonlocal times
        times += 1
        return False

    library.signing_key().sign_many([b"m"] * 100, [b""] * 100, stop=stop, ask_every_ms=1e6)
    assert times == 1


def test_what_a_stop_raises_ends_the_batch(library: Library) -> None:
    def stop() -> bool:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        library.signing_key().sign_many([b"m"] * 9, [b""] * 9, stop=stop, threads=2)
    assert not library.contexts


def test_a_closed_key_does_nothing(library: Library) -> None:
    key = library.signing_key()
    key.close()
    key.close()
    with pytest.raises(Closed):
        key.sign(b"m")
    with pytest.raises(Closed):
        key.sign_many([b"m"], [b""])
    other = library.decapsulation_key()
    other.close()
    with pytest.raises(Closed):
        other.decapsulate(bytes(48))
    assert not library.contexts


def test_a_key_that_is_closed_while_in_use_is_whole_until_then(library: Library) -> None:
    key = library.signing_key()
    library.before = lambda _: key.close()
    assert key.sign_many([b"a", b"b"], [b"", b""]) == [expected(b"a", b""), expected(b"b", b"")]
    with pytest.raises(Closed):
        key.sign(b"c")


def test_the_key_is_copied(library: Library) -> None:
    secret = bytearray(SECRET)
    key = library.signing_key(secret)  # type: ignore[arg-type]
    secret[:] = bytes(len(secret))
    assert key.sign(b"m") == expected(b"m", b"")


def test_secrets_are_exchanged(library: Library) -> None:
    public = bytes(range(100, 148))
    assert library.encapsulation_key(public).encapsulate() == (b"s" * 32, public)
    got = library.decapsulation_key().decapsulate(public)
    assert got == bytes(a ^ b for a, b in zip(public[:32], SECRET, strict=True))
    with pytest.raises(Failed, match="encapsulate"):
        library.encapsulation_key(b"fail" + bytes(44)).encapsulate()
    with pytest.raises(Failed, match="decapsulate"):
        library.decapsulation_key().decapsulate(b"fail" + bytes(44))


def test_bad_arguments_are_named(library: Library) -> None:
    key, public = library.signing_key(), library.verifying_key()
    long = bytes(CONTEXT_BYTES_MAX + 1)
    refused: list[tuple[str, Callable[[], object]]] = [
        ("^context: ", lambda: key.sign(b"", long)),
        (r"^contexts\[1\]: ", lambda: key.sign_many([b"", b""], [b"", long])),
        ("^messages, contexts: ", lambda: key.sign_many([b""], [])),
        ("^signatures, messages, contexts: ", lambda: public.verify_many([], [b""], [b""])),
        ("^threads: ", lambda: key.sign_many([], [], threads=0)),
        ("^ciphertext: ", lambda: library.decapsulation_key().decapsulate(bytes(47))),
        (
            "^sign: ",
            lambda: SigningKey(scheme=1, sign=0, secret=SECRET, signature_bytes=1),
        ),
        (
            "^signature_bytes: ",
            lambda: SigningKey(scheme=1, sign=1, secret=SECRET, signature_bytes=0),
        ),
        ("^secret: ", lambda: SigningKey(scheme=1, sign=1, secret=b"", signature_bytes=1)),
    ]
    for name, call in refused:
        with pytest.raises(ValueError, match=name):
            call()
    for wrong in (None, "text", 3):
        with pytest.raises(TypeError):
            key.sign(wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            key.sign_many([wrong], [b""])  # type: ignore[list-item]
        with pytest.raises(TypeError):
            public.verify_many([wrong], [b""], [b""])  # type: ignore[list-item]


def test_memory_stays_flat(library: Library) -> None:
    def use() -> None:
        key = library.signing_key()
        key.sign_many([b"m"] * 4, [b"c"] * 4)
        key.close()
        library.contexts.clear()

    process = psutil.Process()
    for _ in range(100):
        use()
    before = process.memory_info().rss
    for _ in range(1000):
        use()
    assert process.memory_info().rss - before < 2 << 20
