"""The table of signals: every fact about a request that a rule may test, its type, domain and meaning.

This is the one place that lists them; the policy language, the extractors, the command line, the JSON Schema and
`docs/signals.md` all read it. A signal has a value or is **absent** (`ABSENT`); absence is one more point of its
domain (SEMANTICS 1.1). Values in memory: bool, int, float (rounded to 1e-6), str, frozenset[str].
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any, Final

from hroute.errors import UsageError


class Absent(Enum):
    """The one value that stands for "this signal has no value"."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> bool:
        return False


ABSENT: Final = Absent.ABSENT

Value = bool | int | float | str | frozenset[str] | Absent
"""What a signal may hold in memory."""

MICRO: Final = 1_000_000
"""Fractions compare at 1e-6 (SEMANTICS 1.11): one step of the grid is 1 / MICRO."""


class Kind(Enum):
    """A signal's type."""

    BOOL = "bool"
    ENUM = "enum"
    STRING = "string"
    INTEGER = "integer"
    FRACTION = "fraction"
    SET = "set"
    TEXT = "text"


class Cost(IntEnum):
    """What it costs to know a signal; the walk through the rules asks cheap ones first."""

    FREE = 0  # given by the caller or the wire
    CHEAP = 1  # counting and looking
    SCAN = 2  # one pass of a pattern set over the last user turn
    DEAR = 3  # one pass over everything that would be sent, or a model


@dataclass(frozen=True, slots=True)
class Signal:
    """One row of the table.

    `default` stands in where nobody gave a value and nothing extracts one; `always` says that a request with a text
    always has a value; `values` is the closed domain of an enum, or the built-in names of an open set.
    """

    name: str
    kind: Kind
    doc: str
    cost: Cost = Cost.FREE
    values: tuple[str, ...] = ()
    default: Value = ABSENT
    always: bool = False
    taint: bool = False
    top: int | None = None  # greatest integer, both ends in
    extracted: bool = False  # read from the request where the caller gives none

    @property
    def numeric(self) -> bool:
        return self.kind in (Kind.INTEGER, Kind.FRACTION)

    @property
    def may_be_absent(self) -> bool:
        """Whether a request that can be sent (one with a text) may lack it."""
        return self.default is ABSENT and not self.always and self.kind is not Kind.SET


TASK_TYPES: Final = (
    "code", "classification", "extraction", "summarization", "translation", "generation", "analysis", "qa", "chat",
)  # fmt: skip
CODE_TASKS: Final = ("completion", "comment", "format", "syntax", "command", "edit", "debug", "refactor", "design")
LEVELS: Final = ("low", "medium", "high")
BUILT_IN_INTENTS: Final = ("complaint", "legal", "generation", "faq", "smalltalk")

PERSONAL_KINDS: Final = (
    "email", "phone", "payment_card", "iban", "national_id", "us_ssn", "passport", "driver_license", "bank_account",
    "medical_record", "date_of_birth", "address", "person", "location", "mac", "username",
)  # fmt: skip
IMPERSONAL_KINDS: Final = ("ip", "url", "date")
UNSPECIFIED: Final = "unspecified"
"""The kind that stands for a taint somebody raised without naming it, or a part that no detector can read."""
PII_KINDS: Final = (*PERSONAL_KINDS, UNSPECIFIED, *IMPERSONAL_KINDS)

