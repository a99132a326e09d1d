"""How well the signals do on labelled data that lies beside the checkout: one table a question, by file (`make eval`).

The data is for measuring only and is no part of the project: without it this says so and ends well. `--write` puts the
tables into docs/signals-measured.md. `hroute eval` makes the same tables of anybody's own labelled texts.
"""

from __future__ import annotations

import argparse
import json
import sys
import sysconfig
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from hroute.router import evaluation, learn  # noqa: E402
from hroute.router.evaluation import Document, Said, Table, share  # noqa: E402
from hroute.router.outcomes import Outcome  # noqa: E402
from hroute.router.signals import wording  # noqa: E402
from hroute.router.signals.intent import Intents  # noqa: E402
from hroute.router.signals.pii import pii_scanner  # noqa: E402
from hroute.router.signals.secrets import SECRETS  # noqa: E402
from hroute.schema.load import load  # noqa: E402
from hroute.schema.policy import Intent, Policy  # noqa: E402
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

Row = dict[str, Any]


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
    documents, utterances = documents_of("pii/pii_dev.jsonl"), rows("intents/intents_dev.jsonl")
    said = [Said(row["text"], row["route"]) for row in utterances]
    yield from page("Documents that hold something, and are flagged (pii/pii_dev.jsonl)", flagged(policy, documents))
    yield from page("Kinds: how many of the labelled places are found", evaluation.kinds(policy, documents, STRUCTURED))
    yield from page("False alarms", alarms(utterances))
    yield from page("Intents with the starter policy (intents/intents_dev.jsonl)", evaluation.intents(policy, said))
    yield from page("`task_type: code`", evaluation.task_types(policy, said, ("code",)))
    yield from page("faq by examples from other rows", learnt(utterances))
    yield from page("Score (routing/outcomes_dev.jsonl)", evaluation.score(policy, outcomes_of("outcomes_dev")))
    yield from page(
        "A score learned from outcomes, each source left out (routing/outcomes_train.jsonl)", trained(policy)
    )


def rows(name: str) -> list[Row]:
    with (DATA / name).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def documents_of(name: str) -> list[Document]:
    return [
        Document(row["text"], tuple((s["start"], s["end"], s["type"]) for s in row["spans"]), row["source"])
        for row in rows(name)
    ]


def outcomes_of(name: str) -> list[Outcome]:
    found = []
    for row in rows(f"routing/{name}.jsonl"):
        cheap, dear = (row["scores"][model] for model in PAIRS[row["suite"]])
        suite = row["suite"] if row["suite"] != "llmrouter" else f"llmrouter/{row['task']}"
        found.append(Outcome(row["prompt"], cheap, dear, suite))
    return found


def page(title: str, table: Table) -> Iterator[str]:
    yield f"## {title}\n"
    head, *body = table
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in body)
    yield ""


def flagged(policy: Policy, documents: Sequence[Document]) -> Table:
    """Each source, and those of one house together."""
    table = evaluation.flagged(policy, documents, STRUCTURED)
    groups = defaultdict[str, list[Document]](list)
    for document in documents:
        if document.source.startswith(("presidio", "piianon")):
            groups[f"{document.source.partition('_')[0]}_* together"].append(document)
    for name, some in groups.items():
        together = [Document(d.text, d.spans, name) for d in some]
        table += evaluation.flagged(policy, together, STRUCTURED)[1:]
    return table


def alarms(utterances: Sequence[Row]) -> Table:
    every, personal = pii_scanner(PII_KINDS), pii_scanner(PERSONAL_KINDS)
    texts = [row["text"] for row in utterances]
    table = evaluation.alarms(
        {"utterances": texts},
        {
            "any `pii`": lambda text: [""] if every.scan(text) else [],
            "`contains_pii`": lambda text: [""] if personal.scan(text) else [],
            "`contains_secret`": lambda text: [""] if SECRETS.scan(text) else [],
        },
    )
    sources = list(source_files(1_000))
    if sources:
        table += evaluation.alarms(
            {"installed source files": sources},
            {
                "anything at all": lambda text: [""] if personal.scan(text) or SECRETS.scan(text) else [],
                "*": lambda text: {place.kind for place in (*personal.scan(text), *SECRETS.scan(text))},
            },
        )[1:]
    return table


def source_files(most: int) -> Iterator[str]:
    """Python files of installed packages; authors' addresses and the test numbers of number libraries are true hits."""
    found = sorted(Path(sysconfig.get_paths()["purelib"]).rglob("*.py"))
    for path in Random(7).sample(found, min(most, len(found))):
        yield path.read_text(encoding="utf-8", errors="replace")


def learnt(utterances: Sequence[Row]) -> Table:
    """An intents file of one half judged on the other, and of all sources but one judged on that one."""
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


def trained(policy: Policy) -> Table:
    """What `hroute train` reports: every source judged by a model that was fitted on the others."""
    lesson = learn.learn(learn.examples(policy, outcomes_of("outcomes_train")))

    def shown(figure: float | None) -> str:
        return "no gap" if figure is None else f"{figure:.3f}"

    table = [["source left out", "rows", *learn.COMPARED]]
    for judged in (*lesson.sources, lesson.together):
        table.append([judged.source, str(judged.rows), *map(shown, judged.figures)])
    ahead = [f"{a.value:+.3f} ({a.low:+.3f} .. {a.high:+.3f})" for a in lesson.ahead]
    return [*table, ["learned, ahead of", "", "", *ahead]]


if __name__ == "__main__":
    start = time.monotonic()
    code_ = main()
    print(f"measured in {time.monotonic() - start:.0f} s", file=sys.stderr)
    raise SystemExit(code_)
