"""`hroute train`: a score from your own outcomes, and whether it is worth more than the prompt's length."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from hroute.cli import exits, outcome_log, policies, streams
from hroute.errors import UsageError

if TYPE_CHECKING:
    from hroute.router.learn import Judged, Lesson

HELP = """Learn a score from a log with labels, and say honestly what it is worth.

A line of LOG is {"prompt": ..., "cheap": 0..1, "dear": 0..1}: what a cheap and a dear model's answers were worth;
`hroute logs --export FILE --labels` writes one from your feedback. Every figure is of a model that had not seen the
source that it is judged on: a row's `source`, else its file. The score is a few weights in a plain JSON file, and goes
into force by `scoring: {scorer: FILE}`. Nothing is sent.

\b
Examples:
  hroute train outcomes.jsonl
  hroute train october.jsonl november.jsonl -o scorer.json
  hroute train runs.jsonl --cheap llama3.1:8b --dear claude-sonnet --json
"""

OUTPUT: Final = "scorer.json"


def register(app: typer.Typer) -> None:
    app.command("train", help=HELP)(train)


def train(
    logs: Annotated[
        list[str], typer.Argument(metavar="LOG...", help="JSON Lines with a prompt and what two answers were worth.")
    ],
    policy: policies.PolicyOption = None,
    as_json: policies.JsonOption = False,
    cheap: Annotated[
        str | None, typer.Option("--cheap", metavar="MODEL", help="The cheap model's name in `scores`.")
    ] = None,
    dear: Annotated[
        str | None, typer.Option("--dear", metavar="MODEL", help="The dear model's name in `scores`.")
    ] = None,
    output: Annotated[str, typer.Option("-o", "--output", metavar="FILE", help="Where the score goes.")] = OUTPUT,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Write it also where it is worth no more than chance.")
    ] = False,
) -> int:
    """Read, learn, judge, write, show."""
    from hroute.router import learn

    loaded = policies.load(policy)
    outcomes, bad = outcome_log.read(logs, cheap, dear)
    lesson = learn.learn(learn.examples(loaded, outcomes))
    if lesson.together.figures[0] is None:
        raise UsageError(
            "the dear model's answers are worth no more than the cheap one's",
            help="nothing to learn: use the cheap one",
        )
    written = output if anyway or lesson.beats("random") else None
    if written is not None:
        _write(written, learn.data(lesson, len(outcomes)))
    if as_json:
        streams.emit("train", _as_json(lesson, len(outcomes), bad, written))
        return exits.DONE
    for line in _report(lesson, len(outcomes), bad, written):
        streams.line(line)
    return exits.DONE


def _write(path: str, data: dict[str, Any]) -> None:
    """Whole or not at all: a policy may be reading it."""
    beside = f"{path}.{os.getpid()}.new"
    try:
        with open(beside, "w", encoding="utf-8") as file:
            json.dump(data, file, indent=2, ensure_ascii=False)
            file.write("\n")
        os.replace(beside, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(beside)
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from None


def _report(lesson: Lesson, rows: int, bad: int, written: str | None) -> list[str]:
    from hroute.cli.render.text import pad, shorten
    from hroute.router.learn import COMPARED

    several = f" from {len(lesson.sources)} sources" if lesson.apart else ""
    lines = [f"{rows} requests with outcomes{several}{f', {bad} lines that are none' if bad else ''}", ""]
    how = "judged on a source it has not seen" if lesson.apart else "judged on fifths it has not seen"
    lines.append(f"  {how:<36}{'rows':>6}" + "".join(f"{name:>9}" for name in COMPARED) + "   (APGR)")
    for judged in (*lesson.sources, lesson.together) if lesson.apart else (lesson.together,):
        name = pad(shorten(judged.source or "the log", 34), 36)
        lines.append(f"  {name}{judged.rows:>6}" + "".join(f"{_shown(figure):>9}" for figure in judged.figures))
    lines += ["", "  weights   " + _weights(lesson), ""]
    lines += _verdict(lesson)
    if written is None:
        lines.append("Nothing was written. To keep it all the same: --anyway")
    else:
        lines.append(
            f"wrote {written}      to use it: `scoring: {{scorer: {written}}}` in the policy, then hroute check"
        )
    return lines


def _weights(lesson: Lesson) -> str:
    scorer = lesson.scorer
    order = sorted(scorer.weights.items(), key=lambda item: -abs(item[1]))
    return ", ".join([f"base {scorer.intercept:+.2f}", *(f"{name} {weight:+.2f}" for name, weight in order)])


def _verdict(lesson: Lesson) -> list[str]:
    """What it beats and what it does not, each with its interval."""
    from hroute.router.learn import COMPARED

    lines = []
    for name, ahead in zip(COMPARED[1:], lesson.ahead, strict=True):
        what = {"score": "the built-in score", "length": "the prompt's length", "random": "chance"}[name]
        verb = "It beats" if ahead.low > 0 else "It does not beat"
        lines.append(f"{verb} {what}: {ahead.value:+.3f} ({ahead.low:+.3f} .. {ahead.high:+.3f})")
    if not lesson.apart:
        lines.append("All rows are of one source: what it is worth on requests of another kind, nobody knows.")
    return lines


def _shown(figure: float | None) -> str:
    return "no gap" if figure is None else f"{figure:.3f}"


def _as_json(lesson: Lesson, rows: int, bad: int, written: str | None) -> dict[str, object]:
    from hroute.router.learn import COMPARED, data

    def figures(judged: Judged) -> dict[str, object]:
        by_name = zip(COMPARED, judged.figures, strict=True)
        return {"rows": judged.rows, **{name: None if f is None else round(f, 6) for name, f in by_name}}

    return {
        "requests": rows,
        "bad_lines": bad,
        "sources_left_out": lesson.apart,
        "sources": {judged.source or "the log": figures(judged) for judged in lesson.sources},
        "together": figures(lesson.together),
        "ahead": {
            name: {"value": round(a.value, 6), "low": round(a.low, 6), "high": round(a.high, 6), "beats": a.low > 0}
            for name, a in zip(COMPARED[1:], lesson.ahead, strict=True)
        },
        "scorer": data(lesson, rows),
        "written": written,
    }
