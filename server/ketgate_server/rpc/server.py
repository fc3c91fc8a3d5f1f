"""grpcio's server around the edge: its options, its port, its end."""

from collections.abc import Mapping

import grpc

from ketgate_server.rpc.edge import Edge
from ketgate_server.rpc.tls import ServerCertificate

FLUSH_S = 0.5
"""For the last statuses to leave; what is open after that is broken off."""

CALL_LIMITS = ("rpc.calls_max", "rpc.waits_max", "rpc.watches_max")
PING_INTERVAL_MS_MIN = 10_000
HANDSHAKE_TIMEOUT_MS = 20_000


class AddressError(Exception):
    """The address cannot be listened on."""


class GrpcServer:
    """Listens on one address."""

    def __init__(self, edge: Edge, limits: Mapping[str, int]) -> None:
        self._edge = edge
        self._server = grpc.server(edge.default_pool, handlers=(edge,), options=_options(limits))

    def listen(self, host: str, port: int, certificate: ServerCertificate | None) -> int:
        """Bind, and return the port. No certificate: plaintext. Raises AddressError."""
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if certificate is None:
                bound: int = self._server.add_insecure_port(address)
            else:
                credentials = grpc.ssl_server_credentials([(certificate.key, certificate.chain)])
                bound = self._server.add_secure_port(address, credentials)
        except (RuntimeError, ValueError) as error:
            raise AddressError(
                f"cannot listen on {address}: it is in use, or no address of this machine; "
                "choose another with --listen HOST:PORT (port 0 takes a free one)"
            ) from error
        return bound

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        """Close the port, let the last answers out, and break off what is left."""
        self._server.stop(FLUSH_S).wait(2 * FLUSH_S)
        self._edge.close()


def _options(limits: Mapping[str, int]) -> list[tuple[str, int]]:
    metadata_bytes = limits["rpc.metadata_bytes_max"]
    return [
        ("grpc.max_receive_message_length", limits["rpc.message_bytes_max"]),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", metadata_bytes),
        ("grpc.absolute_max_metadata_size", metadata_bytes),
        # One connection may hold more calls than the server takes: it is then told so, rather than
        # left to wait.
        ("grpc.max_concurrent_streams", 2 * sum(limits[name] for name in CALL_LIMITS)),
        # Linux would let a second server share the port in silence.
        ("grpc.so_reuseport", 0),
        # Clients may keep idle connections alive, though not more often than this.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", PING_INTERVAL_MS_MIN),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_TIMEOUT_MS),
    ]
