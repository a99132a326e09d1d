"""How well the signals do on labelled data that lies beside the checkout: one table a question, by file (`make eval`).

The data is for measuring only and is no part of the project: without it this says so and ends well. `--write` puts the
tables into docs/signals-measured.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import sysconfig
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from hroute.router.decide import compile, decide_lazy  # noqa: E402
from hroute.router.signals.extract import Extraction  # noqa: E402
from hroute.router.signals.intent import Intents  # noqa: E402
from hroute.router.signals.pii import pii_scanner  # noqa: E402
from hroute.router.signals.secrets import SECRETS  # noqa: E402
from hroute.router.tune import Labelled, apgr, at_random, calls_for, interval  # noqa: E402
from hroute.schema.load import load  # noqa: E402
from hroute.schema.policy import Intent, Policy  # noqa: E402
from hroute.terms.message import prompt  # noqa: E402
from hroute.terms.signal import PERSONAL_KINDS, PII_KINDS  # noqa: E402

DATA = ROOT / ".." / "shared" / "data"
PAGE = ROOT / "docs" / "signals-measured.md"
STRUCTURED = frozenset(
    (
        "EMAIL", "PHONE", "CREDIT_CARD", "IBAN", "SSN", "NATIONAL_ID", "PASSPORT", "DRIVER_LICENSE", "BANK_ACCOUNT", "MRN", "IP", "MAC", "DOB", "API_KEY", "PASSWORD", "ADDRESS",
    )
)  # fmt: skip
PAIRS = {
    # suite -> the cheap and the dear model whose outcomes are compared
    "routellm_mmlu": ("mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview"),
    "routellm_gsm8k": ("mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview"),
    "zeroeval_gsm": ("Meta-Llama-3.1-8B-Instruct", "claude-3-5-sonnet-20241022"),
    "llmrouter": ("mistral-7b-instruct-v0.3", "llama-3.3-nemotron-super-49b-v1"),
}
LEAST_GAP = 0.03

Row = dict[str, Any]
Table = list[list[str]]


def main() -> int:
    options = argparse.ArgumentParser(description="Measure the signals on the labelled data beside the checkout.")
    options.add_argument("--write", action="store_true", help="write the tables into docs/signals-measured.md")
    write = options.parse_args().write
    if not DATA.is_dir():
        print("no labelled data beside this checkout (../shared/data): nothing to measure")
        return 0
    text = "\n".join(pages())
    print(text)
    if write:
        keep = PAGE.read_text(encoding="utf-8").partition("<!-- measured -->")[0] if PAGE.exists() else ""
        PAGE.write_text(f"{keep}<!-- measured -->\n\n{text}\n", encoding="utf-8")
    return 0


def pages() -> Iterator[str]:
    policy, findings, _ = load(str(ROOT / "routing-config.yaml"))
    assert policy is not None, findings
    documents, utterances = rows("pii/pii_dev.jsonl"), rows("intents/intents_dev.jsonl")
    yield from page("Documents that hold something, and are flagged (pii/pii_dev.jsonl)", flagged(documents))
    yield from page("Kinds: how many of the labelled places are found", kinds(documents))
    yield from page("False alarms", alarms(utterances))
    yield from page("Intents with the starter policy (intents/intents_dev.jsonl)", intents(policy, utterances))
    yield from page("`task_type: code`", code(policy, utterances))
    yield from page("faq by examples from other rows", learnt(utterances))
    yield from page("Score (routing/outcomes_dev.jsonl)", score(policy))


def rows(name: str) -> list[Row]:
    with (DATA / name).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def page(title: str, table: Table) -> Iterator[str]:
    yield f"## {title}\n"
    head, *body = table
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in body)
    yield ""


def share(part: int, whole: int) -> str:
    return f"{part / whole:.3f}" if whole else "-"


def flagged(documents: Sequence[Row]) -> Table:
    scanner, seen = pii_scanner(PII_KINDS), defaultdict[str, list[int]](lambda: [0, 0])
    for row in documents:
        if any(span["type"] in STRUCTURED for span in row["spans"]):
            counts = seen[row["source"]]
            counts[0] += bool(scanner.scan(row["text"]) or SECRETS.scan(row["text"]))
            counts[1] += 1
    groups = defaultdict[str, list[int]](lambda: [0, 0])
    for source, (found, of) in seen.items():
        if source.startswith(("presidio", "piianon")):
            group = groups[f"{source.partition('_')[0]}_* together"]
            group[0] += found
            group[1] += of
    table = [["source", "documents", "flagged"]]
    return table + [[name, str(of), share(found, of)] for name, (found, of) in (*sorted(seen.items()), *groups.items())]


def kinds(documents: Sequence[Row]) -> Table:
    """Recall by the label's kind; precision: places of our kind that overlap any label, on the annotated files."""
    scanner = pii_scanner(PII_KINDS)
    found, labelled, right, reported = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for row in documents:
        places = (*scanner.scan(row["text"]), *SECRETS.scan(row["text"]))
        spans = [(span["start"], span["end"], span["type"]) for span in row["spans"]]
        for start, end, kind in spans:
            if kind in STRUCTURED:
                labelled[kind] += 1
                found[kind] += any(p.start < end and start < p.end for p in places)
        for place in places:
            reported[place.kind] += 1
            right[place.kind] += any(place.start < end and start < place.end for start, end, _ in spans)
    table = [["labelled as", "places", "recall"]]
    table += [[kind, str(of), share(found[kind], of)] for kind, of in sorted(labelled.items())]
    table += [["**reported as**", "**places**", "**precision**"]]
    return table + [[kind, str(of), share(right[kind], of)] for kind, of in sorted(reported.items()) if of >= 20]


