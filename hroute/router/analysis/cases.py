"""`*.test.yaml`: what a policy's author expects of it, as cases that run offline.

A case gives a prompt (which runs the extractors) or signals (which skips them: exact and fast), perhaps with providers
that are `down`, and says what must come out: the rule, the route, the fallbacks, or who would be asked (`tries`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hroute.errors import PolicyError, UsageError
from hroute.providers.protocol import Capabilities, Target
from hroute.router.analysis.witness import as_json
from hroute.router.decide import Compiled, decide_lazy
from hroute.router.decision import Decision
from hroute.router.egress import Guard
from hroute.router.plan import Down, Needs, Surroundings, plan
from hroute.router.signals.extract import Extraction
from hroute.schema.condition import Ask
from hroute.schema.diagnostic import Diagnostic, Span
from hroute.schema.policy import Provider
from hroute.schema.source import Source
from hroute.terms.locality import Locality
from hroute.terms.message import Request, prompt
from hroute.terms.signal import SIGNALS, Value, coerce

NOT_SIGNALS: Final = ("prompt", "system", "down", "request_id")
"""Keys of `given` that are no signals; `files` is one where it is a number, and documents sent along where it is a mapping."""


@dataclass(frozen=True, slots=True)
class Case:
    """One expectation. `number` counts the variations of `each:` from 1; 0 for a case without."""

    name: str
    given: Mapping[str, Any]
    expect: Mapping[str, Any]
    span: Span
    number: int = 0

    @property
    def title(self) -> str:
        return f"{self.name} [{self.number}]" if self.number else self.name


@dataclass(frozen=True, slots=True)
class Miss:
    """One thing that came out otherwise: the key of `expect`, both values as JSON data."""

    key: str
    expected: Any
    got: Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a case led to. `ask` gives any feature of its request, for coverage and for saying why."""

    case: Case
    decision: Decision
    tries: tuple[str, ...]
    misses: tuple[Miss, ...]
    ask: Ask = field(compare=False)

    @property
    def ok(self) -> bool:
        return not self.misses


def read_cases(source: Source, findings: list[Diagnostic]) -> list[Case]:
    """The cases of a test file, `each:` unfolded. Raises PolicyError with the findings where it has errors."""
    if findings:
        raise PolicyError(f"{source.name}: {findings[0].message}", findings)
    cases: list[Case] = []
    for number, data in enumerate(source.data["cases"]):
        cases += _unfold(source, number, data)
    return cases


def run_case(compiled: Compiled, case: Case) -> Outcome:
    """Decide and plan one case, offline. Raises UsageError naming the case where what is given does not fit."""
    try:
        request, given = _request(case.given), _signals(case.given)
    except UsageError as error:
        raise UsageError(f"{case.span}: case `{case.title}`: {error.message}", help=error.help) from None
    extraction = Extraction(compiled.policy, request, given)
    decision = decide_lazy(compiled, extraction.ask, extraction.known, request_id=str(case.given.get("request_id", "")))
    tries = tried(compiled, decision, extraction.ask, case.given.get("down", ()))
    misses = tuple(_misses(case.expect, decision, tries, extraction.ask))
    return Outcome(case, decision, tries, misses, extraction.ask)


def tried(compiled: Compiled, decision: Decision, ask: Ask, down: Any) -> tuple[str, ...]:
    """Who would be asked, in order: the chain without what is down and what a guarantee forbids; keys do not matter."""
    names = frozenset([down] if isinstance(down, str) else down)
    around = Surroundings(_without_key, _able, _as_claimed, (Down(names),))
    return plan(decision, decision.chain, Guard(compiled.policy, ask), Needs(), around).route


def _unfold(source: Source, number: int, data: Mapping[str, Any]) -> Iterator[Case]:
    name, given, expect = str(data["name"]), data.get("given") or {}, data.get("expect") or {}
    if "each" not in data:
        yield Case(name, given, expect, source.span(("cases", number)))
        return
    for position, variation in enumerate(data["each"]):
        yield Case(
            name,
            {**given, **(variation.get("given") or {})},
            {**expect, **(variation.get("expect") or {})},
            source.span(("cases", number, "each", position)),
            position + 1,
        )


def _request(given: Mapping[str, Any]) -> Request | None:
    if "prompt" not in given:
        return None
    sent = given.get("files")
    files = tuple((str(name), str(text)) for name, text in sent.items()) if isinstance(sent, Mapping) else ()
    return prompt(str(given["prompt"]), system=str(given.get("system", "")), files=files)


def _signals(given: Mapping[str, Any]) -> dict[str, Value]:
    return {
        name: coerce(name, value)
        for name, value in given.items()
        if name not in NOT_SIGNALS and not (name == "files" and isinstance(value, Mapping))
    }


def _misses(expect: Mapping[str, Any], decision: Decision, tries: tuple[str, ...], ask: Ask) -> Iterator[Miss]:
    for key, wanted in expect.items():
        got = _came_out(key, decision, tries, ask)
        if key in SIGNALS and wanted is not None:
            wanted = as_json(coerce(key, wanted))
        elif key in ("fallback", "tries", "chain"):
            wanted = [] if wanted is None else [wanted] if isinstance(wanted, str) else list(wanted)
        if wanted != got:
            yield Miss(key, wanted, got)


def _came_out(key: str, decision: Decision, tries: tuple[str, ...], ask: Ask) -> Any:
    match key:
        case "rule":
            return decision.rule.name
        case "route_to":
            return decision.route_to
        case "fallback":
            return list(decision.fallback)
        case "chain":
            return list(decision.chain)
        case "tries":
            return list(tries)
        case "refused":
            return decision.refused
        case _:
            return as_json(ask(key))


def _without_key(provider: Provider) -> Target:
    return Target(provider.name, provider.model, provider.base_url, local=provider.local)


def _able(_: Provider) -> Capabilities:
    return Capabilities()


def _as_claimed(provider: Provider, _: Target) -> Locality:
    if provider.local == "network":
        return "network"
    return "machine" if provider.local else "cloud"
