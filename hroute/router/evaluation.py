"""How well the signals do on labelled texts: each question a table of texts, made by `hroute eval` and `make eval` alike."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from hroute.router.decide import compile, decide_lazy
from hroute.router.outcomes import COMPARED, Outcome, labelled
from hroute.router.signals.extract import Extraction
from hroute.router.tune import Interval, Labelled, apgr, calls_for, difference, interval
from hroute.schema.policy import Policy
from hroute.terms.message import prompt

LEAST_GAP = 0.03
"""A suite whose dear model gains less has no gap that a score could recover."""
_SHOWN = 20

Table = list[list[str]]
Span = tuple[int, int, str]
"""From, to (exclusive, in code points), and what was labelled."""


@dataclass(frozen=True, slots=True)
class Document:
    """A text with every place labelled that holds personal data or a credential; `source` groups them."""

    text: str
    spans: tuple[Span, ...]
    source: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """A text with what its author wanted: an intent, or a kind of work."""

    text: str
    label: str


def share(part: int, whole: int) -> str:
    return f"{part / whole:.3f}" if whole else "-"


def found_in(policy: Policy, text: str) -> list[Span]:
    """Every place that the policy's detectors find."""
    read = Extraction(policy, prompt(text), {})
    return [(f.start, f.end, f.kind) for f in (*read.findings, *read.secret_findings)]


def flagged(policy: Policy, documents: Iterable[Document], counted: Collection[str] | None = None) -> Table:
    """By source: how many documents with a label (of `counted`, if given) are flagged at all, and how many without any."""
    with_label, without = defaultdict[str, list[int]](lambda: [0, 0]), defaultdict[str, list[int]](lambda: [0, 0])
    for document in documents:
        if not document.spans:
            counts = without[document.source]
        elif counted is None or any(kind in counted for _, _, kind in document.spans):
            counts = with_label[document.source]
        else:
            continue
        counts[0] += bool(found_in(policy, document.text))
        counts[1] += 1
    table = [["source", "documents", "flagged", "without a label", "flagged for nothing"]]
    for source in sorted({*with_label, *without}):
        (found, of), (wrong, clean) = with_label[source], without[source]
        table.append([source or "-", str(of), share(found, of), str(clean), share(wrong, clean)])
    return table


def kinds(policy: Policy, documents: Iterable[Document], counted: Collection[str] | None = None) -> Table:
    """Recall by label, and precision by what it is reported as: places that overlap any label."""
    found, labelled, right, reported = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for document in documents:
        places = found_in(policy, document.text)
        for start, end, kind in document.spans:
            if counted is None or kind in counted:
                labelled[kind] += 1
                found[kind] += any(a < end and start < b for a, b, _ in places)
        for a, b, kind in places:
            reported[kind] += 1
            right[kind] += any(a < end and start < b for start, end, _ in document.spans)
    table = [["labelled as", "places", "recall"]]
    table += [[kind, str(of), share(found[kind], of)] for kind, of in sorted(labelled.items())]
    table += [["**reported as**", "**places**", "**precision**"]]
    return table + [[k, str(of), share(right[k], of)] for k, of in sorted(reported.items()) if of >= _SHOWN]


def alarms(texts: Mapping[str, Sequence[str]], hits: Mapping[str, Callable[[str], Iterable[str]]]) -> Table:
    """Texts that hold nothing, by what they are, and how many each of `hits` says something of."""
    table = [["texts", "how many", "kind", "flagged", "of 1,000"]]
    for what, some in texts.items():
        for name, hit in hits.items():
            counts = Counter(kind for text in some for kind in {name.replace("*", kind) for kind in hit(text)})
            for kind, count in counts.most_common() or [(name, 0)] * ("*" not in name):
                table.append([what, str(len(some)), kind, str(count), f"{count * 1000 / len(some):.1f}"])
    return table


def intents(policy: Policy, rows: Sequence[Said]) -> Table:
    """By label: how many rows hold the intent of that name, and how many stay on this machine."""
    compiled, seen = compile(policy), defaultdict[str, Counter[str]](Counter)
    for number, row in enumerate(rows):
        extraction = Extraction(policy, prompt(row.text), {})
        decision = decide_lazy(compiled, extraction.ask, extraction.known, request_id=str(number))
        provider = policy.providers.get(decision.route_to or "")
        held = extraction.ask("intent")
        seen[row.label]["held"] += isinstance(held, frozenset) and row.label in held
        seen[row.label]["local"] += provider is not None and provider.local is True
        seen[row.label]["all"] += 1
    table = [["labelled as", "rows", "intent of that name", "kept local", "share"]]
    return table + [
        [label, str(c["all"]), share(c["held"], c["all"]), str(c["local"]), share(c["local"], c["all"])]
        for label, c in sorted(seen.items())
    ]


