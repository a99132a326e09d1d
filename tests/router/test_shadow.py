"""Shadows: a sampled copy to another provider, after the answer, behind every filter; recorded and never returned."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hroute.errors import AllFailed
from hroute.ledger import report, retention
from hroute.ledger.ledger import Ledger, at
from hroute.ledger.rollup import kept, recomputed
from hroute.providers.protocol import Permit, Target
from hroute.providers.sandbox.script import Script
from hroute.router.client import AsyncClient, Client
from hroute.router.health import Past
from hroute.router.limits import Size
from hroute.router.shadow import Shadows
from hroute.schema.load import load_text
from hroute.schema.policy import Breaker, Budget, Limits, Policy, Shadow, Threshold, Validate
from hroute.terms.message import Reply, Request
from hroute.terms.money import NANO, Price
from hroute.terms.outcome import Outcome
from hroute.terms.usage import Usage
from tests.router.stage import KEYED, PII, FakePlugin, failing, guarantee, policy, provider, rule, said

CARD = "my card is 4111 1111 1111 1111"
MAIL = "write to jane.doe@corp.com"
PRICED = Price(3_000_000_000, 15_000_000_000)
TALE = "There was a king. He had it all. " * 20
COST = 105_000  # of 10 tokens in, 5 out
WRITTEN = """
providers:
  mine: {plugin: ollama, model: m, local: true}
  big: {plugin: anthropic, model: claude-sonnet-5-5, api_key: env:KEY}
  other: {plugin: openai, model: gpt-4o, api_key: env:KEY}
routing_rules:
  - {name: all, condition: {}, route_to: mine, fallback: big, shadow: {to: other, sample: 100%}}
guarantees:
  - {name: home, when: {contains_pii: true}, only: {local: true}}
