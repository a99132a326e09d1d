"""What a policy says besides rules: intents, scoring, signals, and how it runs."""

from __future__ import annotations

from typing import Any, Final, Literal, cast

from hroute.schema import learned, providers, text_tests
from hroute.schema.codes import finding
from hroute.schema.draft import Draft
from hroute.schema.policy import Intent, PiiSettings, PresidioSettings, Scoring, SignalSettings
from hroute.schema.quantities import duration, show_duration
from hroute.schema.source import Path
from hroute.schema.wants import did_you_mean
from hroute.schema.zones import zone_name
from hroute.terms import secret
from hroute.terms.signal import PERSONAL_KINDS, PII_KINDS, UNSPECIFIED

_OPEN: Final = ("fail", "probe_best")


def names_of(draft: Draft, path: Path) -> tuple[str, ...]:
    """The keys of the mapping at `path`, without a finding where it is none."""
    value = draft.get(path)
    return tuple(value) if isinstance(value, dict) else ()


def read_intents(draft: Draft) -> dict[str, Intent]:
    """The policy's own intents by name, in order (SEMANTICS 4.5: the order ranks them).

    One without a test of its own is only ever named by the caller.
    """
    intents = {}
    for name in draft.mapping(("intents",)):
        path: Path = ("intents", name)
        given = draft.mapping(path)
        test = {key: value for key, value in given.items() if key not in ("examples", "description")}
        read = text_tests.read(draft.source, path, test, "message", draft.findings) if test else None
        intents[name] = Intent(name, read, _examples(draft, (*path, "examples")))
    return intents


def plain_intent(intent: Intent) -> dict[str, Any]:
    """The intent as it would stand in a policy, its examples written out."""
    written = text_tests.plain(intent.test) if intent.test is not None else {}
    return {**written, "examples": list(intent.examples)} if intent.examples else dict(written)


def read_scoring(draft: Draft) -> Scoring:
    """Weights and cuts of the heuristic score."""
    path: Path = ("scoring",)
    draft.mapping(path)
    default = Scoring()
    miss_cost = draft.typed((*path, "miss_cost"), float, 0.0) if draft.has((*path, "miss_cost")) else None
    if miss_cost is not None and miss_cost <= 0:
        draft.find(
            "HR012",
            "`miss_cost` is a number above 0",
            (*path, "miss_cost"),
            help="how many needless dear calls a wrong cheap answer costs",
        )
    low, high, confidence = (
        _fraction(draft, (*path, key), getattr(default, key)) for key in ("low", "high", "confidence")
    )
    if low > high:
        draft.find(
            "HR012",
            "`low` lies above `high`",
            (*path, "low"),
            help="up to `low` is low complexity, above `high` is high",
        )
    weights = {key: draft.typed((*path, "weights", key), float, 0.0) for key in draft.mapping((*path, "weights"))}
    return Scoring(miss_cost, low, high, confidence, weights, learned.read(draft, (*path, "scorer")))


def plain_scoring(scoring: Scoring) -> dict[str, Any]:
    """The scoring as it would stand in a policy."""
    written: dict[str, Any] = {} if scoring.miss_cost is None else {"miss_cost": scoring.miss_cost}
    written |= {"low": scoring.low, "high": scoring.high, "confidence": scoring.confidence}
    if scoring.weights:
        written["weights"] = dict(scoring.weights)
    return {**written, "scorer": learned.plain(scoring.scorer)} if scoring.scorer is not None else written


def read_signals(draft: Draft) -> SignalSettings:
    """What the policy says about its signals; custom kinds are already known to the vocabulary."""
    pii: Path = ("signals", "pii")
    trusted: Path = ("signals", "contains_pii")
    for path in (("signals",), pii, trusted):
        draft.mapping(path)
    custom = _custom(draft, (*pii, "custom"))
    known = (*PII_KINDS, *custom)
    kinds = _kinds(draft, (*pii, "kinds"), known) if draft.has((*pii, "kinds")) else frozenset(known)
    counts = (
        _kinds(draft, (*pii, "counts"), known)
        if draft.has((*pii, "counts"))
        else frozenset((*PERSONAL_KINDS, *custom)) & kinds
    )
    return SignalSettings(
        PiiSettings(
            kinds | {UNSPECIFIED},
            counts | {UNSPECIFIED},
            draft.texts((*pii, "allow")),
            custom,
            _presidio(draft, (*pii, "presidio")),
        ),
        trust_caller=draft.typed((*trusted, "trust_caller"), bool, False),
        unread_taints=draft.typed((*trusted, "unread"), bool, True),
    )


