"""A token's PKCS #11 library, loaded once and for several threads.

python-pkcs11 initialises a library without the flag that lets it lock, so that only one thread at a time may
use it. The library is therefore ended and begun again with that flag, through its own function.
"""

from __future__ import annotations

import ctypes
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ketgate_server.errors import PartMissing
from ketgate_server.parts import require_part
from ketgate_server.signing.provider import OperationFailed

_OS_LOCKING_OK = 2
_OK = 0
_PUBLIC_STATES = (0, 2)
"""CKS_RO_PUBLIC_SESSION, CKS_RW_PUBLIC_SESSION."""


class TokenUnusable(OperationFailed):
    """A token that cannot be used; the message says what to do. Never with its PIN."""


@dataclass(frozen=True)
class Module:
    """A loaded library."""

    path: Path
    library: Any
    """pkcs11.lib"""
    threads: bool
    """Whether several threads may use it at once."""

    @property
    def version(self) -> str:
        """Of the library, as it says itself."""
        major, minor = self.library.library_version
        return f"{self.library.manufacturer_id} {major}.{minor}"

    def is_logged_in(self, session: Any) -> bool:
        """Whether private objects can be seen in a session; yes where that cannot be told."""
        found = _SessionInfo()
        try:
            function = ctypes.CDLL(str(self.path)).C_GetSessionInfo
        except AttributeError:
            return True
        function.restype = ctypes.c_ulong
        if function(ctypes.c_ulong(session.handle), ctypes.byref(found)) != _OK:
            return False
        return found.state not in _PUBLIC_STATES


class _SessionInfo(ctypes.Structure):
    """CK_SESSION_INFO."""

    _fields_ = (
        ("slot", ctypes.c_ulong),
        ("state", ctypes.c_ulong),
        ("flags", ctypes.c_ulong),
        ("device_error", ctypes.c_ulong),
    )


class _InitializeArguments(ctypes.Structure):
    """CK_C_INITIALIZE_ARGS."""

    _fields_ = (
        ("mutex_functions", ctypes.c_void_p * 4),
        ("flags", ctypes.c_ulong),
        ("reserved", ctypes.c_void_p),
    )


_loaded: dict[Path, Module] = {}
_lock = threading.Lock()


def load_module(path: Path) -> Module:
    """The library of a token. Raises TokenUnusable."""
    try:
        require_part("pkcs11")
    except PartMissing as error:
        raise TokenUnusable(f"a token is asked for, but {error}") from None
    with _lock:
        if path not in _loaded:
            _loaded[path] = _load(path)
        return _loaded[path]


def _load(path: Path) -> Module:
    import pkcs11
    from pkcs11 import _pkcs11

    if not path.is_file():
        raise TokenUnusable(
            f"signing.pkcs11.module: there is no library {path}; name the one that came with the token "
            "(SoftHSM's on Debian is /usr/lib/softhsm/libsofthsm2.so)"
        )
    try:
        library = _pkcs11.lib(str(path))
        library.finalize()
        threads = _initialize(path)
        if not threads:
            library.initialize()
    except (pkcs11.PKCS11Error, OSError) as error:
        raise TokenUnusable(
            f"signing.pkcs11.module: {path} is no PKCS #11 library that can be used: "
            f"{str(error) or type(error).__name__}"
        ) from None
    return Module(path, library, threads)


def _initialize(path: Path) -> bool:
    """Begin with locks of the system's. Whether the library does that."""
    try:
        initialize = ctypes.CDLL(str(path)).C_Initialize
    except AttributeError:  # it only gives a list of its functions
        return False
    initialize.restype = ctypes.c_ulong
    given = _InitializeArguments(flags=_OS_LOCKING_OK)
    return bool(initialize(ctypes.byref(given)) == _OK)