"""


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Ledger]:
    made = at(str(tmp_path / "ledger.db"), key_file=str(tmp_path / "ledger.db.key"))
    yield made
    made.close()


def shadowing(sample: float = 1.0, to: str = "other", **more: Any) -> Policy:
    """A free provider at home that answers, and a priced one that is its shadow."""
    around = [provider("mine", local=True, price=Price(0, 0)), provider("other", price=PRICED, **more.pop("other", {}))]
    shadowed = replace(rule(["mine"], **more.pop("rule", {})), shadow=Shadow(to, sample))
    return policy(around, shadowed, *more.pop("guarantees", ()), **more)


def client(books: Ledger | bool, plugin: FakePlugin, written: Policy, **more: Any) -> Client:
    return Client.from_policy(
        policy=written, environ=KEYED, ledger=books, load=lambda _: plugin, facts=lambda _: plugin.capabilities,
        clock=plugin.clock, rng=lambda: 0.0, **more,
    )  # fmt: skip


def rows(books: Ledger) -> list[dict[str, Any]]:
    assert books.flush(10), books.state()
    with books.read() as view:
        return [row for page in report.pages(view) for row in page]


def shadow_of(books: Ledger) -> dict[str, Any]:
    (row,) = rows(books)
    found: dict[str, Any] = row["around"]["shadow"]
    return found


def completed(books: Ledger, plugin: FakePlugin, written: Policy, text: str = "hello", **signals: Any) -> Any:
    """An answer, once its shadow has ended."""
    with client(books, plugin, written) as asked:
        answer = asked.complete(text, **signals)
    return answer


# what is sent, and what is recorded


def test_a_copy_goes_to_the_shadow_and_the_answer_knows_nothing_of_it(books: Ledger) -> None:
    plugin = FakePlugin({"mine": [said("Four.")], "other": [said("4")]})
    answer = completed(books, plugin, shadowing(), "2 + 2?")
    assert plugin.called == ["mine", "other"]
    assert plugin.calls[1][2].messages == plugin.calls[0][2].messages
    assert (answer.text, answer.actual_provider, answer.cost) == ("Four.", "mine", 0)
    assert [a.provider for a in answer.attempts] == ["mine"]


def test_the_ledger_has_it_as_an_attempt_of_its_own_kind_with_its_cost(books: Ledger) -> None:
    plugin = FakePlugin({"other": [said("hello", usage=Usage(input=10, output=5))]})
    answer = completed(books, plugin, shadowing())
    (row,) = rows(books)
    assert [(a["kind"], a["provider"], a["outcome"], a["cost"]) for a in row["attempts"]] == [
        ("try", "mine", "ok", 0),
        ("shadow", "other", "ok", COST),
    ]
    assert (row["id"], row["provider"], row["cost"], row["escalation"]) == (answer.id, "mine", COST, "")
    assert (row["input"], row["output"]) == (10, 5)  # its own: what it needs under any policy
    assert row["around"]["shadow"] == {"provider": "other", "outcome": "ok", "same": True}
    with books.read() as view:
        assert kept(view) == recomputed(view)


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("yes", "Yes.", True),
        ("The answer is 42.", "The answer is 41.", False),
        (f"Once upon a time. {TALE}", f"Long ago. {TALE}", None),
        ("Word for word, whatever it is.", "Word for  word, whatever it is.", True),
    ],
)
def test_what_both_say_is_compared_where_it_can_be(books: Ledger, ours: str, theirs: str, same: bool | None) -> None:
    completed(books, FakePlugin({"mine": [said(ours)], "other": [said(theirs)]}), shadowing())
    assert shadow_of(books)["same"] is same


def test_a_shadow_that_fails_is_asked_once_and_harms_nothing(books: Ledger) -> None:
    plugin = FakePlugin({"other": [failing(Outcome.SERVER, status=500)]})
    answer = completed(books, plugin, shadowing())
    assert answer.text == "hello"
    assert plugin.called == ["mine", "other"]
    (row,) = rows(books)
    assert (row["outcome"], row["escalation"]) == ("ok", "")
    assert row["attempts"][1]["outcome"] == "server"


def test_a_reply_that_the_rule_would_not_keep_is_recorded_as_such(books: Ledger) -> None:
    written = shadowing(rule={"validate": Validate(choices=("yes", "no"))})
    completed(books, FakePlugin({"mine": [said("yes")], "other": [said("perhaps")]}), written)
    assert shadow_of(books) == {"provider": "other", "outcome": "bad_content", "same": None}
    with books.read() as view:
        assert kept(view) == recomputed(view)


def test_the_sample_is_by_request_and_of_the_size_that_is_said(books: Ledger) -> None:
    plugin = FakePlugin()
    with client(books, plugin, shadowing(0.25)) as asked:
        for n in range(400):
            asked.complete("hello", id=f"r{n}")
            while asked.engine.shadows.under_way:
                threading.Event().wait(0.001)
    first = plugin.called.count("other")
    assert 60 <= first <= 140
    with client(False, plugin, shadowing(0.25)) as asked:
        for n in range(20):
            asked.complete("hello", id=f"r{n}")
    assert plugin.called.count("mine") == 420


def test_a_stream_has_its_shadow_after_its_last_word(books: Ledger) -> None:
    plugin = FakePlugin()
    with client(books, plugin, shadowing()) as asked:
        stream = asked.stream("hello")
        next(stream)
        assert plugin.called == ["mine"]
        assert "".join(stream.text()) == ""
    assert plugin.called == ["mine", "other"]
    assert shadow_of(books)["same"] is True


def test_text_is_kept_only_where_the_policy_keeps_text(books: Ledger) -> None:
    plugin = FakePlugin({"other": [said("secretive"), said("talkative")]})
    completed(books, plugin, shadowing())
    completed(books, plugin, shadowing(log_text="full"))
    completed(books, plugin, shadowing(log_text="full"), MAIL)
    assert books.flush(10)
    with books.read() as view:
        texts = view.run("SELECT answer FROM said WHERE id LIKE '%/shadow'")
    assert texts == [("talkative",)]
    kept_as = rows(books)[1]["id"]
    with books.read() as view:
        found = report.whole(view, kept_as)
    assert found is not None
    assert found["around"]["shadow"]["answer"] == "talkative"


def test_what_a_shadow_said_goes_with_its_request(books: Ledger) -> None:
    completed(books, FakePlugin(), shadowing(log_text="full"))
    assert books.flush(10)
    with books.read() as view:
        assert view.run("SELECT count(*) FROM said") == [(2,)]
    with books.store().write(1.0) as transaction:
        retention.prune(transaction, 10**15)
    with books.read() as view:
        assert view.run("SELECT count(*) FROM said") == [(0,)]


# who is not asked


def dropped(books: Ledger, plugin: FakePlugin) -> str:
    assert "other" not in plugin.called
    found = shadow_of(books)
    assert (found["provider"], found["outcome"]) == ("other", "dropped")
    why: str = found["why"]
    return why


def test_a_shadow_never_reaches_whom_a_guarantee_forbids(books: Ledger) -> None:
    plugin = FakePlugin()
    completed(books, plugin, shadowing(guarantees=[guarantee("home", ["mine"], PII)]), MAIL)
    assert "forbidden by guarantee home" in dropped(books, plugin)


def test_a_taint_that_the_caller_raises_holds_for_the_shadow_too(books: Ledger) -> None:
    plugin = FakePlugin()
    completed(books, plugin, shadowing(guarantees=[guarantee("home", ["mine"], PII)]), contains_pii=True)
    assert "forbidden by guarantee home" in dropped(books, plugin)


def test_a_provider_whose_breaker_is_open_has_no_shadow(books: Ledger) -> None:
    plugin = FakePlugin(otherwise=said())
    written = shadowing(other={"breaker": Breaker(failures=1)})
    with client(books, plugin, written) as asked:
        past = [Past("other", Outcome.SERVER, ago) for ago in (3.0, 2.0, 1.0)]
        asked.engine.health.seed([written.providers["other"]], past)
        asked.complete("hello")
    assert "errors breaker" in dropped(books, plugin)


def test_a_shadow_waits_for_no_place(books: Ledger) -> None:
    plugin = FakePlugin()
    written = shadowing(other={"limits": Limits(concurrency=1, wait=30.0)})
    with client(books, plugin, written) as asked:
        limiter = asked.engine.health.of(written.providers["other"]).limiter
        (taken,) = _results(limiter)
        asked.complete("hello")
        asked.engine.shadows.close()
        limiter.leave(taken)
    assert "limits.concurrency is reached" in dropped(books, plugin)
    assert plugin.clock.waits == []


def _results(limiter: Any) -> list[Any]:
    way = limiter.enter(Size(), lambda: 0.0)
    try:
        next(way)
    except StopIteration as stop:
        return [stop.value]
    raise AssertionError("there was no room")


def test_a_budget_without_room_has_none_for_shadows(books: Ledger) -> None:
    small = Budget("small", limit=1, per="day", timezone="UTC", where={}, at=(Threshold(1.0, "refuse"),))
    plugin = FakePlugin()
    completed(books, plugin, shadowing(budgets=(small,)))
    assert "budget small" in dropped(books, plugin)


def test_a_shadow_is_reserved_and_settled_like_any_call(books: Ledger) -> None:
    roomy = Budget("roomy", limit=5 * NANO, per="day", timezone="UTC", where={}, at=(Threshold(1.0, "refuse"),))
    completed(books, FakePlugin(), shadowing(budgets=(roomy,)))
    assert books.flush(10)
    with books.read() as view:
        assert view.run("SELECT spent, reserved FROM counter") == [(COST, 0)]


def test_whoever_has_answered_is_not_its_own_shadow(books: Ledger) -> None:
    plugin = FakePlugin()
    completed(books, plugin, shadowing(to="mine"))
    assert plugin.called == ["mine"]
    assert "shadow" not in rows(books)[0]["around"]


def test_without_an_answer_there_is_no_shadow(books: Ledger) -> None:
    plugin = FakePlugin(otherwise=failing(Outcome.SERVER))
    with client(books, plugin, shadowing()) as asked, pytest.raises(AllFailed):
        asked.complete("hello")
    assert "other" not in plugin.called


def test_who_leaves_a_stream_early_leaves_no_shadow(books: Ledger) -> None:
    plugin = FakePlugin()
    with client(books, plugin, shadowing()) as asked:
        stream = asked.stream("hello")
        next(stream)
        stream.close()
    assert plugin.called == ["mine"]


def test_a_policy_that_only_observes_sends_none(books: Ledger) -> None:
    plugin = FakePlugin()
    completed(books, plugin, shadowing(mode="observe", baseline="mine"))
    assert plugin.called == ["mine"]


def test_it_counts_against_the_attempts_and_the_deadline_of_its_request(books: Ledger) -> None:
    plugin = FakePlugin()
    completed(books, plugin, shadowing(attempts=1))
    assert "no call or no time" in dropped(books, plugin)
    slow = FakePlugin(seconds=31.0)
    with client(False, slow, shadowing(deadline=60.0)) as asked:
        asked.complete("hello")
    assert [target.total for _, target, _ in slow.calls] == [60.0, 29.0]


# nobody waits for it


class Stalling(FakePlugin):
    """The shadow says nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()
        self.asked = threading.Event()

    def send(self, target: Target, request: Request, permit: Permit) -> Reply:
        if target.name == "other":
            self.asked.set()
            self.go_on.wait(60)
        return super().send(target, request, permit)

    async def asend(self, target: Target, request: Request, permit: Permit) -> Reply:
        if target.name == "other":
            self.asked.set()
            await asyncio.to_thread(self.go_on.wait, 60)
        return super().send(target, request, permit)


