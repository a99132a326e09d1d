"""Logs with text: decided as `explain` would, whatever else the log holds, in memory that does not grow."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from hroute.replay import dry_run, redecide, report
from hroute.replay.readers import jsonl
from hroute.replay.result import Result
from hroute.router.explanation import explain
from hroute.schema.load import load
from hroute.schema.policy import Policy
from hroute.terms.message import prompt
from hroute.terms.signal import SIGNALS, coerce
from tests.replay import logs
from tests.replay.policies import policy, rule

ROOT = Path(__file__).parents[2]


def example(name: str) -> Policy:
    built, findings, _ = load(ROOT / name)
    assert built is not None, [f.message for f in findings]
    return built


def stream(lines: Iterable[str]) -> Iterable[Any]:
    return jsonl.rows(io.BytesIO("".join(line + "\n" for line in lines).encode()), "log.jsonl")


def run(built: Policy, lines: Iterable[str], **more: Any) -> Result:
    return dry_run.run(built, stream(lines), **more)


@pytest.mark.parametrize("name", ["routing-config.yaml", "examples/team/routing-config.yaml"])
def test_every_row_goes_where_explain_says(name: str) -> None:
    built = example(name)
    found: list[dict[str, Any]] = []
    run(built, logs.lines(300), each=found.append)
    for row, line in zip(logs.rows(300), found, strict=True):
        given = {key: coerce(key, value) for key, value in row.items() if key in SIGNALS}
        said = explain(built, prompt(row["prompt"], system=row.get("system", "")), given, environ={}).decision
        assert (line["id"], line["rule"], line["route_to"]) == (row["id"], said.rule.name, said.route_to)
        assert line["fallback"] == list(said.fallback)


def test_broken_lines_change_nothing_but_their_count() -> None:
    built = example("routing-config.yaml")
    whole = report.as_json(run(built, logs.lines(1000)))
    broken = run(built, logs.lines(1000, broken=0.05))
    assert broken.bad_lines > 20
    assert 0 < len(broken.bad) <= dry_run.BAD_LINES_SHOWN
    assert report.as_json(broken) | {"bad_lines": 0, "bad": []} == whole


def test_all_signals_are_written_where_asked_for() -> None:
    built = policy([rule("home", {"cost_center": "x"})])
    some: list[dict[str, Any]] = []
    every: list[dict[str, Any]] = []
    line = json.dumps({"prompt": "My card is 4111 1111 1111 1111", "cost_center": "x"})
    run(built, [line], each=some.append)
    run(built, [line], each=every.append, all_signals=True)
    assert "pii" not in some[0]["signals"]
    assert every[0]["signals"]["pii"] == ["payment_card"]
    assert every[0]["signals"]["contains_pii"] is True
    assert {"score", "complexity", "intent", "prompt_tokens"} <= every[0]["signals"].keys()
    assert (some[0]["rule"], some[0]["route_to"]) == (every[0]["rule"], every[0]["route_to"])


def test_lines_for_each_are_json_and_never_hold_the_text() -> None:
    canary = "canary-words-of-the-user"
    built = policy([rule("words", {"message": {"any_of": ["canary"]}, "contains_pii": False})])
    found: list[dict[str, Any]] = []
    log = json.dumps({"prompt": f"{canary} and more", "id": "a"})
    result = run(built, [log, log[:-5]], each=found.append, all_signals=True)
    written = json.dumps([found, report.as_json(result), report.table(result)])
    assert canary not in written
    assert canary not in repr(result)


def test_a_recorded_signal_is_not_read_again_but_a_taint_is_only_ever_raised() -> None:
    built = policy([rule("private", {"contains_pii": True}, "home"), rule("code", {"task_type": "code"}, "haiku")])
    rows = [
        {"prompt": "def f(): return 1", "task_type": "qa"},
        {"prompt": "My card is 4111 1111 1111 1111", "contains_pii": False},
        {"prompt": "Hello", "contains_pii": True},
    ]
    found: list[dict[str, Any]] = []
    run(built, map(json.dumps, rows), each=found.append)
    assert [line["rule"] for line in found] == ["default", "private", "private"]


def test_the_size_of_a_text_is_estimated_where_no_count_is_given() -> None:
    built = policy([])
    found: list[dict[str, Any]] = []
    result = run(built, [json.dumps({"prompt": "Why is the sky blue?"})], each=found.append, all_signals=True)
    tokens = found[0]["signals"]["prompt_tokens"]
    assert result.total.cost == tokens * 3_000 + 176 * 15_000
    assert any("estimated from the text in 1 requests" in fact for fact in report.basis(result))


def test_counts_of_the_log_win_over_the_estimate_for_money_but_not_for_the_decision() -> None:
    built = policy([rule("long", {"prompt_tokens": ">1000"}, "haiku")])
    result = run(built, [json.dumps({"prompt": "Why is the sky blue?", "input_tokens": 5000, "output_tokens": 0})])
    assert (result.routes[0].rule, result.total.cost) == ("default", 15_000_000)


def test_rows_are_grouped_by_what_is_read_from_their_text() -> None:
    lines = [json.dumps({"prompt": text}) for text in ("This is unacceptable, I want to complain.", "Hello!", "Hi!")]
    groups = {group.key: group.requests for group in run(policy([]), lines, by="intent").groups}
    assert groups == {"complaint": 1, "smalltalk": 2}


def test_messages_that_come_again_are_decided_as_if_they_came_once() -> None:
    built = policy(
        [rule("held", {"held_rule": "held"}, "haiku"), rule("code", {"task_type": "code"}, "home", rollout="50%")],
        baseline="sonnet",
    )
    rows = [
        {"prompt": "def f(): pass", "task_type": "code", "session": f"s{n % 7}", "id": str(n)}
        | ({"held_rule": "held"} if n % 5 == 0 else {})
        for n in range(60)
    ]
    together: list[dict[str, Any]] = []
    alone: list[dict[str, Any]] = []
    run(built, map(json.dumps, rows), each=together.append)
    for row in rows:
        run(built, [json.dumps(row)], each=alone.append)
    assert together == alone
    assert {line["route_to"] for line in together} == {"haiku", "home", "sonnet"}


def test_a_message_that_comes_again_is_read_once_whoever_sends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    class Counted(redecide.Extraction):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            made.append(arguments)
            super().__init__(*arguments, **more)

    monkeypatch.setattr(redecide, "Extraction", Counted)
    run(policy([]), (json.dumps({"prompt": "Hello", "session": f"s{n}", "id": f"{n}"}) for n in range(5)))
    assert len(made) == 1


def test_what_a_cache_held_is_not_counted_twice_where_the_prompt_is_estimated() -> None:
    built = policy([])
    whole = run(built, [json.dumps({"prompt": "word " * 400})]).total.cost
    cached = run(built, [json.dumps({"prompt": "word " * 400, "cache_read_tokens": 100})]).total.cost
    assert whole == cached, "without a price of its own a cached token costs what any token costs"


def test_a_row_near_a_cut_of_the_score_is_counted() -> None:
    built = policy([rule("hard", {"score": ">0.35"}, "haiku")])
    rows = [{"prompt": "Hello", "score": 0.36}, {"prompt": "Hello", "score": 0.6}]
    assert run(built, map(json.dumps, rows)).near == 1


def peak_of(count: int) -> int:
    built = example("routing-config.yaml")
    run(built, logs.lines(200))
    tracemalloc.start()
    dry_run.run(built, jsonl.rows(Lines(count), "log.jsonl"), each=lambda line: None)  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


class Lines:
    """A stream over generated lines that holds none of them."""

    def __init__(self, count: int) -> None:
        self.lines = logs.lines(count)

    def readline(self, limit: int) -> bytes:
        line = next(self.lines, None)
        return b"" if line is None else line.encode() + b"\n"


def test_memory_does_not_grow_with_the_log() -> None:
    assert peak_of(2400) < peak_of(800) + 1_500_000


@pytest.mark.slow
def test_a_hundred_thousand_rows_agree_with_explain_on_a_sample() -> None:
    built = example("routing-config.yaml")
    found: dict[int, dict[str, Any]] = {}
    seen = iter(range(10**9))

    def keep(line: dict[str, Any]) -> None:
        number = next(seen)
        if number % 997 == 0:
            found[number] = line

    result = dry_run.run(built, jsonl.rows(Lines(100_000), "log.jsonl"), each=keep)  # type: ignore[arg-type]
    assert (result.requests, result.bad_lines) == (100_000, 0)
    for number, row in enumerate(logs.rows(100_000)):
        if number in found:
            given = {key: coerce(key, value) for key, value in row.items() if key in SIGNALS}
            said = explain(built, prompt(row["prompt"], system=row.get("system", "")), given, environ={}).decision
            assert (found[number]["rule"], found[number]["route_to"]) == (said.rule.name, said.route_to)
