"""TLS as the server speaks it, down to the key exchange."""

import secrets
import socket
import ssl
import struct

import pytest

X25519MLKEM768 = 0x11EC
X25519 = 0x001D
TLS_1_3 = 0x0304
MLKEM768_KEY_BYTES = 1184
X25519_KEY_BYTES = 32
HELLO_RETRY_RANDOM = bytes.fromhex(
    "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"
)
"""The random of a ServerHello that is a HelloRetryRequest, RFC 8446 section 4.1.3."""

TIMEOUT_S = 200.0


def vector(length_bytes: int, content: bytes) -> bytes:
    """A TLS vector: its length, then itself."""
    return len(content).to_bytes(length_bytes, "big") + content


def extension(number: int, content: bytes) -> bytes:
    return struct.pack(">H", number) + vector(2, content)


def client_hello(group: int, share: bytes) -> bytes:
    """A TLS 1.3 ClientHello that offers one group, with a share for it, and HTTP/2."""
    extensions = b"".join(
        (
            extension(0x0000, vector(2, b"\0" + vector(2, b"localhost"))),  # server_name
            extension(0x000A, vector(2, struct.pack(">H", group))),  # supported_groups
            extension(0x000D, vector(2, struct.pack(">HHH", 0x0403, 0x0804, 0x0401))),  # signatures
            extension(0x0010, vector(2, vector(1, b"h2"))),  # ALPN
            extension(0x002B, vector(1, struct.pack(">H", TLS_1_3))),  # supported_versions
            extension(0x0033, vector(2, struct.pack(">H", group) + vector(2, share))),  # key_share
        )
    )
    body = struct.pack(">H", 0x0303) + secrets.token_bytes(32) + vector(1, secrets.token_bytes(32))
    body += vector(2, struct.pack(">HHH", 0x1301, 0x1302, 0x1303)) + vector(1, b"\0")
    body += vector(2, extensions)
    return b"\x16\x03\x01" + vector(2, b"\x01" + vector(3, body))


def read_exactly(connection: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        piece = connection.recv(size - len(content))
        assert piece, "the server closed the connection"
        content += piece
    return content


def server_hello(address: str, hello: bytes) -> tuple[bytes, dict[int, bytes]]:
    """The random and the extensions of the ServerHello that answers."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), TIMEOUT_S) as connection:
        connection.sendall(hello)
        kind, _, size = struct.unpack(">BHH", read_exactly(connection, 5))
        record = read_exactly(connection, size)
    assert kind == 22, f"no handshake but record {kind}: {record.hex()}"
    assert record[0] == 2, "the first message is the ServerHello"
    random = record[6:38]
    position = 39 + record[38]  # past the echoed session id
    position += 3  # cipher suite, compression
    end = position + 2 + int.from_bytes(record[position : position + 2], "big")
    position += 2
    extensions = {}
    while position < end:
        number, size = struct.unpack_from(">HH", record, position)
        extensions[number] = record[position + 4 : position + 4 + size]
        position += 4 + size
    return random, extensions


@pytest.mark.parametrize(
    ("group", "share", "answer_bytes"),
    [
        # An encapsulation key of zeros is well-formed: its coefficients are below the modulus.
        (
            X25519MLKEM768,
            bytes(MLKEM768_KEY_BYTES) + secrets.token_bytes(X25519_KEY_BYTES),
            1088 + 32,
        ),
        (X25519, secrets.token_bytes(X25519_KEY_BYTES), 32),
    ],
    ids=["X25519MLKEM768", "X25519"],
)
def test_key_exchange_is_negotiated(server, group, share, answer_bytes):
    random, extensions = server_hello(server.address, client_hello(group, share))
    assert random != HELLO_RETRY_RANDOM
    assert extensions[0x002B] == struct.pack(">H", TLS_1_3)
    chosen, size = struct.unpack_from(">HH", extensions[0x0033])
    assert (chosen, size) == (group, answer_bytes)


def connect(server, **options) -> ssl.SSLSocket:
    context = ssl.create_default_context(cadata=server.ca.decode())
    context.set_alpn_protocols(["h2"])
    for name, value in options.items():
        setattr(context, name, value)
    host, port = server.address.rsplit(":", 1)
    plain = socket.create_connection((host, int(port)), TIMEOUT_S)
    try:
        return context.wrap_socket(plain, server_hostname="localhost")
    except BaseException:
        plain.close()
        raise


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions(server, version):
    with connect(server, minimum_version=version, maximum_version=version) as connection:
        assert connection.version() == version.name.replace("_", ".")
        assert connection.selected_alpn_protocol() == "h2"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_older_versions_are_refused(server):
    old = ssl.TLSVersion.TLSv1_1
    with pytest.raises(OSError):  # noqa: PT011 - SSLError or a reset
        connect(server, minimum_version=old, maximum_version=old)


def test_a_client_that_does_not_trust_the_ca_is_not_talked_into_it(server):
    host, port = server.address.rsplit(":", 1)
    stranger = ssl.create_default_context()
    with (
        socket.create_connection((host, int(port)), TIMEOUT_S) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        stranger.wrap_socket(plain, server_hostname="localhost")


def test_plaintext_on_the_tls_port_gets_nothing(server):
    host, port = server.address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), TIMEOUT_S) as plain:
        plain.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        try:
            answer = plain.recv(1000)
        except ConnectionResetError:
            answer = b""
    assert not answer.startswith(b"\0\0"), "no HTTP/2 frame"