def test_the_answer_waits_for_no_shadow_and_the_end_does(books: Ledger) -> None:
    plugin = Stalling()
    with client(books, plugin, shadowing()) as asked:
        assert asked.complete("hello").text == "hello"
        assert plugin.asked.wait(10)
        assert plugin.called == ["mine"]
        threading.Timer(0.05, plugin.go_on.set).start()
    assert plugin.called == ["mine", "other"]
    assert shadow_of(books)["outcome"] == "ok"


def test_the_end_waits_only_so_long_and_what_was_paid_for_is_written_down(books: Ledger) -> None:
    plugin = Stalling()
    asked = client(books, plugin, shadowing())
    asked.engine.shadows = Shadows(patience=0.05)
    asked.complete("hello")
    assert plugin.asked.wait(10)
    asked.close()
    (row,) = rows(books)
    assert [(a["kind"], a["outcome"], a["estimated"]) for a in row["attempts"]][1] == ("shadow", "cancelled", True)
    assert row["cost"] > 0
    plugin.go_on.set()


def test_more_than_so_many_at_a_time_are_dropped(books: Ledger) -> None:
    plugin = Stalling()
    asked = client(books, plugin, shadowing())
    asked.engine.shadows = Shadows(most=2)
    for _ in range(5):
        asked.complete("hello")
    plugin.go_on.set()
    asked.close()
    assert plugin.called.count("other") == 2
    found = [row["around"]["shadow"]["outcome"] for row in rows(books)]
    assert sorted(found) == ["dropped", "dropped", "dropped", "ok", "ok"]