def task_types(policy: Policy, rows: Sequence[Said], names: Collection[str]) -> Table:
    """Precision, recall and F1 of each kind of work in `names`."""
    said = [Extraction(policy, prompt(row.text), {}).ask("task_type") for row in rows]
    table = [["task type", "rows", "precision", "recall", "F1"]]
    for name in sorted(names):
        right = sum(value == name == row.label for value, row in zip(said, rows, strict=True))
        claimed, meant = sum(value == name for value in said), sum(row.label == name for row in rows)
        f1 = share(2 * right, claimed + meant)
        table.append([name, str(meant), share(right, claimed), share(right, meant), f1])
    return table


def score(policy: Policy, outcomes: Iterable[Outcome]) -> Table:
    """APGR of the score beside the prompt's length and chance: by suite, as the mean of the suites, and of all rows
    together, where requests of every kind compete; `ahead` is score less length on the same rows."""
    suites = defaultdict[str, list[Labelled]](list)
    rows = list(outcomes)
    for outcome, judged in zip(rows, labelled(policy, rows), strict=True):
        suites[outcome.source].append(judged)
    table = [["suite", "rows", "gap", *(f"APGR {name}" for name in COMPARED), "ahead of length", "dear calls for 80 %", "by length"]]  # fmt: skip
    compared = []
    for name, some in sorted(suites.items()):
        gap = sum(row.dear - row.cheap for row in some) / len(some)
        if gap < LEAST_GAP:
            table.append([name or "-", str(len(some)), f"{gap:.2f}", "no gap", *["-"] * (len(COMPARED) + 2)])
            continue
        compared.append(some)
        ranges = [interval(some, lambda drawn, which=which: apgr(drawn, which), rounds=200) for which in (0, 1)]  # type: ignore[misc]
        chance = f"{apgr(some, 2) or 0:.3f}"
        calls = [f"{calls_for(some, which, 0.8) or 0:.2f}" for which in (0, 1)]
        table.append([name or "-", str(len(some)), f"{gap:.2f}", *map(_shown, ranges), chance, _ahead(difference(some, 0, 1)), *calls])  # fmt: skip
    if len(compared) > 1:
        means = [sum(apgr(some, which) or 0 for some in compared) / len(compared) for which in range(len(COMPARED))]
        table.append(["mean of the suites", "", "", *(f"{mean:.3f}" for mean in means), _ahead(mean_ahead(compared)), "", ""])  # fmt: skip
        every = [row for some in compared for row in some]
        ranges = [interval(every, lambda drawn, which=which: apgr(drawn, which), rounds=200) for which in (0, 1)]  # type: ignore[misc]
        table.append(["all of them together", str(len(every)), "", *map(_shown, ranges), f"{apgr(every, 2) or 0:.3f}", _ahead(difference(every, 0, 1)), "", ""])  # fmt: skip
    return table


def mean_ahead(suites: Sequence[Sequence[Labelled]], rounds: int = 200) -> Interval:
    """Score less length as the mean of the suites, with its interval: each suite is drawn again by itself."""
    from random import Random

    random, seen = Random(7), list[float]()

    def mean(drawn: Iterable[Sequence[Labelled]]) -> float | None:
        gains = [(apgr(some, 0), apgr(some, 1)) for some in drawn]
        known = [own - other for own, other in gains if own is not None and other is not None]
        return sum(known) / len(known) if len(known) == len(suites) else None

    for _ in range(rounds):
        value = mean([random.choices(some, k=len(some)) for some in suites])
        if value is not None:
            seen.append(value)
    seen.sort()
    whole = mean(suites)
    if whole is None or not seen:
        return Interval(float("nan"), float("nan"), float("nan"))
    return Interval(whole, seen[int(0.025 * len(seen))], seen[min(len(seen) - 1, int(0.975 * len(seen)))])


def _shown(found: Interval) -> str:
    return f"{found.value:.3f} ({found.low:.2f} .. {found.high:.2f})"


def _ahead(found: Interval) -> str:
    return f"{found.value:+.3f} ({found.low:+.3f} .. {found.high:+.3f})"
