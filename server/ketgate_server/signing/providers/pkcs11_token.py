"""A token that the server is logged in to: sessions for several threads, and a new login when it was lost.

A wrong PIN is tried once in the life of a process, and never when the token says that only one try is left:
what locks a token is a server that starts again and again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ketgate_server.signing.kek.errors import KeyStoreSealed
from ketgate_server.signing.kek.secret_files import read_text
from ketgate_server.signing.providers.pkcs11_module import Module, TokenUnusable, load_module
from ketgate_server.signing.settings import Pkcs11Settings

SESSIONS_MAX = 16
"""At once; one more waits. Tokens have few, and hardware works on few things at a time."""

LOGIN_INTERVAL_S = 1.0
"""Between attempts to log in to a token that was lost."""

_GONE = -1
"""Of no login."""

T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(eq=False)
class TokenSession:
    """A session of one thread at a time."""

    session: Any
    module: Module
    login: int
    """Number of the login that it belongs to."""
    keys: dict[bytes, Any] = field(default_factory=dict)
    """Keys that were looked up in it, by their identifier."""

    def check_login(self) -> None:
        """For operations that do not find what they look for: without a login, a token hides it. Raises
        pkcs11.UserNotLoggedIn."""
        if not self.module.is_logged_in(self.session):
            import pkcs11

            raise pkcs11.UserNotLoggedIn


class Token:
    """One token, logged in. Threads share it."""

    def __init__(self, module: Module, label: str, read_pin: Callable[[], str]) -> None:
        """Raises TokenUnusable."""
        self.module = module
        self.label = label
        self._read_pin = read_pin
        self._free = threading.Condition()
        self._idle: list[TokenSession] = []
        self._open = 0
        self._login = 0
        self._next_login_s = 0.0
        self._refused = ""
        """Why the PIN is not tried again."""
        self._lost = _lost_errors()
        self._token, self._main = self._log_in()

    @property
    def mechanisms(self) -> set[Any]:
        """What the token can do."""
        return set(self._token.slot.get_mechanisms())

    def run(self, operation: Callable[[TokenSession], T], *, write: bool = False) -> T:
        """Do something in a session; once more after a new login if the token was lost meanwhile, so it
        must do no harm twice. write: with a session that may make objects.

        Raises TokenUnusable, and what the operation raises of pkcs11.PKCS11Error.
        """
        login = self._login
        try:
            return self._run(operation, write)
        except self._lost as error:
            _log.warning("the token %r was lost (%s)", self.label, type(error).__name__)
        self._log_in_again(login)
        try:
            return self._run(operation, write)
        except self._lost as error:
            raise TokenUnusable(
                f"the token {self.label!r} was lost again ({type(error).__name__})"
            ) from None

    def _run(self, operation: Callable[[TokenSession], T], write: bool) -> T:
        if write:
            session = self._token.open(rw=True)
            try:
                return operation(TokenSession(session, self.module, self._login))
            finally:
                session.close()
        leased = self._take()
        try:
            return operation(leased)
        except self._lost:
            leased.login = _GONE
            raise
        finally:
            with self._free:
                if leased.login == self._login:
                    self._idle.append(leased)
                else:
                    self._open -= 1
                self._free.notify()

    def _take(self) -> TokenSession:
        sessions_max = SESSIONS_MAX if self.module.threads else 1
        with self._free:
            while not self._idle and self._open >= sessions_max:
                self._free.wait()
            if self._idle:
                return self._idle.pop()
            self._open += 1
            login = self._login
        try:
            return TokenSession(self._token.open(), self.module, login)
        except BaseException:
            with self._free:
                self._open -= 1
                self._free.notify()
            raise

    def _log_in_again(self, lost: int) -> None:
        """After the login of that number was lost; one thread does it, the others wait for it."""
        with self._free:
            if self._login != lost:
                return
            now_s = time.monotonic()
            if now_s < self._next_login_s:
                raise TokenUnusable(f"the token {self.label!r} is lost; it is tried again soon")
            self._next_login_s = now_s + LOGIN_INTERVAL_S
            self._open -= len(self._idle)
            self._idle.clear()
            self._token, self._main = self._log_in()
            self._login += 1

    def _log_in(self) -> tuple[Any, Any]:
        """(token, session that holds the login). Raises TokenUnusable."""
        import pkcs11

        if self._refused:
            raise TokenUnusable(self._refused)
        token = self._find()
        self._check_tries(token)
        try:
            try:
                return token, token.open(user_pin=self._read_pin())
            except pkcs11.UserAlreadyLoggedIn:  # a part of the login outlived what was lost
                return token, token.open()
        except (
            pkcs11.PinIncorrect,
            pkcs11.PinLenRange,
            pkcs11.PinInvalid,
            pkcs11.PinExpired,
        ) as error:
            self._refused = (
                f"the token {self.label!r} refuses the PIN ({type(error).__name__}); it is not tried again, "
                "as tokens lock after a few wrong ones: correct signing.pkcs11.pin_file, then start again"
            )
            raise TokenUnusable(self._refused) from None
        except pkcs11.PinLocked:
            raise TokenUnusable(_locked(self.label)) from None
        except pkcs11.PKCS11Error as error:
            raise TokenUnusable(
                f"the token {self.label!r} does not let the server log in ({_name(error)})"
            ) from None

    def _find(self) -> Any:
        import pkcs11

        try:
            labels = []
            found = []
            for slot in self.module.library.get_slots(token_present=True):
                try:
                    token = slot.get_token()
                except pkcs11.PKCS11Error:
                    continue
                if token.flags & pkcs11.TokenFlag.TOKEN_INITIALIZED:
                    labels.append(token.label)
                    found += [token] if token.label == self.label else []
        except pkcs11.PKCS11Error as error:
            raise TokenUnusable(f"{self.module.path} tells of no tokens ({_name(error)})") from None
        if len(found) == 1:
            return found[0]
        there = ", ".join(repr(label) for label in labels[:10]) or "none"
        many = "several tokens" if found else "no token"
        raise TokenUnusable(
            f"signing.pkcs11.token_label: expected the label of one token, given {self.label!r}, which "
            f"{many} of {self.module.path} has; there are: {there}"
        )

    def _check_tries(self, token: Any) -> None:
        import pkcs11

        if token.flags & pkcs11.TokenFlag.USER_PIN_LOCKED:
            raise TokenUnusable(_locked(self.label))
        if token.flags & pkcs11.TokenFlag.USER_PIN_FINAL_TRY:
            raise TokenUnusable(
                f"the token {self.label!r} has one try left before it locks, and it is not spent here: log in "
                "with the token's own program and the right PIN first, then start again"
            )


def _lost_errors() -> tuple[type[Exception], ...]:
    """What operations raise when the token, or the login to it, is gone."""
    import pkcs11

    return (
        pkcs11.SessionHandleInvalid,
        pkcs11.SessionClosed,
        pkcs11.DeviceRemoved,
        pkcs11.DeviceError,
        pkcs11.TokenNotPresent,
        pkcs11.UserNotLoggedIn,
        pkcs11.ObjectHandleInvalid,
        pkcs11.KeyHandleInvalid,
    )


_tokens: dict[tuple[Path, str], Token] = {}
_tokens_lock = threading.Lock()


def open_token(settings: Pkcs11Settings) -> Token:
    """The token of the settings; the same for all of a process, as its login is. Raises TokenUnusable."""
    if settings.module is None:
        raise TokenUnusable(
            "a token is asked for: set signing.pkcs11.module, token_label and pin_file"
        )
    place = (settings.module, settings.token_label)
    with _tokens_lock:
        if place not in _tokens:
            module = load_module(settings.module)
            _tokens[place] = Token(module, settings.token_label, lambda: _pin(settings))
        return _tokens[place]


def _pin(settings: Pkcs11Settings) -> str:
    """Read anew for each login, so that it lies in memory for no longer than that."""
    if settings.pin is not None:
        return settings.pin.get_secret_value()
    assert settings.pin_file is not None  # the settings say so
    try:
        return read_text(settings.pin_file, "the PIN's file", "signing.pkcs11.pin_file")
    except KeyStoreSealed as error:
        raise TokenUnusable(str(error)) from None


def _locked(label: str) -> str:
    return (
        f"the token {label!r} is locked after too many wrong PINs: unlock it with the token's own program "
        "and the security officer's PIN"
    )


def _name(error: Exception) -> str:
    return str(error) or type(error).__name__
