"""`hroute eval`: how well the signals do on your own labelled texts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hroute.cli import exits, policies, streams
from hroute.errors import UsageError

if TYPE_CHECKING:
    from hroute.router.evaluation import Document, Said, Table
    from hroute.router.outcomes import Outcome
    from hroute.schema.policy import Policy

HELP = """Measure the signals on your own labelled texts: what is found, what is missed, what is flagged for nothing.

Each line of FILE is a JSON object with a `text` (or `prompt`) and what is true of it:

\b
  "spans": [{"start": 10, "end": 21, "type": "SSN"}]    personal data and credentials in it; [] for none
  "intent": "faq"                                       what its author wants
  "task_type": "code"                                   what kind of work it asks for
  "cheap": 0, "dear": 1                                 what two answers were worth (see hroute tune)

`source` groups rows. The policy's own settings, kinds and intents are measured. Nothing is sent.

\b
Examples:
  hroute eval labelled.jsonl
  hroute eval support-messages.jsonl -p cafe.yaml --json
"""


def register(app: typer.Typer) -> None:
    app.command("eval", help=HELP)(evaluate)


@dataclass(slots=True)
class Labels:
    """What the lines of the files are, and how many are none."""

    documents: list[Document] = field(default_factory=list)
    intents: list[Said] = field(default_factory=list)
    tasks: list[Said] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    bad: int = 0

    @property
    def rows(self) -> int:
        return len(self.documents) + len(self.intents) + len(self.tasks) + len(self.outcomes)


def evaluate(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="JSON Lines with labelled texts.")],
    policy: policies.PolicyOption = None,
    as_json: policies.JsonOption = False,
    cheap: Annotated[
        str | None, typer.Option("--cheap", metavar="MODEL", help="The cheap model's name in `scores`.")
    ] = None,
    dear: Annotated[
        str | None, typer.Option("--dear", metavar="MODEL", help="The dear model's name in `scores`.")
    ] = None,
) -> int:
    """Read, measure, show."""
    loaded = policies.load(policy)
    labels = Labels()
    for file in files:
        with open(file, encoding="utf-8", errors="replace") as lines:
            _read(lines, labels, cheap, dear)
    if not labels.rows:
        raise UsageError(
            f"{', '.join(files)}: no line has a text and a label",
            help="hroute eval --help shows what a line looks like",
        )
    tables = dict(_tables(loaded, labels))
    if as_json:
        streams.emit("eval", {"bad_lines": labels.bad, "tables": {name: _objects(t) for name, t in tables.items()}})
        return exits.DONE
    if labels.bad:
        streams.line(f"{labels.bad} lines without a text or a label were passed over")
        streams.line()
    for name, table in tables.items():
        streams.line(name)
        for line in _laid_out(table):
            streams.line(line)
        streams.line()
    return exits.DONE


def _read(lines: Iterable[str], labels: Labels, cheap: str | None, dear: str | None) -> None:
    from hroute.router import outcomes
    from hroute.router.evaluation import Said

    for line in lines:
        if not line.strip():
            continue
        row = _row(line)
        text = row.get("text", row.get("prompt"))
        if not isinstance(text, str):
            labels.bad += 1
            continue
        before = labels.rows
        document = _document(row, text)
        if document is not None:
            labels.documents.append(document)
        for key, said in (("intent", labels.intents), ("task_type", labels.tasks)):
            if isinstance(row.get(key), str):
                said.append(Said(text, row[key]))
        outcome = next(outcomes.read([json.dumps({**row, "prompt": text})], cheap, dear), None)
        if outcome is not None:
            labels.outcomes.append(outcome)
        labels.bad += labels.rows == before


def _row(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return row if isinstance(row, dict) else {}


def _document(row: Mapping[str, Any], text: str) -> Document | None:
    """The text with its spans; None where they are no such spans."""
    from hroute.router.evaluation import Document

    spans = row.get("spans")
    if not isinstance(spans, list):
        return None
    read: list[tuple[int, int, str]] = []
    for span in spans:
        start, end, kind = (span.get(k) for k in ("start", "end", "type")) if isinstance(span, dict) else (None,) * 3
        if type(start) is not int or type(end) is not int or not isinstance(kind, str):
            return None
        read.append((start, end, kind))
    return Document(text, tuple(read), str(row.get("source", ""))[:80])


def _tables(policy: Policy, labels: Labels) -> Iterator[tuple[str, Table]]:
    from hroute.router import evaluation

    if labels.documents:
        yield "Documents that hold something, and are flagged", evaluation.flagged(policy, labels.documents)
        yield "Places that are found, by label and by kind", evaluation.kinds(policy, labels.documents)
    if labels.intents:
        yield "Intents, and what stays on this machine", evaluation.intents(policy, labels.intents)
    if labels.tasks:
        names = {said.label for said in labels.tasks}
        yield "Kinds of work", evaluation.task_types(policy, labels.tasks, names)
    if labels.outcomes:
        yield "The score beside length and chance", evaluation.score(policy, labels.outcomes)


def _objects(table: Table) -> list[dict[str, object]]:
    head, *rows = table
    return [dict(zip(head, map(_value, row), strict=False)) for row in rows if not row[0].startswith("**")]


def _value(cell: str) -> object:
    """A number where the cell is one."""
    try:
        number = float(cell)
    except ValueError:
        return None if cell == "-" else cell
    return int(number) if cell.isdigit() else number


def _laid_out(table: Table) -> Iterator[str]:
    """The table in columns: names to the left, figures to the right."""
    from hroute.cli.render.text import pad, pad_left, shorten, width

    cells = [[shorten(cell.strip("*"), 40) for cell in row] for row in table]
    widths = [max(width(row[n]) for row in cells if n < len(row)) for n in range(len(table[0]))]
    for row in cells:
        first, *rest = (
            pad(c, w) if n == 0 else pad_left(c, w) for n, (c, w) in enumerate(zip(row, widths, strict=False))
        )
        yield "  " + "   ".join((first, *rest)).rstrip()