def alarms(utterances: Sequence[Row]) -> Table:
    every, personal = pii_scanner(PII_KINDS), pii_scanner(PERSONAL_KINDS)
    texts = [row["text"] for row in utterances]
    table = [["texts", "how many", "kind", "flagged", "of 1,000"]]

    def line(of: str, texts: Sequence[str], kind: str, hit: Callable[[str], object]) -> list[str]:
        count = sum(bool(hit(text)) for text in texts)
        return [of, str(len(texts)), kind, str(count), f"{count * 1000 / len(texts):.1f}"]

    table.append(line("utterances", texts, "any `pii`", every.scan))
    table.append(line("utterances", texts, "`contains_pii`", personal.scan))
    table.append(line("utterances", texts, "`contains_secret`", SECRETS.scan))
    sources = list(source_files(1_000))
    if sources:
        counts = Counter(kind for text in sources for kind in {p.kind for p in personal.scan(text)})
        secrets = Counter(kind for text in sources for kind in {p.kind for p in SECRETS.scan(text)})
        for kind, count in (*counts.most_common(), *secrets.most_common()):
            table.append(
                ["installed source files", str(len(sources)), kind, str(count), f"{count * 1000 / len(sources):.1f}"]
            )
    return table


def source_files(most: int) -> Iterator[str]:
    """Python files of installed packages; authors' addresses and the test numbers of number libraries are true hits."""
    found = sorted(Path(sysconfig.get_paths()["purelib"]).rglob("*.py"))
    for path in Random(7).sample(found, min(most, len(found))):
        yield path.read_text(encoding="utf-8", errors="replace")


def intents(policy: Policy, utterances: Sequence[Row]) -> Table:
    compiled, seen = compile(policy), defaultdict[str, Counter[str]](Counter)
    for row in utterances:
        extraction = Extraction(policy, prompt(row["text"]), {})
        decision = decide_lazy(compiled, extraction.ask, extraction.known, request_id=row["id"])
        seen[row["route"]]["local" if decision.route_to == "ollama" else decision.rule.name] += 1
        seen[row["route"]]["all"] += 1
    table = [["labelled as", "rows", "kept local", "share"]]
    return table + [[r, str(c["all"]), str(c["local"]), share(c["local"], c["all"])] for r, c in sorted(seen.items())]


