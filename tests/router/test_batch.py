"""A batch: one result for each line, in order, whatever fails, is interrupted, or stands in the results already."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hroute.errors import UsageError
from hroute.providers.sandbox.script import Script
from hroute.router.batch import Summary, Terms, run
from hroute.router.batch_lines import Lines, Unusable, asked
from hroute.router.batch_results import Results
from hroute.router.bounded import Stop, work_through
from hroute.router.client import AsyncClient
from hroute.terms.clock import VirtualClock
from hroute.terms.message import Text, ToolResult, ToolUse, Unread
from tests.router.test_client import CARD, POLICY, loaded

Rows = list[dict[str, Any]]


def written(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def questions(count: int) -> Rows:
    return [{"id": f"q{n}", "prompt": f"question {n}"} for n in range(count)]


def results(path: Path) -> Rows:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def client(*faults: dict[str, Any], answers: Any = (), **more: Any) -> AsyncClient:
    script = Script.from_data({"faults": list(faults), "answers": list(answers)})
    return AsyncClient.from_policy(policy=loaded(POLICY), sandbox=script, environ={}, clock=VirtualClock(), **more)


def batch(
    tmp_path: Path,
    rows: Rows | None = None,
    by: AsyncClient | None = None,
    after: Callable[[Stop, int], None] = lambda stop, done: None,
    **terms: Any,
) -> Summary:
    """Ask `rows` (None: the file as it is) and leave the results in out.jsonl; `after` is called after each."""
    file = tmp_path / "in.jsonl"
    lines = Lines(str(written(file, rows) if rows is not None else file))

    async def main() -> Summary:
        stop = Stop()
        held = Results(str(tmp_path / "out.jsonl"), lines.places)
        try:
            return await run(by or client(), lines, held, Terms(**terms), stop, lambda done: after(stop, done))
        finally:
            held.close()
            lines.close()

    return asyncio.run(main())


def test_there_is_one_line_out_for_one_line_in_with_what_was_promised(tmp_path: Path) -> None:
    done = batch(tmp_path, [*questions(20), {"id": 7, "prompt": "by number"}, {"prompt": "no name"}])
    rows = results(tmp_path / "out.jsonl")
    assert [row["id"] for row in rows] == [*(f"q{n}" for n in range(20)), "7", "22"]
    promised = {"id", "text", "rule", "routed_to", "actual_model", "usage", "cost_usd", "outcome", "error"}
    assert all(promised <= row.keys() for row in rows)
    assert all(row["outcome"] == "ok" and row["error"] is None and row["text"] for row in rows)
    assert (done.lines, done.answered, done.asked, done.failed) == (22, 22, 22, 0)
    assert done.providers == {"claude_sonnet": 22}
    assert done.cost > 0


def test_the_order_is_that_of_the_input_though_answers_come_in_another(tmp_path: Path) -> None:
    slow = {"kind": "slow", "for": 0.05, "message": ["question 0"]}
    batch(tmp_path, questions(12), AsyncClient.from_policy(policy=loaded(), sandbox=Script.from_data({"faults": [slow]}), environ={}))  # fmt: skip
    assert [row["id"] for row in results(tmp_path / "out.jsonl")] == [f"q{n}" for n in range(12)]
    (tmp_path / "out.jsonl").unlink()
    batch(tmp_path, None, AsyncClient.from_policy(policy=loaded(), sandbox=Script.from_data({"faults": [slow]}), environ={}), unordered=True)  # fmt: skip
    assert [row["id"] for row in results(tmp_path / "out.jsonl")][-1] == "q0"


def test_never_more_than_the_bound_are_asked_at_the_same_time(tmp_path: Path) -> None:
    now = most = 0

    async def work(number: int) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1

    asyncio.run(work_through(iter(range(1, 100)), work, 7, Stop()))
    assert (most, now) == (7, 0)


def test_the_size_of_the_batch_is_a_signal(tmp_path: Path) -> None:
    text = POLICY.replace("routing_rules:", "routing_rules:\n  - {name: many, condition: {batch_size: '>3', priority: batch}, route_to: gpt4o}")  # fmt: skip

    def asked_by(count: int, **terms: Any) -> set[str]:
        (tmp_path / "out.jsonl").unlink(missing_ok=True)
        by = AsyncClient.from_policy(policy=loaded(text), sandbox=True, environ={})
        batch(tmp_path, [{**q, "batch_size": 1, "signals": {"batch_size": 1}} for q in questions(count)], by, **terms)
        return {row["rule"] for row in results(tmp_path / "out.jsonl")}

    assert asked_by(4) == {"many"}
    assert asked_by(3) == {"default"}
    assert asked_by(3, signals={"batch_size": 500}) == {"many"}
    assert asked_by(4, signals={"priority": "normal"}) == {"default"}


def test_a_line_s_own_signals_go_over_those_of_the_run_and_taints_are_only_raised(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "prompt": "hello", "task_type": "code"},
        {"id": "b", "prompt": "hello", "signals": {"task_type": "chat"}},
        {"id": "c", "prompt": "hello"},
        {"id": "d", "prompt": CARD, "contains_pii": False},
        {"id": "e", "prompt": "hello", "contains_pii": True},
    ]
    batch(tmp_path, rows, signals={"task_type": "classification"}, by=client(answers=[{"text": "{}"}]))
    assert [row["rule"] for row in results(tmp_path / "out.jsonl")] == [
        "code",
        "default",
        "labels",
        "private",
        "private",
    ]


def test_a_failure_is_a_line_with_its_reason(tmp_path: Path) -> None:
    rows = [
        {"id": "fine", "prompt": "hello"},
        {"id": "home", "prompt": CARD},
        {"id": "closed", "prompt": "hello", "tenant": "blocked"},
        {"id": "code", "prompt": "hello", "task_type": "code"},
    ]
    faults = ({"kind": "down", "provider": "ollama"}, {"kind": "overloaded", "message": ["hello"], "first": 1})
    done = batch(tmp_path, rows, client(*faults))
    by_id = {row["id"]: row for row in results(tmp_path / "out.jsonl")}
    assert by_id["home"]["outcome"] == by_id["closed"]["outcome"] == "refused"
    assert by_id["home"]["error"]["code"] == "HR902"
    assert by_id["home"]["text"] is None
    assert by_id["home"]["rule"] == "private"
    assert "4111" not in json.dumps(by_id["home"])
    assert by_id["closed"]["error"]["message"] == "This account is closed."
    assert (done.answered, done.failed, done.outcomes["refused"]) == (2, 2, 2)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON: "),
        ("[1]", "not a JSON object"),
        ('{"id": "x"}', "either `prompt` or `messages` is wanted"),
        ('{"id": "x", "prompt": "a", "messages": []}', "not both"),
        ('{"id": "x", "prompt": "  "}', "prompt: a text is wanted"),
        ('{"id": "x", "prompt": 3}', "prompt: a text is wanted"),
        ('{"id": "x", "messages": "hi"}', "messages: a list of objects"),
        ('{"id": "x", "messages": []}', "no text to send"),
        ('{"id": "x", "messages": [{"role": "robot", "content": "hi"}]}', "role"),
        ('{"id": "x", "prompt": "a", "task_type": "nonsense"}', "`nonsense` is not a value of signal `task_type`"),
        ('{"id": "x", "prompt": "a", "signals": {"contains_pi": true}}', "`contains_pi` is not a signal"),
        ('{"id": "x", "prompt": "a", "signals": 3}', "signals: an object"),
        ('{"id": "x", "prompt": "a", "max_tokens": "many"}', "max_tokens: a whole number"),
        ('{"id": "x", "prompt": "a", "json_schema": 3}', "json_schema: an object"),
        ('{"id": "x", "prompt": "a", "json_schema": {"type": "nonsense"}}', "the JSON Schema cannot be used"),
        ('{"id": "x", "prompt": "half \\ud83d"}', "half a character"),
        ('{"id": "x", "prompt": "a", "score": NaN}', "not JSON"),
    ],
)
def test_a_line_that_cannot_be_asked_says_why_and_the_others_are_asked(tmp_path: Path, line: str, reason: str) -> None:
    (tmp_path / "in.jsonl").write_text(f'{{"id": "a", "prompt": "one"}}\n\n{line}\n{{"id": "b", "prompt": "two"}}\n')
    done = batch(tmp_path)
    first, bad, last = results(tmp_path / "out.jsonl")
    assert (first["outcome"], bad["outcome"], last["outcome"]) == ("ok", "invalid", "ok")
    assert reason in bad["error"]["message"]
    assert bad["id"] in ("x", "3")
    assert done.failed == 1


def test_bytes_that_are_no_text_are_one_bad_line(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(b'\xef\xbb\xbf{"id": "a", "prompt": "one"}\r\n\xff\xfe\n{"prompt": "two"}')
    batch(tmp_path)
    assert [(r["id"], r["outcome"]) for r in results(tmp_path / "out.jsonl")] == [
        ("a", "ok"),
        ("2", "invalid"),
        ("3", "ok"),
    ]


def test_messages_are_read_as_either_vendor_writes_them() -> None:
    of_openai = asked({"messages": [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]},
        {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "look", "arguments": '{"a": 1}'}}]}, {"role": "tool", "tool_call_id": "1", "content": "seen"},
    ], "tools": [{"type": "function", "function": {"name": "look", "parameters": {}}}], "system": "Be kind.", "user": "u1", "stream": True}).request  # fmt: skip
    of_anthropic = asked({"system": [{"type": "text", "text": "Be brief."}], "messages": [
        {"role": "user", "content": [{"type": "text", "text": "See"}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "look", "input": {"a": 1}}]}, {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "seen"}]},
    ], "tools": [{"name": "look", "input_schema": {}}]}).request  # fmt: skip
    assert of_openai.system == "Be kind.\n\nBe brief."
    assert of_anthropic.system == "Be brief."
    for request in (of_openai, of_anthropic):
        kinds = [type(part) for message in request.messages for part in message.parts]
        assert kinds == [Text, Unread, ToolUse, ToolResult]
        assert [tool.name for tool in request.tools] == ["look"]
        assert not request.stream


def test_a_vendor_s_batch_file_is_read_as_it_is() -> None:
    body = {"model": "x", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9, "temperature": 0.5}
    for key in ("body", "params"):
        request = asked({"custom_id": "r1", "method": "POST", key: body}).request
        assert (request.last_user_text, request.max_tokens, request.params) == ("hi", 9, {"temperature": 0.5})


def test_parts_of_a_request_that_share_a_signal_s_name_are_no_signals() -> None:
    said = asked({"prompt": "a", "tools": [], "response_format": {"type": "json_object"}, "thinking": {"type": "enabled"}, "model": "x", "pii": ["iban"], "latency_ms": 3, "message": "?"})  # fmt: skip
    assert said.signals == {"pii": frozenset({"iban"})}
    assert said.request.response_format == "json"
    with pytest.raises(Unusable):
        asked({"prompt": "a", "pii": {"no": "set"}, "signals": {"pii": {"no": "set"}}})


def test_options_hold_for_lines_without_their_own(tmp_path: Path) -> None:
    rows = [{"id": "a", "prompt": "x"}, {"id": "b", "prompt": "x", "max_tokens": 2}]
    batch(tmp_path, rows, client(answers=[{"text": "word " * 50}]), options={"max_tokens": 5})
    first, second = results(tmp_path / "out.jsonl")
    assert (len(first["text"]), len(second["text"])) == (20, 8)


def test_a_line_may_demand_a_form_of_answer(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    batch(tmp_path, [{"id": "a", "prompt": "x", "json_schema": schema}, {"id": "b", "prompt": "x"}])
    first, second = results(tmp_path / "out.jsonl")
    assert first["json"] == {"n": 0}
    assert second["json"] is None


def test_what_has_a_result_is_not_asked_again(tmp_path: Path) -> None:
    batch(tmp_path, questions(5))
    before = (tmp_path / "out.jsonl").read_bytes()
    assert batch(tmp_path).asked == 0
    assert (tmp_path / "out.jsonl").read_bytes() == before
    done = batch(tmp_path, questions(8))
    assert (done.asked, done.results) == (3, 8)
    assert (tmp_path / "out.jsonl").read_bytes().startswith(before)


def test_a_torn_last_line_is_mended_wherever_it_was_torn(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    batch(tmp_path, questions(3))
    whole = out.read_bytes()
    wanted = [row["id"] for row in results(out)]
    begin = whole.rindex(b"\n", 0, -1) + 1
    for cut in {0, 1, 5, 6, 30, begin - 1, begin, begin + 1, begin + 9, len(whole) - 2, len(whole) - 1, len(whole)}:
        out.write_bytes(whole[:cut])
        batch(tmp_path)
        assert [row["id"] for row in results(out)] == wanted, cut
        assert all(row["outcome"] == "ok" for row in results(out))


def test_a_whole_line_that_lacks_only_its_end_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    batch(tmp_path, questions(2))
    whole = out.read_bytes()
    out.write_bytes(whole[:-1])
    assert batch(tmp_path).asked == 0
    assert out.read_bytes() == whole


def test_failures_are_asked_again_only_when_told_and_are_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    down = client({"kind": "down", "message": ["question 1"]})
    assert batch(tmp_path, questions(4), down).failed == 1
    assert batch(tmp_path).asked == 0
    done = batch(tmp_path, retry_failed=True)
    assert (done.asked, done.failed) == (1, 0)
    assert [(row["id"], row["outcome"]) for row in results(out)] == [(f"q{n}", "ok") for n in range(4)]
    assert batch(tmp_path, retry_failed=True, unordered=True).asked == 0


def test_a_retry_that_was_killed_leaves_the_newer_result(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    batch(tmp_path, questions(3), client({"kind": "down"}))
    failed = out.read_bytes()
    out.unlink()
    batch(tmp_path, questions(2))
    out.write_bytes(failed + out.read_bytes())  # as if it had died before it put things in order
    done = batch(tmp_path, questions(3))
    assert (done.asked, done.answered, done.failed) == (0, 2, 1)
    assert [(row["id"], row["outcome"]) for row in results(out)] == [("q0", "ok"), ("q1", "ok"), ("q2", "transport")]


@pytest.mark.parametrize(
    "content",
    ["precious notes", "precious\nnotes\n", '{"id": "q0"}\n', '{"id": "other", "outcome": "ok"}\n', '{"id": "q0", "outcome": "ok"}\nnotes'],
)  # fmt: skip
def test_a_file_that_holds_anything_else_is_not_touched(tmp_path: Path, content: str) -> None:
    (tmp_path / "out.jsonl").write_text(content)
    with pytest.raises(UsageError, match="nothing was changed"):
        batch(tmp_path, questions(2))
    assert (tmp_path / "out.jsonl").read_text() == content


def test_two_batches_never_write_to_one_file(tmp_path: Path) -> None:
    lines = Lines(str(written(tmp_path / "in.jsonl", questions(2))))
    first = Results(str(tmp_path / "out.jsonl"), lines.places)
    with pytest.raises(UsageError, match="another batch"):
        Results(str(tmp_path / "out.jsonl"), lines.places)
    for name in ("q1", "q0"):
        first.add({"id": name, "outcome": "ok"})
    first.settle(lines.names())  # a new file under the same name
    with pytest.raises(UsageError, match="another batch"):
        Results(str(tmp_path / "out.jsonl"), lines.places)
    first.close()
    assert len(Results(str(tmp_path / "out.jsonl"), lines.places)) == 2


def test_a_link_stays_a_link_and_a_mode_stays_a_mode(tmp_path: Path) -> None:
    real = tmp_path / "real.jsonl"
    real.touch()
    real.chmod(0o640)
    (tmp_path / "out.jsonl").symlink_to(real)
    slow = Script.from_data({"faults": [{"kind": "slow", "for": 0.02, "message": ["question 0"]}]})
    batch(tmp_path, questions(3), AsyncClient.from_policy(policy=loaded(), sandbox=slow, environ={}))
    assert (tmp_path / "out.jsonl").is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert len(results(real)) == 3
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl", "real.jsonl"]


def test_a_full_disk_leaves_whole_lines_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, left = os.write, [900]

    def full(descriptor: int, data: Any) -> int:
        if len(data) > left[0]:
            if left[0] == 0:
                raise OSError(28, "No space left on device")
            data = bytes(data)[: left[0]]
        left[0] -= len(data)
        return real(descriptor, data)

    monkeypatch.setattr("hroute.router.batch_results.os.write", full)
    with pytest.raises(OSError, match="No space"):
        batch(tmp_path, questions(9), concurrency=2)
    monkeypatch.undo()
    rows = results(tmp_path / "out.jsonl")
    assert 0 < len(rows) < 9
    assert batch(tmp_path).answered == 9


def test_two_lines_of_one_name_are_refused_before_anything_is_asked(tmp_path: Path) -> None:
    for rows in ([{"id": "a", "prompt": "x"}] * 2, [{"id": "2", "prompt": "x"}, {"prompt": "y"}]):
        with pytest.raises(UsageError, match="lines 1 and 2 have the same id"):
            Lines(str(written(tmp_path / "in.jsonl", rows)))


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_a_file_without_a_line_is_no_batch(tmp_path: Path, content: str) -> None:
    (tmp_path / "in.jsonl").write_text(content)
    with pytest.raises(UsageError, match="holds no line"):
        Lines(str(tmp_path / "in.jsonl"))


def test_a_stop_begins_nothing_more_and_keeps_what_came(tmp_path: Path) -> None:
    done = batch(tmp_path, questions(50), after=lambda stop, n: stop() if n == 10 else None, concurrency=4)
    assert 10 <= done.results <= 14
    ids = [row["id"] for row in results(tmp_path / "out.jsonl")]
    assert ids == sorted(ids, key=lambda id: int(id[1:]))
    assert batch(tmp_path).answered == 50


def test_what_takes_too_long_after_a_stop_is_dropped_and_asked_again(tmp_path: Path) -> None:
    stuck = Script.from_data({"faults": [{"kind": "slow", "for": 20, "message": ["question 0"]}]})
    by = AsyncClient.from_policy(policy=loaded(), sandbox=stuck, environ={})
    done = batch(tmp_path, questions(3), by, after=lambda stop, n: stop(), concurrency=2, grace=0.05)
    assert [row["id"] for row in results(tmp_path / "out.jsonl")] == ["q1"]
    assert done.results == 1
    assert batch(tmp_path).asked == 2


def test_a_defect_of_ours_spoils_one_line_and_a_whole_row_of_them_ends_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = AsyncClient.complete

    async def broken(self: AsyncClient, prompt: Any, **signals: Any) -> Any:
        if prompt.last_user_text in wrong:
            raise KeyError("a prompt must not be told")
        return await real(self, prompt, **signals)

    monkeypatch.setattr(AsyncClient, "complete", broken)
    wrong = {"question 1"}
    assert batch(tmp_path, questions(3)).outcomes == {"ok": 2, "internal": 1}
    told = results(tmp_path / "out.jsonl")[1]["error"]
    assert told == {"code": "internal", "message": "hroute itself failed: KeyError"}
    (tmp_path / "out.jsonl").unlink()
    wrong = {f"question {n}" for n in range(100)}
    with pytest.raises(RuntimeError, match="KeyError"):
        batch(tmp_path, questions(100))
    assert len(results(tmp_path / "out.jsonl")) <= 21
