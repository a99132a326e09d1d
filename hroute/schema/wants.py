"""One scalar or list of a condition, read by its signal's type: what the test wants (SEMANTICS 1.4-1.6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from hroute.schema.condition import Missing, OneOf, Range, Want
from hroute.terms import signal as terms
from hroute.terms.signal import MICRO, Kind, Signal, Value

GREATEST = 10**15
"""The greatest whole number that a condition may name."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a value of a condition means; `glob` is set instead of `want` where a string signal is tested by a glob."""

    want: Want
    negated: bool = False
    glob: str | None = None


class Unfit(Exception):
    """The value does not fit the signal: `code` is HR010 (wrong type) or HR012 (wrong value)."""

    def __init__(self, code: str, message: str, help: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.help = code, message, help


def read(signal: Signal, domain: Sequence[str], value: Any) -> Reading:
    """`value` as a test on `signal`; `domain` are the names that an enum or a set may hold. Raises Unfit."""
    if value is None:
        return Reading(Missing())
    if isinstance(value, list):
        return Reading(OneOf(tuple(dict.fromkeys(_plain(signal, domain, item) for item in value))))
    if isinstance(value, dict):
        raise Unfit("HR010", f"`{signal.name}` takes {terms.domain_text(signal)}, not a mapping", _mapping_help(signal))
    match signal.kind:
        case Kind.BOOL:
            return Reading(OneOf((_bool(signal, value),)))
        case Kind.INTEGER | Kind.FRACTION:
            return _number_test(signal, value) if isinstance(value, str) else Reading(OneOf((_number(signal, value),)))
        case Kind.TEXT:
            return _message_test(signal, value)
        case _:
            return _name_test(signal, domain, value)


def from_grid(signal: Signal, number: int) -> int | float:
    """A number on the signal's grid as the value that it stands for."""
    return number / MICRO if signal.kind is Kind.FRACTION else number


def near(word: str, words: Sequence[str]) -> str | None:
    """The one of `words` that was probably meant."""
    from difflib import get_close_matches

    lower = {w.lower(): w for w in reversed(words)}
    found = get_close_matches(word.lower(), lower, 1, 0.6)
    return lower[found[0]] if found else None


def did_you_mean(word: str, words: Sequence[str], otherwise: str = "") -> str:
    """The help line for an unknown name."""
    meant = near(word, words)
    return f"did you mean `{meant}`?" if meant else otherwise


def _plain(signal: Signal, domain: Sequence[str], item: Any) -> Value:
    if item is None or isinstance(item, (list, dict)):
        raise Unfit("HR010", f"a list of `{signal.name}` holds plain values only", "use `any: [...]` to join tests")
    match signal.kind:
        case Kind.BOOL:
            return _bool(signal, item)
        case Kind.INTEGER | Kind.FRACTION:
            if isinstance(item, str) and _comparison(item.strip()):
                raise Unfit("HR012", f"a list holds plain values, and `{item}` is a comparison", "use `any: [...]`")
            return from_grid(signal, _exact(signal, item)) if isinstance(item, str) else _number(signal, item)
        case Kind.TEXT:
            raise Unfit("HR010", f"`{signal.name}` takes a text test, not a list", _mapping_help(signal))
        case _:
            reading = _name_test(signal, domain, item)
            if reading.negated or reading.glob is not None or (isinstance(item, str) and "*" in item):
                raise Unfit("HR012", f"a list holds plain values, and `{item}` is a test", "use `any: [...]` or `not`")
            assert isinstance(reading.want, OneOf)
            return reading.want.values[0]


def _bool(signal: Signal, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    help = "write true or false, without quotes"
    raise Unfit("HR010", f"`{signal.name}` takes true or false, not {_type_of(value)}", help)


def _number(signal: Signal, value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Unfit("HR010", f"`{signal.name}` takes {terms.domain_text(signal)}, not {_type_of(value)}")
    return from_grid(signal, _exact(signal, str(value)))


def _number_test(signal: Signal, value: str) -> Reading:
    written = value.strip()
    for sign in (">=", "<=", "!=", ">", "<"):
        if written.startswith(sign):
            number = _exact(signal, written[len(sign) :].strip())
            match sign:
                case ">=":
                    return Reading(Range(number, None))
                case "<=":
                    return Reading(Range(None, number))
                case ">":
                    return Reading(Range(number + 1, None))
                case "<":
                    return Reading(Range(None, number - 1))
            return Reading(OneOf((from_grid(signal, number),)), negated=True)
    if ".." in written:
        low, _, high = written.partition("..")
        ends = _exact(signal, low.strip()), _exact(signal, high.strip())
        if ends[0] > ends[1]:
            raise Unfit(
                "HR012",
                f"`{written}` is an empty range",
                f'the smaller end comes first: "{high.strip()}..{low.strip()}"',
            )
        return Reading(Range(*ends))
    return Reading(OneOf((from_grid(signal, _exact(signal, written)),)))


def _exact(signal: Signal, written: str) -> int:
    """A decimal number on the signal's grid. Raises Unfit."""
    wants = f"`{signal.name}` takes {terms.domain_text(signal)}"
    digits = written.removeprefix("-").replace(".", "", 1)
    scientific = "e" in digits.lower() and not digits.lower().startswith("e")
    if not digits.isascii() or not (digits.isdigit() or scientific) or len(digits) > 40:
        raise Unfit(
            "HR012", f"`{written}` is not a number: {wants}", 'comparisons read ">100", "<=0.5", "100..500", "!=3"'
        )
    try:
        number = Decimal(written)
    except ArithmeticError:
        raise Unfit("HR012", f"`{written}` is not a number: {wants}") from None
    if not -GREATEST < number < GREATEST:
        raise Unfit("HR012", f"`{written}` is too large for `{signal.name}`")
    if signal.kind is Kind.FRACTION:
        if not 0 <= number <= 1:
            help = f"{written} % is {number / 100}" if 1 < number <= 100 else ""
            raise Unfit("HR012", f"`{written}` lies outside 0 to 1: {wants}", help)
        return int((number * MICRO).to_integral_value(ROUND_HALF_EVEN))
    if number != number.to_integral_value() or number < 0 or (signal.top is not None and number > signal.top):
        raise Unfit("HR012", f"`{written}` does not fit: {wants}")
    return int(number)


def _name_test(signal: Signal, domain: Sequence[str], value: Any) -> Reading:
    if not isinstance(value, str):
        quoted = str(value).lower() if isinstance(value, bool) else str(value)
        raise Unfit("HR010", f"`{signal.name}` takes a text, not {_type_of(value)}", f'quote it: "{quoted}"')
    negated = value.startswith("!=")
    name = terms.text(value[2:].strip() if negated else value)
    if name.startswith(("<", ">", "=")) or ".." in name:
        raise Unfit(
            "HR012",
            f"`{value}` compares numbers, and `{signal.name}` is a text",
            "write the text itself, a list, or a glob",
        )
    if negated and not name:
        raise Unfit("HR012", "`!=` without a value", "for a value that is there: `not: {" + signal.name + ": null}`")
    if signal.kind is Kind.STRING:
        if "*" in name:
            return Reading(OneOf((True,)), negated, glob=name)
        return Reading(OneOf((name,)), negated)
    if "*" in name:
        from hroute.terms.pattern import TextMatcher

        glob = TextMatcher(glob=name)
        names = tuple(known for known in domain if glob.holds(known))
        if not names:
            raise Unfit("HR012", f"`{name}` fits no value of `{signal.name}`", "one of " + ", ".join(domain))
        return Reading(OneOf(names), negated)
    if name not in domain:
        help = did_you_mean(name, domain, "one of " + ", ".join(domain))
        raise Unfit("HR012", f"`{name}` is not an allowed value of `{signal.name}`", help)
    return Reading(OneOf((name,)), negated)


def _message_test(signal: Signal, value: Any) -> Reading:
    if isinstance(value, str) and "*" in value:
        negated = value.startswith("!=")
        return Reading(OneOf((True,)), negated, glob=terms.text(value[2:].strip() if negated else value))
    raise Unfit("HR010", f"`{signal.name}` takes a text test, not {_type_of(value)}", _mapping_help(signal))


def _comparison(text: str) -> bool:
    return text.startswith((">", "<", "!=")) or ".." in text


def _mapping_help(signal: Signal) -> str:
    if signal.name in terms.TEXT_TESTABLE:
        return "for example {any_of: [\"opening hours\"]}, {matches: ['\\bopen\\b']}"
    return "text tests apply to " + ", ".join(terms.TEXT_TESTABLE)


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return "a number"
    return {str: "a text", list: "a list", dict: "a mapping", type(None): "null"}.get(type(value), "that")