def code(policy: Policy, utterances: Sequence[Row]) -> Table:
    right = wrong = missed = 0
    for row in utterances:
        said = Extraction(policy, prompt(row["text"]), {}).ask("task_type") == "code"
        right += said and row["route"] == "code"
        wrong += said and row["route"] != "code"
        missed += not said and row["route"] == "code"
    figures = (right / (right + wrong), right / (right + missed), 2 * right / (2 * right + wrong + missed))
    return [["precision", "recall", "F1"], [f"{figure:.3f}" for figure in figures]]


def learnt(utterances: Sequence[Row]) -> Table:
    """An intents file of one half judged on the other, and of all sources but one judged on that one."""
    from hroute.router.signals import wording

    faq = [row for row in utterances if row["route"] == "faq"]
    others = [row for row in utterances if row["route"] in ("complaint", "legal")]
    table = [
        ["examples from", "judged on", "faq recognised", "by examples alone", "complaint and legal taken for faq only"]
    ]

    def line(of: str, on: str, train: Sequence[Row], test: Sequence[Row]) -> list[str]:
        own = Intents((Intent("faq", None, tuple(row["text"] for row in train)),))
        alone = Intents((Intent("learnt", None, tuple(row["text"] for row in train)),))

        def held(model: Intents, row: Row) -> frozenset[str]:
            return model.of(row["text"], wording.read(row["text"]))

        known = sum("faq" in held(own, row) for row in test)
        by_examples = sum("learnt" in held(alone, row) for row in test)
        false = sum(held(own, row) & {"faq", "complaint", "legal", "generation"} == {"faq"} for row in others)
        return [of, on, share(known, len(test)), share(by_examples, len(test)), share(false, len(others))]

    mixed = list(faq)
    Random(7).shuffle(mixed)
    table.append(line("one half", "the other half", mixed[::2], mixed[1::2]))
    for source in sorted({row["source"] for row in faq}):
        rest, left_out = [r for r in faq if r["source"] != source], [r for r in faq if r["source"] == source]
        table.append(line(f"all but {source}", source, rest, left_out))
    return table


def score(policy: Policy) -> Table:
    suites = defaultdict[str, list[Labelled]](list)
    for row in rows("routing/outcomes_dev.jsonl"):
        cheap, dear = (row["scores"][model] for model in PAIRS[row["suite"]])
        value = Extraction(policy, prompt(row["prompt"]), {}).ask("score")
        assert isinstance(value, float)
        name = row["suite"] if row["suite"] != "llmrouter" else f"llmrouter/{row['task']}"
        suites[name].append(Labelled(cheap, dear, (value, float(len(row["prompt"])), at_random(row["id"]))))
    table = [
        ["suite", "rows", "gap", "APGR score (95 %)", "APGR length (95 %)", "APGR random", "CPT(80 %) score", "length"]
    ]
    total = [0.0, 0.0, 0.0]
    compared = 0
    for name, labelled in sorted(suites.items()):
        gap = sum(r.dear - r.cheap for r in labelled) / len(labelled)
        if gap < LEAST_GAP:
            table.append([name, str(len(labelled)), f"{gap:.2f}", "no gap", "-", "-", "-", "-"])
            continue
        ranges = [interval(labelled, lambda some, which=which: apgr(some, which), rounds=200) for which in (0, 1)]  # type: ignore[misc]
        compared += 1
        for which in range(3):
            total[which] += apgr(labelled, which) or 0.0
        cells = [f"{r.value:.3f} ({r.low:.2f} .. {r.high:.2f})" for r in ranges]
        calls = [f"{calls_for(labelled, which, 0.8) or 0:.2f}" for which in (0, 1)]
        table.append([name, str(len(labelled)), f"{gap:.2f}", *cells, f"{apgr(labelled, 2) or 0:.3f}", *calls])
    table.append(["mean", "", "", *(f"{value / compared:.3f}" for value in total), "", ""])
    return table


if __name__ == "__main__":
    start = time.monotonic()
    code_ = main()
    print(f"measured in {time.monotonic() - start:.0f} s", file=sys.stderr)
    raise SystemExit(code_)