_ROWS: Final = (
    # from the caller or the wire
    Signal("task_type", Kind.ENUM, "What kind of work the request asks for.", Cost.SCAN, TASK_TYPES, extracted=True),
    Signal("complexity", Kind.ENUM, "How hard the request is, cut from `score` and `confidence`.", Cost.SCAN, LEVELS, always=True, extracted=True),
    Signal("expected_tokens", Kind.INTEGER, "Prompt tokens plus the output to be expected.", Cost.CHEAP, always=True, extracted=True),
    Signal("batch_size", Kind.INTEGER, "How many requests of this kind come together.", default=1),
    Signal("cost_center", Kind.STRING, "Who pays: a project, a feature, a bot."),
    Signal("tenant", Kind.STRING, "The customer on whose behalf the request is made."),
    Signal("user", Kind.STRING, "The person (or account) who asks."),
    Signal("session", Kind.STRING, "The conversation; rollouts, holdouts and splits are sticky by it."),
    Signal("client", Kind.STRING, "The program that sends the request."),
    Signal("priority", Kind.ENUM, "How urgent the answer is.", values=("interactive", "normal", "batch", "production"), default="interactive"),
    Signal("requested_model", Kind.STRING, "The model name that the client asked for."),
    Signal("stream", Kind.BOOL, "Whether the client wants the answer as it is written.", default=False),
    Signal("tools", Kind.INTEGER, "How many tools the request offers to the model.", default=0),
    Signal("images", Kind.INTEGER, "How many images the request carries.", default=0),
    Signal("thinking", Kind.BOOL, "Whether the client asks for extended thinking.", default=False),
    Signal("response_format", Kind.ENUM, "The form of answer that the client demands.", values=("text", "json", "json_schema"), default="text"),
    Signal("arrival_hour", Kind.INTEGER, "Hour of arrival, 0 to 23, in the ledger's time zone.", top=23),
    Signal("held_rule", Kind.STRING, "The rule that `hold: session` keeps for this session."),
    # read from the request
    Signal("pii", Kind.SET, "Kinds of personal data found in anything that would be sent.", Cost.DEAR, PII_KINDS, always=True, taint=True, extracted=True),
    Signal("contains_pii", Kind.BOOL, "Whether any kind that counts as personal was found.", Cost.DEAR, default=False, always=True, taint=True, extracted=True),
    Signal("contains_secret", Kind.BOOL, "Whether a credential was found in anything that would be sent.", Cost.DEAR, default=False, always=True, taint=True, extracted=True),
    Signal("pii_in", Kind.SET, "Where the personal data stood.", Cost.DEAR, ("user", "tool", "context", "system"), always=True, extracted=True),
    Signal("intent", Kind.SET, "What the user wants: the policy's own intents and the built-in ones.", Cost.SCAN, BUILT_IN_INTENTS, always=True, extracted=True),
    Signal("score", Kind.FRACTION, "Estimated difficulty, 0 easy to 1 hard; worth about as much as the prompt's length.", Cost.SCAN, always=True, extracted=True),
    Signal("confidence", Kind.FRACTION, "How much evidence the score rests on, 0 none to 1.", Cost.SCAN, always=True, extracted=True),
    Signal("prompt_tokens", Kind.INTEGER, "Estimated tokens of everything that would be sent.", Cost.CHEAP, always=True, extracted=True),
    Signal("context_tokens", Kind.INTEGER, "Estimated tokens of retrieved documents and files.", Cost.CHEAP, default=0, extracted=True),
    Signal("message_tokens", Kind.INTEGER, "Estimated tokens of the last user turn.", Cost.CHEAP, always=True, extracted=True),
    Signal("turns", Kind.INTEGER, "How many times the user has spoken.", Cost.CHEAP, default=1, extracted=True),
    Signal("clarifying_turns", Kind.INTEGER, "How many of the last user turns in a row ask again about the same thing.", Cost.CHEAP, default=0, extracted=True),
    Signal("has_code", Kind.BOOL, "Whether the last user turn holds program code.", Cost.SCAN, always=True, extracted=True),
    Signal("code_task", Kind.ENUM, "What is to be done with code, the dearest where several are asked for.", Cost.SCAN, CODE_TASKS, extracted=True),
    Signal("files", Kind.INTEGER, "How many different files the request brings, names or has worked on.", Cost.CHEAP, default=0, extracted=True),
    Signal("language", Kind.STRING, "Language of the last user turn, as an ISO 639-1 code.", Cost.SCAN, extracted=True),
    Signal("purpose", Kind.ENUM, "What the client sends the request for.", values=("turn", "subagent", "title", "topic", "summary", "count"), default="turn", extracted=True),
    Signal("message", Kind.TEXT, "The last user turn itself; only text tests apply, and it is never recorded.", Cost.CHEAP, always=True, extracted=True),
)  # fmt: skip

