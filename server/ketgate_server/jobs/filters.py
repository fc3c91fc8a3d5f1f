"""The filter language of lists: terms joined by AND.

    state = RUNNING              state != SUCCEEDED           state = (QUEUED, RUNNING)
    kind = "solve"               creator = "ci"               labels.desk = "fx"
    create_time >= "2026-11-22T08:00:00Z"                     end_time < "2026-11-23T00:00:00+01:00"

Values of kind, creator and labels need quotes unless they are words of letters, digits, _, - and .;
in quotes, \\" and \\\\ stand for " and \\.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ketgate_server.errors import FieldError
from ketgate_server.jobs import record

CHARACTERS_MAX = 2_000
TERMS_MAX = 20

STATES = {
    "QUEUED": record.QUEUED,
    "SUBMITTED": record.SUBMITTED,
    "RUNNING": record.RUNNING,
    "CANCELLING": record.CANCELLING,
    "SUCCEEDED": record.SUCCEEDED,
    "FAILED": record.FAILED,
    "CANCELLED": record.CANCELLED,
    "EXPIRED": record.EXPIRED,
}
_FIELDS = "state, kind, creator, labels.KEY, create_time or end_time"
_TOKEN = re.compile(
    r"""\s*(?:(?P<operator><=|>=|!=|=|<|>)|(?P<mark>[(),])|"(?P<text>(?:[^"\\]|\\.)*)"|(?P<word>[\w.:+-]+))""",
    re.ASCII,
)
_ESCAPE = re.compile(r"\\(.)")
_KEY = re.compile(r"[a-z][a-z0-9_.-]{0,62}")


@dataclass
class Filter:
    """What a filter asks for. Ranges of time hold their first and last microsecond."""

    states: frozenset[int] | None = None
    """None: any."""
    kind: str | None = None
    creator: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    created_us: tuple[int | None, int | None] = (None, None)
    ended_us: tuple[int | None, int | None] = (None, None)
    is_empty: bool = False
    """Two terms contradict each other: nothing can match."""


@dataclass(frozen=True, slots=True)
class _Token:
    sort: str
    text: str
    position: int


def parse(text: str) -> Filter:
    """Raises FIELD_INVALID, with the position, for what is no filter."""
    if len(text) > CHARACTERS_MAX:
        raise FieldError("filter", expected=f"at most {CHARACTERS_MAX} characters", given=len(text))
    if "\0" in text:  # which a database may not be asked for
        raise FieldError("filter", expected="text without NUL characters", given=text)
    return _Parser(text).filter()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split(text)
        self._next = 0
        self._filter = Filter()

    def filter(self) -> Filter:
        terms = 0
        while self._peek() is not None:
            if terms:
                token = self._take("AND")
                if token.sort != "word" or token.text != "AND":
                    raise self._error("AND between two terms", token)
            terms += 1
            if terms > TERMS_MAX:
                raise FieldError("filter", expected=f"at most {TERMS_MAX} terms", given=terms)
            self._term()
        return self._filter

    def _term(self) -> None:
        name = self._take(_FIELDS)
        if name.sort != "word":
            raise self._error(_FIELDS, name)
        if name.text == "state":
            self._state()
        elif name.text in ("kind", "creator"):
            self._equals(name.text)
        elif name.text.startswith("labels."):
            self._label(name)
        elif name.text in ("create_time", "end_time"):
            self._time(name.text)
        else:
            raise self._error(_FIELDS, name)

    def _state(self) -> None:
        operator = self._operator("= or !=", ("=", "!="))
        named = self._states()
        states = named if operator == "=" else frozenset(STATES.values()) - named
        before = self._filter.states
        self._filter.states = states if before is None else before & states
        self._filter.is_empty |= not self._filter.states

    def _states(self) -> frozenset[int]:
        token = self._take("a state, or a list of states in parentheses")
        if (token.sort, token.text) != ("mark", "("):
            return frozenset({self._state_of(token)})
        states = {self._state_of(self._take("a state"))}
        while True:
            token = self._take(", or )")
            if (token.sort, token.text) == ("mark", ")"):
                return frozenset(states)
            if (token.sort, token.text) != ("mark", ","):
                raise self._error(", or )", token)
            states.add(self._state_of(self._take("a state")))

    def _state_of(self, token: _Token) -> int:
        name = token.text.removeprefix("JOB_STATE_")
        if token.sort not in ("word", "text") or name not in STATES:
            raise self._error(f"one of {', '.join(STATES)}", token)
        return STATES[name]

    def _equals(self, name: str) -> None:
        self._operator("=", ("=",))
        value = self._value()
        before = getattr(self._filter, name)
        self._filter.is_empty |= before is not None and before != value
        setattr(self._filter, name, value)

    def _label(self, name: _Token) -> None:
        key = name.text.removeprefix("labels.")
        if not _KEY.fullmatch(key):
            raise self._error("labels. and a key of a-z, 0-9, _, - and .", name)
        self._operator("=", ("=",))
        value = self._value()
        self._filter.is_empty |= self._filter.labels.get(key, value) != value
        self._filter.labels[key] = value

    def _time(self, name: str) -> None:
        operator = self._operator("one of < <= > >=", ("<", "<=", ">", ">="))
        token = self._take("a time")
        time_us = self._time_of(token)
        attribute = "created_us" if name == "create_time" else "ended_us"
        first, last = getattr(self._filter, attribute)
        if operator in (">", ">="):
            bound = time_us + (operator == ">")
            first = bound if first is None else max(first, bound)
        else:
            bound = time_us - (operator == "<")
            last = bound if last is None else min(last, bound)
        self._filter.is_empty |= first is not None and last is not None and first > last
        setattr(self._filter, attribute, (first, last))

    def _time_of(self, token: _Token) -> int:
        expected = 'a time as "2026-11-22T08:00:00Z", with its offset'
        if token.sort not in ("word", "text"):
            raise self._error(expected, token)
        try:
            time = datetime.fromisoformat(token.text)
        except ValueError:
            raise self._error(expected, token) from None
        if time.tzinfo is None:
            raise self._error(expected, token)
        since = time - datetime(1970, 1, 1, tzinfo=UTC)
        return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds

    def _value(self) -> str:
        token = self._take("a value")
        if token.sort not in ("word", "text"):
            raise self._error("a value in quotes", token)
        return token.text

    def _operator(self, expected: str, allowed: tuple[str, ...]) -> str:
        token = self._take(expected)
        if token.sort != "operator" or token.text not in allowed:
            raise self._error(expected, token)
        return token.text

    def _peek(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _take(self, expected: str) -> _Token:
        token = self._peek()
        if token is None:
            raise self._error(expected, _Token("end", "the end", len(self._text.rstrip())))
        self._next += 1
        return token

    def _split(self, text: str) -> list[_Token]:
        tokens = []
        position = 0
        while position < len(text.rstrip()):
            match = _TOKEN.match(text, position)
            if match is None:
                start = position + len(text[position:]) - len(text[position:].lstrip())
                raise self._error("a term", _Token("?", text[start : start + 20], start))
            sort = match.lastgroup or ""
            value = match[sort]
            tokens.append(
                _Token(
                    sort, _ESCAPE.sub(r"\1", value) if sort == "text" else value, match.start(sort)
                )
            )
            position = match.end()
        return tokens

    def _error(self, expected: str, token: _Token) -> FieldError:
        return FieldError(
            "filter",
            expected=f"{expected} at character {token.position + 1}",
            given=token.text,
            hint='for example: state = RUNNING AND labels.desk = "fx"',
        )