def test_where_no_thread_is_to_be_had_the_answer_is_there_all_the_same(
    books: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refused(threading.Thread):
        def start(self) -> None:
            if self.name == "hroute-shadow":
                raise RuntimeError("can't start new thread")
            super().start()

    plugin = FakePlugin()
    with client(books, plugin, shadowing()) as asked:
        monkeypatch.setattr(threading, "Thread", Refused)
        assert asked.complete("hello").text == "hello"
        monkeypatch.undo()
        assert asked.engine.shadows.under_way == 0
    assert "too many shadows" in dropped(books, plugin)


def test_on_an_event_loop_neither(books: Ledger) -> None:
    plugin = Stalling()

    async def main() -> None:
        async with AsyncClient.from_policy(
            policy=shadowing(), environ=KEYED, ledger=books, load=lambda _: plugin,
            facts=lambda _: plugin.capabilities, clock=plugin.clock,
        ) as asked:  # fmt: skip
            assert (await asked.complete("hello")).text == "hello"
            while not plugin.asked.is_set():
                await asyncio.sleep(0.001)
            assert plugin.called == ["mine"]
            plugin.go_on.set()

    asyncio.run(main())
    assert shadow_of(books)["outcome"] == "ok"


def test_a_loop_that_ends_without_closing_takes_its_shadows_along(books: Ledger) -> None:
    class Sleeping(FakePlugin):
        async def asend(self, target: Target, request: Request, permit: Permit) -> Reply:
            if target.name == "other":
                await asyncio.sleep(600)
            return super().send(target, request, permit)

    plugin = Sleeping()

    async def main() -> None:
        asked = AsyncClient.from_policy(
            policy=shadowing(), environ=KEYED, ledger=books, load=lambda _: plugin,
            facts=lambda _: plugin.capabilities, clock=plugin.clock,
        )  # fmt: skip
        await asked.complete("hello")
        for _ in range(5):
            await asyncio.sleep(0)

    asyncio.run(main())
    assert shadow_of(books)["outcome"] == "cancelled"


# over the sandbox


def sandboxed(kind: Any, books: Ledger, *faults: dict[str, Any]) -> Any:
    script = Script.from_data({"faults": list(faults), "answers": [{"text": "Blue."}]})
    loaded, findings, _ = load_text(WRITTEN)
    assert loaded is not None, findings
    return kind.from_policy(policy=loaded, sandbox=script, environ={}, ledger=books)


@pytest.mark.parametrize("text", ["why is the sky blue?", CARD], ids=["clean", "tainted"])
def test_over_the_sandbox_in_both_ways_of_calling(books: Ledger, text: str) -> None:
    with sandboxed(Client, books) as asked:
        asked.complete(text)
        list(asked.stream(text))

    async def main() -> None:
        async with sandboxed(AsyncClient, books) as asked:
            await asked.complete(text)
            assert [event async for event in asked.stream(text)]

    asyncio.run(main())
    found = [row["around"]["shadow"] for row in rows(books)]
    if text == CARD:
        assert all(one["outcome"] == "dropped" and "guarantee home" in one["why"] for one in found)
        assert {a["provider"] for row in rows(books) for a in row["attempts"]} == {"mine"}
    else:
        assert found == [{"provider": "other", "outcome": "ok", "same": True}] * 4