SIGNALS: Final[dict[str, Signal]] = {row.name: row for row in _ROWS}
"""The table, by name, in the order in which documents list it."""

TEXT_TESTABLE: Final = ("message", "requested_model", "user", "tenant", "cost_center", "client")
"""Signals that take a mapping `{any_of, all_of, matches, unless}` (SEMANTICS 1.7)."""


def coerce(name: str, raw: Any) -> Value:
    """`raw` (a string from a flag, header or log, or a JSON value) as a value of signal `name`.

    `None`, and the words "null" and "absent" for other than strings, give ABSENT. Raises UsageError naming the signal
    where the value does not fit (SEMANTICS 1, DESIGN 3 "Values").
    """
    signal = SIGNALS.get(name)
    if signal is None:
        raise UsageError(f"`{name}` is not a signal", help=_did_you_mean(name))
    if raw is None or raw is ABSENT:
        return ABSENT
    if isinstance(raw, str) and signal.kind is not Kind.STRING and raw.strip().lower() in ("null", "absent"):
        return ABSENT
    try:
        return _COERCE[signal.kind](signal, raw)
    except (ValueError, TypeError, OverflowError):
        shown = raw if isinstance(raw, str) and len(raw) <= 60 else type(raw).__name__
        raise UsageError(f"`{shown}` is not a value of signal `{name}`: {domain_text(signal)}") from None


def domain_text(signal: Signal) -> str:
    """What a signal accepts, in words, for messages and documents."""
    match signal.kind:
        case Kind.BOOL:
            return "true or false"
        case Kind.ENUM:
            return "one of " + ", ".join(signal.values)
        case Kind.INTEGER:
            return f"a whole number, 0 to {signal.top}" if signal.top is not None else "a whole number, 0 or more"
        case Kind.FRACTION:
            return "a number from 0 to 1"
        case Kind.SET:
            return "a set of names, comma-separated"
        case _:
            return "a text"


def text(raw: str) -> str:
    """`raw` in NFC, the form in which names compare."""
    return raw if raw.isascii() else unicodedata.normalize("NFC", raw)


def _bool(_: Signal, raw: Any) -> Value:
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.strip().lower() in ("true", "false"):
        return raw.strip().lower() == "true"
    raise ValueError


def _enum(signal: Signal, raw: Any) -> Value:
    if isinstance(raw, str) and text(raw.strip()) in signal.values:
        return text(raw.strip())
    raise ValueError


def _string(_: Signal, raw: Any) -> Value:
    if isinstance(raw, str):
        return text(raw)
    if isinstance(raw, int) and not isinstance(raw, bool):
        return str(raw)
    raise ValueError


def _integer(signal: Signal, raw: Any) -> Value:
    if isinstance(raw, bool) or not isinstance(raw, (int, float, str)):
        raise ValueError
    if isinstance(raw, str):
        raw = raw.strip()
        if not raw.isascii() or not raw.isdigit() or len(raw) > 18:
            raise ValueError
    number = int(raw)
    if number != float(raw) or number < 0 or (signal.top is not None and number > signal.top):
        raise ValueError
    return number


def _fraction(_: Signal, raw: Any) -> Value:
    if isinstance(raw, bool) or not isinstance(raw, (int, float, str)):
        raise ValueError
    number = round(float(raw), 6)
    if not 0 <= number <= 1:
        raise ValueError
    return number


def _set(_: Signal, raw: Any) -> Value:
    names = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(names, (list, tuple, set, frozenset)) or not all(isinstance(n, str) for n in names):
        raise ValueError
    return frozenset(text(n.strip()) for n in names if n.strip())


_COERCE = {
    Kind.BOOL: _bool,
    Kind.ENUM: _enum,
    Kind.STRING: _string,
    Kind.INTEGER: _integer,
    Kind.FRACTION: _fraction,
    Kind.SET: _set,
    Kind.TEXT: _string,
}


def _did_you_mean(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, SIGNALS, 1)
    return f"did you mean `{near[0]}`?" if near else "hroute explain lists them; docs/signals.md explains each"