def plain_signals(signals: SignalSettings) -> dict[str, Any]:
    """The settings as they would stand in a policy."""
    pii: dict[str, Any] = {"kinds": sorted(signals.pii.kinds), "counts": sorted(signals.pii.counts)}
    if signals.pii.allow:
        pii["allow"] = list(signals.pii.allow)
    if signals.pii.custom:
        pii["custom"] = dict(signals.pii.custom)
    if (asked := signals.pii.presidio) is not None:
        pii["presidio"] = {
            "model": asked.model,
            "language": asked.language,
            "entities": list(asked.entities),
            "score": asked.score,
            "timeout": show_duration(asked.timeout),
        }
    return {"pii": pii, "contains_pii": {"trust_caller": signals.trust_caller, "unread": signals.unread_taints}}


def read_on_all_open(draft: Draft) -> str:
    """`fail`, `probe_best` or `wait <= DURATION`, the last in one spelling."""
    path: Path = ("on_all_open",)
    written = draft.typed(path, str, "fail").strip()
    if written in _OPEN:
        return written
    if written.startswith("wait"):
        try:
            return f"wait <= {show_duration(duration(written.removeprefix('wait').strip().removeprefix('<=')))}"
        except ValueError as error:
            draft.find("HR012", f"`on_all_open`: {error}", path, help="on_all_open: wait <= 5s")
            return "fail"
    draft.find(
        "HR012", f"`{written}` is not an allowed value of `on_all_open`", path, help="fail, probe_best or `wait <= 5s`"
    )
    return "fail"


def read_ledger(draft: Draft) -> dict[str, Any]:
    """`ledger:` as a mapping; a text alone is its path."""
    value = draft.get(("ledger",))
    if isinstance(value, str):
        return {"path": value}
    zone_name(draft, ("ledger", "timezone"))
    return draft.mapping(("ledger",))


def read_alerts(draft: Draft) -> dict[str, Any]:
    """`alerts:` as a mapping. The key that signs what a webhook gets is named, never given."""
    given = draft.mapping(("alerts",))
    key = draft.get(("alerts", "signing_key"))
    if isinstance(key, str) and not secret.is_reference(key):
        providers.find_secret(draft, ("alerts", "signing_key"))
    zone_name(draft, ("alerts", "quiet_hours", "timezone"))
    return given


def read_log_text(draft: Draft) -> Literal["none", "redacted", "full"]:
    value = draft.get(("log_text",))
    if isinstance(value, bool):
        return "full" if value else "none"
    return cast(Literal["none", "redacted", "full"], draft.choice(("log_text",), ("none", "redacted", "full"), "none"))


def _examples(draft: Draft, path: Path) -> tuple[str, ...]:
    value = draft.get(path)
    if not isinstance(value, str):
        return draft.texts(path)
    text = draft.file(path, value)
    lines = (line.strip() for line in (text or "").splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def _fraction(draft: Draft, path: Path, default: float) -> float:
    value = draft.typed(path, float, default)
    if not 0 <= value <= 1:
        draft.find("HR012", f"`{path[-1]}` is a number from 0 to 1", path)
    return value


def _kinds(draft: Draft, path: Path, known: tuple[str, ...]) -> frozenset[str]:
    kinds = draft.texts(path)
    for at, kind in enumerate(kinds):
        if kind not in known:
            place = (*path, at) if isinstance(draft.get(path), list) else path
            draft.find(
                "HR012",
                f"`{kind}` is not a kind of personal data",
                place,
                help=did_you_mean(kind, known, "one of " + ", ".join(known)),
            )
    return frozenset(kinds)


def _presidio(draft: Draft, path: Path) -> PresidioSettings | None:
    """`true`, or a mapping that says more; null and `false` mean none."""
    value = draft.get(path)
    default = PresidioSettings()
    if value is None or value is False:
        return None
    if value is True:
        return default
    draft.mapping(path)
    entities = draft.texts((*path, "entities")) if draft.has((*path, "entities")) else default.entities
    return PresidioSettings(
        draft.typed((*path, "model"), str, default.model),
        draft.typed((*path, "language"), str, default.language),
        tuple(entity.upper() for entity in entities),
        _fraction(draft, (*path, "score"), default.score),
        draft.measure((*path, "timeout"), duration, default.timeout),
    )


def _custom(draft: Draft, path: Path) -> dict[str, str]:
    custom = {}
    for kind in draft.mapping(path):
        place = (*path, kind)
        if kind in PII_KINDS:
            draft.findings.append(
                finding(
                    "HR022", f"`{kind}` is a built-in kind", draft.source.key_span(place), help="choose another name"
                )
            )
        pattern = draft.typed(place, str, "")
        wrong = text_tests.pattern_finding(draft.source, place, pattern)
        if wrong is not None:
            draft.findings.append(wrong)
        custom[kind] = pattern
    return custom
