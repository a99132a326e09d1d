"""What nobody answered is kept and asked again: under the policy of then, bound by what bound it before."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hroute.errors import AllFailed, CallerFault, NoCredential, Refused, RequestError, UsageError
from hroute.ledger.queue import Queue
from hroute.providers.sandbox.script import Script
from hroute.router import kept
from hroute.router.bounded import Stop
from hroute.router.client import AsyncClient, Client
from hroute.router.queue import FIRST, LONGEST, ROUNDS, Terms, Tried, tightened, work_off
from hroute.terms.clock import VirtualClock
from hroute.terms.message import Message, Request, Text, Thinking, Tool, ToolResult, ToolUse, Unread
from hroute.terms.signal import ABSENT
from tests.router.test_client import CARD, POLICY, loaded

DOWN = {"kind": "down"}
NOW = 1_900_000_000_000
"""Later than the test, so that everything is due."""
QUEUED = POLICY.replace("name: code,", "name: code, on_all_failed: queue,")


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    made = Queue(tmp_path / "queue", rehearsal=True)
    yield made
    made.close()


def parts(queue: Queue, *faults: dict[str, Any], answers: Any = (), policy: str = POLICY) -> dict[str, Any]:
    script = Script.from_data({"faults": list(faults), "answers": list(answers)})
    return {"policy": loaded(policy), "sandbox": script, "environ": {}, "clock": VirtualClock(), "queue": queue}  # fmt: skip


def client(queue: Queue, *faults: dict[str, Any], **more: Any) -> Client:
    return Client.from_policy(**parts(queue, *faults, **more))


def worked(
    queue: Queue, *faults: dict[str, Any], now: int = NOW, terms: Terms | None = None, **more: Any
) -> list[Tried]:
    async def main() -> list[Tried]:
        async with AsyncClient.from_policy(**parts(queue, *faults, **more)) as made:
            return await work_off(made.engine, queue, terms or Terms(now=lambda: now, rng=lambda: 0.5), Stop())

    return asyncio.run(main())


def failed(
    queue: Queue, prompt: str | Request = "hello", /, *faults: dict[str, Any], policy: str = POLICY, **signals: Any
) -> RequestError:
    """The error of a request that nobody answered."""
    with pytest.raises(RequestError) as caught:
        client(queue, *(faults or (DOWN,)), policy=policy).complete(prompt, **{"queue": True, **signals})
    return caught.value


def asked_of(tried: Tried) -> set[str]:
    assert tried.answer is not None
    return {attempt.provider for attempt in tried.answer.attempts}


def test_what_every_provider_failed_is_kept_and_the_error_says_so(queue: Queue) -> None:
    error = failed(queue)
    assert isinstance(error, AllFailed)
    (item,) = queue.items()
    assert error.queued == item.id == error.id
    assert f"kept in the retry queue as {item.id[-8:]}: hroute queue run asks it again" in str(error.help)
    assert (item.state, item.attempts, item.error, item.rule) == ("waiting", 0, "HR903", "default")
    assert item.next_try - item.created == FIRST * 1000


def test_nothing_is_kept_unless_somebody_asks_for_it(queue: Queue) -> None:
    for signals in ({"queue": None}, {"queue": False}):
        assert failed(queue, **signals).queued == ""
    assert failed(queue, policy=QUEUED, task_type="code", queue=False).queued == ""
    assert queue.items() == []
    assert failed(queue, policy=QUEUED, task_type="code", queue=None).queued
    assert [item.rule for item in queue.items()] == ["code"]


def test_an_answer_is_never_kept(queue: Queue) -> None:
    client(queue).complete("hello", queue=True)
    assert not queue.folder.exists()


@pytest.mark.parametrize(
    ("kind", "prompt", "fault", "signals"),
    [
        (Refused, "hello", DOWN, {"tenant": "blocked"}),
        (CallerFault, "hello", {"kind": "bad_request"}, {}),
    ],
)
def test_what_another_day_cannot_mend_is_not_kept(
    queue: Queue, kind: type[RequestError], prompt: str, fault: dict[str, Any], signals: dict[str, Any]
) -> None:
    error = failed(queue, prompt, fault, **signals)
    assert type(error) is kind
    assert error.queued == ""
    assert queue.items() == []


@pytest.mark.parametrize(
    ("kind", "prompt", "fault"),
    [(Refused, CARD, DOWN), (NoCredential, "hello", {"kind": "unauthorized"}), (AllFailed, "hello", {"kind": "empty"})],
)
def test_what_another_day_may_mend_is_kept(queue: Queue, kind: type[RequestError], prompt: str, fault: dict[str, Any]) -> None:  # fmt: skip
    error = failed(queue, prompt, fault)
    assert type(error) is kind
    assert error.queued == queue.items()[0].id


def test_streams_and_the_asynchronous_client_keep_too(queue: Queue) -> None:
    with pytest.raises(AllFailed) as caught:
        list(client(queue, DOWN).stream("one", queue=True))
    broken = client(queue, {"kind": "cut"}, answers=[{"text": "one two three four five six seven"}])
    with pytest.raises(AllFailed) as broke:
        list(broken.stream("two", queue=True))

    async def main() -> None:
        async with AsyncClient.from_policy(**parts(queue, DOWN)) as made:
            await made.complete("three", queue=True)

    with pytest.raises(AllFailed) as also:
        asyncio.run(main())
    assert {item.id for item in queue.items()} == {e.value.queued for e in (caught, broke, also)}
    assert [t.answer is not None for t in worked(queue)] == [True] * 3


def test_a_kept_request_is_answered_once_everybody_is_back(queue: Queue) -> None:
    error = failed(queue, "Why is the sky blue?", system="Be brief.", files=[("a.txt", "text")], max_tokens=9)
    (tried,) = worked(queue, answers=[{"prompt": ["Be brief."], "text": "Scattered light."}])
    assert tried.answer is not None
    (item,) = queue.items()
    assert (item.state, item.attempts) == ("done", 1)
    result = queue.result(item.id)
    assert result is not None
    assert (result["id"], result["text"], result["request_id"]) == (error.queued, "Scattered light.", tried.answer.id)
    assert result["actual_provider"] == "claude_sonnet"
    assert worked(queue) == []


def test_it_is_asked_under_the_policy_of_then(queue: Queue) -> None:
    failed(queue, task_type="code")
    moved = POLICY.replace("condition: {task_type: code}, route_to: claude_sonnet", "condition: {task_type: code}, route_to: gpt4o").replace("fallback: [gpt4o, ollama]", "fallback: null")  # fmt: skip
    (tried,) = worked(queue, policy=moved)
    assert tried.answer is not None
    assert (tried.answer.decision.rule.name, tried.answer.routed_to) == ("code", "gpt4o")
    failed(queue, tenant="x")
    (tried,) = worked(queue, policy=POLICY.replace("tenant: blocked", "tenant: x"))
    assert (tried.error, tried.next_try) == ("HR902", None)
    assert queue.items(("failed",))[0].error == "HR902"


def test_it_waits_longer_each_time_and_is_given_up_in_the_end(queue: Queue) -> None:
    failed(queue)
    waits, now = [], NOW
    for _ in range(ROUNDS - 1):
        (tried,) = worked(queue, DOWN, now=now)
        assert tried.next_try is not None
        assert worked(queue, DOWN, now=tried.next_try - 1) == []
        waits.append((tried.next_try - now) / 1000)
        now = tried.next_try
    assert waits[:3] == [60, 120, 240]
    assert waits[-1] == LONGEST
    (tried,) = worked(queue, DOWN, now=now)
    assert tried.next_try is None
    assert worked(queue, now=now * 2) == []
    (item,) = queue.items()
    assert (item.state, item.attempts) == ("failed", ROUNDS)
    assert queue.retry(item.id, now=now)
    assert worked(queue, now=now)[0].answer is not None


def test_a_vendor_that_says_how_long_is_believed(queue: Queue) -> None:
    failed(queue)
    (tried,) = worked(queue, {"kind": "rate_limit", "retry_after": 3000}, now=NOW)
    assert tried.next_try == NOW + 3_000_000


def test_a_tainted_request_goes_nowhere_else_whatever_the_later_policy_says(queue: Queue) -> None:
    loosened = (
        POLICY + "signals: {pii: {counts: [iban]}}\n",
        POLICY + "signals: {pii: {allow: ['4111 1111 1111 1111']}}\n",
        POLICY + "signals: {contains_pii: {trust_caller: true}}\n",
        POLICY.replace("private, condition: {contains_pii: true}", "private, condition: {tenant: nobody}"),
        POLICY.partition("guarantees:")[0],
        POLICY.partition("guarantees:")[0].replace(
            "private, condition: {contains_pii: true}", "private, condition: {tenant: nobody}"
        ),
        "routing_rules: []\ndefault: {route_to: gpt4o, fallback: claude_sonnet}\n",
    )
    for text in loosened:
        error = failed(queue, CARD, contains_pii=False)
        (item,) = queue.items(("waiting",))
        assert item.taints["contains_pii"] is True
        assert [g["name"] for g in item.guarantees] == ["home"]
        for faults in ((DOWN,), ()):
            for tried in worked(queue, *faults, policy=text, terms=Terms(among=(error.queued,), now=lambda: NOW)):
                if tried.answer is not None:
                    assert asked_of(tried) == {"ollama"}, text
        queue.drop(error.queued)


def test_a_later_policy_may_tighten(queue: Queue) -> None:
    failed(queue, "mail ana.lopez@firm.org about it", policy="routing_rules: []\ndefault: {route_to: gpt4o}\n")
    (tried,) = worked(queue)
    assert tried.answer is not None
    assert (tried.answer.decision.rule.name, asked_of(tried)) == ("private", {"ollama"})


def test_a_taint_that_a_caller_or_a_session_raised_is_kept_with_the_request(queue: Queue) -> None:
    made = client(queue, DOWN)
    with pytest.raises(Refused):
        made.complete(CARD, session="s")
    with pytest.raises(Refused) as caught:
        made.complete("hello", session="s", queue=True)
    (tried,) = worked(queue)
    assert tried.item.id == caught.value.queued
    assert asked_of(tried) == {"ollama"}
    failed(queue, "hello", contains_pii=True)
    (tried,) = worked(queue)
    assert asked_of(tried) == {"ollama"}


def test_a_kept_guarantee_never_gives_way_to_one_of_the_same_name() -> None:
    changed = loaded(POLICY.replace("when: {contains_pii: true}, only", "when: {tenant: nobody}, only"))
    policy = tightened(changed, [{"name": "home", "only": {"local": True}}])
    assert [g.name for g in policy.guarantees] == ["home", "home (kept with the request)"]
    assert policy.guarantees[-1].permitted == {"ollama"}


def test_named_items_are_asked_before_their_time_and_only_they(queue: Queue) -> None:
    first, _ = failed(queue, "one"), failed(queue, "two")
    tried = worked(queue, terms=Terms(among=(first.queued,), now=lambda: 0))
    assert [t.item.id for t in tried] == [first.queued]
    assert worked(queue, DOWN, terms=Terms(among=(first.queued,), now=lambda: 0)) == []


def test_an_item_that_was_dropped_while_it_was_asked_leaves_no_result(queue: Queue) -> None:
    error = failed(queue)

    class Dropping(Queue):
        def finish(self, *args: Any, **more: Any) -> bool:
            queue.drop(error.queued)
            return super().finish(*args, **more)

    dropping = Dropping(queue.folder, rehearsal=True)
    (tried,) = worked(dropping)
    assert tried.lost
    assert list((queue.folder / "results").iterdir()) == []
    dropping.close()


def test_a_body_that_cannot_be_read_is_given_up_and_no_other_suffers(queue: Queue) -> None:
    first, second = failed(queue, "one"), failed(queue, "two")
    body = queue.folder / "bodies" / f"{first.queued}.json"
    body.write_text(json.dumps({"request": {"version": 99}, "signals": {}}))
    tried = {t.item.id: t for t in worked(queue)}
    assert (tried[first.queued].error, tried[first.queued].next_try) == ("invalid", None)
    assert tried[second.queued].answer is not None


def test_real_requests_and_rehearsed_ones_are_never_mixed(queue: Queue) -> None:
    failed(queue)
    real = Queue(queue.folder)
    assert worked(real) == []
    assert [item.rehearsal for item in real.items()] == [True]
    real.close()


def test_a_queue_that_cannot_be_written_takes_nobody_down(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    error = failed(Queue(tmp_path / "file" / "queue"))
    assert isinstance(error, AllFailed)
    assert error.queued == ""
    assert "could not be kept" in str(error.help)


def test_a_request_comes_back_as_it_was() -> None:
    request = Request(
        messages=(
            Message("user", (Text("See ☕"), Unread("image", "image/png", "AA==", "x.png")), context=True),
            Message("assistant", (Thinking("hm", "seal", True, "anthropic"), ToolUse("1", "look", {"a": [1, {"b": None}]}, "{"))),
            Message("user", (ToolResult("1", "seen", True),)),
        ),
        system="Be brief.",
        files=(("a.txt", "text"),),
        tools=(Tool("look", "looks", {"type": "object"}, "anthropic:web"),),
        max_tokens=7,
        stream=True,
        response_format="json_schema",
        json_schema={"type": "object"},
        params={"stop": ("a", "b"), "temperature": 0.5, "thinking": True},
    )  # fmt: skip
    assert kept.from_json(json.loads(json.dumps(kept.to_json(request)))) == request
    given = {"pii": frozenset({"iban"}), "batch_size": 3, "score": 0.25, "stream": True, "tenant": "x", "user": ABSENT}
    back = kept.signals_from_json(json.loads(json.dumps(kept.signals_to_json(given))))
    assert back == {k: v for k, v in given.items() if v is not ABSENT}


@pytest.mark.parametrize("content", [{}, {"version": 1}, {"version": 1, "messages": 3, "files": [], "tools": [], "params": {}}, {"version": 1, "messages": [{"role": "user", "parts": [{"part": "x"}], "context": False}], "files": [], "tools": [], "params": {}}])  # fmt: skip
def test_what_was_not_kept_by_us_is_refused(content: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="kept request"):
        kept.from_json(content)
