"""Every request leaves an honest row, whatever becomes of it; budgets stand in the way of calls and of nothing else."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hroute.errors import AllFailed, Refused
from hroute.ledger import costs, report
from hroute.ledger.ledger import Ledger, Settings, at
from hroute.router.attempts import Call
from hroute.router.client import AsyncClient, Client
from hroute.router.plan import Why
from hroute.schema.condition import OneOf, Test
from hroute.schema.load import load_text
from hroute.schema.policy import Budget, Policy, Threshold
from hroute.terms.message import Done, Message, Request, Text, TextDelta, ToolResult
from hroute.terms.money import NANO, Price
from hroute.terms.outcome import Failure, Outcome
from hroute.terms.usage import Usage
from tests.router.stage import KEYED, FakePlugin, failing, policy, provider, rule, said

CARD = "my card is 4111 1111 1111 1111"
PRICED = Price(3_000_000_000, 15_000_000_000)  # 3 and 15 dollars a million tokens
ANSWER = said(usage=Usage(input=10, output=5))  # 30,000 + 75,000 nano-dollars
COST = 105_000


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Ledger]:
    made = at(str(tmp_path / "ledger.db"), key_file=str(tmp_path / "ledger.db.key"))
    yield made
    made.close()


def two(**more: Any) -> Policy:
    """Two priced providers in the cloud, one behind the other, and a free one at home."""
    first, second = provider("first", price=PRICED), provider("second", price=PRICED)
    home = provider("home", local=True, price=Price(0, 0))
    return policy([first, second, home], more.pop("default", rule(["first", "second", "home"])), **more)


def client(books: Ledger, plugin: FakePlugin, written: Policy | None = None) -> Client:
    return Client.from_policy(
        policy=written or two(),
        environ=KEYED,
        ledger=books,
        load=lambda _: plugin,
        facts=lambda _: plugin.capabilities,
        clock=plugin.clock,
        rng=lambda: 0.0,
    )


def rows(books: Ledger) -> list[dict[str, Any]]:
    assert books.flush(10), books.state()
    with books.read() as view:
        return [row for page in report.pages(view) for row in page]


def row(books: Ledger) -> dict[str, Any]:
    (found,) = rows(books)
    return found


# one row a request


def test_an_answer_leaves_a_row_with_what_was_decided_and_what_served(books: Ledger) -> None:
    plugin = FakePlugin({"first": [failing(Outcome.CREDENTIAL, status=401, code="invalid_key")], "second": [ANSWER]})
    answer = client(books, plugin).complete("hello", cost_center="bot", session="s-1", user="alice")
    found = row(books)
    assert found["id"] == answer.id
    assert (found["rule"], found["routed_to"], found["provider"], found["model"]) == (
        "default", "first", "second", "second-1",
    )  # fmt: skip
    assert (found["outcome"], found["escalation"], found["escalated"]) == ("ok", "credential", True)
    assert (found["cost"], found["input"], found["output"]) == (COST, 10, 5)
    assert answer.cost == found["cost"]
    assert found["latency_ms"] == pytest.approx(200)
    assert [(a["provider"], a["outcome"], a["status"], a["code"], a["cost"]) for a in found["attempts"]] == [
        ("first", "credential", 401, "invalid_key", 0),
        ("second", "ok", None, None, COST),
    ]
    assert found["cost_center"] == "bot"
    assert found["around"] == {"route": ["first", "second", "home"], "skipped": []}
    assert found["prices"]
    assert not found["tainted"]


def test_a_failure_leaves_a_row_that_says_how_it_failed(books: Ledger) -> None:
    plugin = FakePlugin(otherwise=failing(Outcome.TRANSPORT))
    with pytest.raises(AllFailed):
        client(books, plugin).complete("hello")
    found = row(books)
    assert (found["outcome"], found["error"], found["provider"], found["cost"]) == ("transport", "HR903", "", 0)
    assert len(found["attempts"]) == 6


def test_a_refusal_by_a_rule_leaves_a_row(books: Ledger) -> None:
    closed = replace(rule(["first"], name="closed"), route=None, refuse="closed")
    with pytest.raises(Refused):
        client(books, FakePlugin(), two(default=closed)).complete("hello")
    found = row(books)
    assert (found["outcome"], found["rule"], found["routed_to"], found["attempts"]) == ("refused", "closed", "", [])


def test_a_caller_who_goes_away_leaves_a_row(books: Ledger) -> None:
    plugin = FakePlugin({"first": [[TextDelta("one "), TextDelta("two "), Done(ANSWER)]]})
    stream = client(books, plugin).stream("hello")
    next(stream)
    stream.close()
    found = row(books)
    assert (found["outcome"], found["stream"], found["estimated"]) == ("cancelled", True, True)
    assert found["cost"] > COST, "what nobody counted stands at its estimate"


def test_a_stream_that_breaks_leaves_a_row_that_says_so(books: Ledger) -> None:
    plugin = FakePlugin({"first": [[TextDelta("one "), Failure(Outcome.TRANSPORT, "reset")]]})
    with pytest.raises(AllFailed):
        list(client(books, plugin).stream("hello"))
    assert row(books)["outcome"] == "truncated"


def test_a_stream_that_ends_leaves_one_row(books: Ledger) -> None:
    list(client(books, FakePlugin({"first": [ANSWER]})).stream("hello"))
    found = row(books)
    assert (found["outcome"], found["stream"], found["cost"]) == ("ok", True, COST)
    assert found["ttft_ms"] is not None


def test_the_event_loops_client_leaves_the_same_row(books: Ledger) -> None:
    plugin = FakePlugin({"first": [ANSWER]})

    async def work() -> None:
        one = AsyncClient(client(books, plugin).engine)
        await one.complete("hello")
        await one.aclose()

    asyncio.run(work())
    assert row(books)["cost"] == COST


def test_a_price_that_nobody_knows_is_null_in_row_and_sums(books: Ledger) -> None:
    unknown = policy([provider("first")], rule(["first"]))
    client(books, FakePlugin(), unknown).complete("hello")
    assert row(books)["cost"] is None
    with books.read() as view:
        found = costs.costs(view, "provider", "0000", "9999")
    assert (found.rows[0].cost, found.rows[0].known, found.rows[0].unpriced) == (None, 0, 1)


def test_an_observing_policy_says_what_its_own_choice_would_have_cost(books: Ledger) -> None:
    watching = two(mode="observe", baseline="second", default=rule(["home"]))
    client(books, FakePlugin({"second": [ANSWER]}), watching).complete("hello")
    found = row(books)
    assert (found["routed_to"], found["provider"], found["escalation"]) == ("home", "second", "observed")
    assert (found["cost"], found["would_cost"], found["mode"]) == (COST, 0, "observe")


def test_a_rehearsal_is_marked_and_spends_no_real_budget(books: Ledger) -> None:
    spent = two(budgets=(Budget("daily", NANO, "day", at=(Threshold(1.0, "refuse"),)),))
    Client.from_policy(
        policy=spent, environ={}, sandbox=True, ledger=books, facts=lambda _: FakePlugin().capabilities
    ).complete("hi")
    assert row(books)["mode"] == "sandbox"
    with books.read() as view:
        assert view.run("SELECT scope FROM counter") == [("sandbox",)]


# signals, hashes, text


def test_signals_are_kept_as_the_rules_saw_them_with_the_cheap_rest(books: Ledger) -> None:
    client(books, FakePlugin()).complete("hello there", task_type="code", tenant="acme", requested_model="m")
    found = row(books)
    signals = found["signals"]
    assert signals["task_type"] == "code"
    assert signals["tenant"] == found["tenant"] == "acme"
    assert signals["requested_model"] == "m"
    assert signals["prompt_tokens"] > 0
    assert "score" not in signals
    with books.read() as view:
        versions = json.loads(report.document(view, found["versions"]) or "")
    assert versions["tokens"].startswith("tokens/")
    assert "pii" in versions


@pytest.mark.parametrize(("wanted", "there", "missing"), [("asked", "task_type", "turns"), ("all", "score", "message")])
def test_the_policy_says_which_signals_are_kept(tmp_path: Path, wanted: Any, there: str, missing: str) -> None:
    books = at(str(tmp_path / "l.db"), Settings(signals=wanted), key_file=str(tmp_path / "k"))
    client(books, FakePlugin()).complete("hello", task_type="code")
    signals = row(books)["signals"]
    assert there in signals
    assert missing not in signals
    books.close()


def test_users_and_sessions_are_hashed_under_a_key_that_only_the_owner_can_read(books: Ledger, tmp_path: Path) -> None:
    asking = client(books, FakePlugin())
    for session in ("s-1", "s-1", "s-2"):
        asking.complete("hello", user="alice@example.com", session=session)
    found = rows(books)
    assert len({r["session_key"] for r in found}) == 2
    assert len({r["prompt_key"] for r in found}) == 1
    assert len(found[0]["prompt_key"]) == 32
    books.close()
    raw = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"alice" not in raw
    assert b"s-1" not in raw
    assert stat.S_IMODE((tmp_path / "ledger.db.key").stat().st_mode) == 0o600


def test_of_a_tainted_request_no_hash_is_kept_whether_a_rule_asked_for_the_taint_or_not(books: Ledger) -> None:
    spied = load_text("version: 1\nrouting_rules: []\n")[0]
    assert spied is not None
    client(books, FakePlugin(), replace(two(), signals=spied.signals)).complete(CARD)
    found = row(books)
    assert (found["tainted"], found["prompt_key"]) == (True, "")


@pytest.mark.parametrize("kept", ["none", "redacted", "full"])
def test_text_is_kept_only_by_consent_and_never_of_a_tainted_request(tmp_path: Path, kept: Any) -> None:
    spied = load_text("version: 1\nrouting_rules: []\n")[0]
    assert spied is not None
    books = at(str(tmp_path / "l.db"), key_file=str(tmp_path / "k"))
    written = replace(two(), signals=spied.signals, log_text=kept)
    plugin = FakePlugin({"first": [said("a fine answer from 192.168.0.7"), said("fine"), said(CARD)]})
    asking = client(books, plugin, written)
    ids = [asking.complete(text).id for text in ("tell me about canary-42", CARD, "harmless")]
    with_text = [found for id in ids if (found := shown(books, id).get("said"))]
    books.close()
    raw = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"4111" not in raw
    assert (b"canary-42" in raw) == (kept != "none")
    if kept == "none":
        assert with_text == []
        return
    assert [one["redacted"] for one in with_text] == [kept == "redacted"] * 2
    assert ("192.168.0.7" in with_text[0]["answer"]) == (kept == "full")
    assert with_text[1]["answer"] == "[left out: personal data or a secret]"


def shown(books: Ledger, id: str) -> dict[str, Any]:
    assert books.flush()
    with books.read() as view:
        found = report.whole(view, id)
    assert found is not None
    return found


def test_a_tools_result_is_no_turn_of_the_user(books: Ledger) -> None:
    asking = client(books, FakePlugin())
    loop = Request((Message("user", (Text("go"),)), Message("user", (ToolResult("t", "42"),))))
    spoken, answered = asking.complete("go", session="s"), asking.complete(loop, session="s")
    turns = {r["id"]: r["user_turn"] for r in rows(books)}  # by id: both may have begun in one millisecond
    assert turns == {spoken.id: True, answered.id: False}
    with books.read() as view:
        assert view.run("SELECT count(*) FROM follow_up") == [(0,)]


def test_the_policy_is_kept_by_its_hash_and_loads_back(books: Ledger) -> None:
    loaded = load_text((Path(__file__).parents[2] / "routing-config.yaml").read_text())[0]
    assert loaded is not None
    plugin = FakePlugin()
    client(books, plugin, loaded).complete("what are your opening hours", down=("claude_sonnet",))
    with books.read() as view:
        body = report.document(view, row(books)["policy"])
    again = load_text(body or "", "policy.yaml")[0]
    assert again is not None
    assert again.hash == loaded.hash


# budgets


def budget(limit: int, **more: Any) -> Budget:
    return Budget("daily", limit, "day", **{"at": (Threshold(1.0, "refuse"),), **more})


def estimate_of(tokens: int = 1) -> int:
    """What is reserved for a prompt of so many tokens where nothing was learned: 1,024 tokens out."""
    return tokens * 3_000 + 1_024 * 15_000


def test_a_spent_budget_skips_who_costs_and_still_lets_who_costs_nothing_serve(books: Ledger) -> None:
    plugin = FakePlugin(otherwise=ANSWER)
    asking = client(books, plugin, two(budgets=(budget(1),)))
    answer = asking.complete("hi")
    assert answer.actual_provider == "home"
    assert answer.escalation == "budget"
    assert [(s.provider, s.why) for s in answer.skipped] == [("first", Why.BUDGET), ("second", Why.BUDGET)]
    assert plugin.called == ["home"]
    assert not row(books)["escalated"], "diverted on purpose, the route is well"


def test_where_nobody_is_free_a_spent_budget_refuses_and_says_which_and_until_when(books: Ledger) -> None:
    closed = two(budgets=(budget(2 * COST, timezone="Europe/Berlin"),), default=rule(["first", "second"]))
    plugin = FakePlugin(otherwise=ANSWER)
    with pytest.raises(
        Refused, match=r"budget daily .* of \$0.00, until \d{4}-\d\d-\d\d 00:00 Europe/Berlin"
    ) as raised:
        client(books, plugin, closed).complete("hi")
    assert raised.value.code == "HR904"
    assert plugin.called == []
    (spent, _) = [s.budget for s in raised.value.skipped]
    assert spent is not None
    assert (spent.budget, spent.limit, spent.spent) == ("daily", 2 * COST, 0)
    assert (row(books)["outcome"], row(books)["error"]) == ("refused", "HR904")


def test_of_several_spent_budgets_the_narrowest_is_named(books: Ledger) -> None:
    narrow = replace(budget(1, where={"cost_center": ("bot",), "user": ("alice",)}), name="hers")
    wide = two(budgets=(budget(1), narrow), default=rule(["first"]))
    asking = client(books, FakePlugin(otherwise=ANSWER), wide)
    with pytest.raises(Refused, match="budget hers"):
        asking.complete("hi", cost_center="bot", user="alice")
    with pytest.raises(Refused, match="budget daily"):
        asking.complete("hi", cost_center="bot", user="bob")


def test_a_budget_counts_what_calls_did_cost(books: Ledger) -> None:
    asking = client(books, FakePlugin(otherwise=ANSWER), two(budgets=(budget(NANO),)))
    for _ in range(3):
        asking.complete("hi")
    assert books.flush()
    with books.read() as view:
        assert view.run("SELECT spent, reserved FROM counter") == [(3 * COST, 0)]
        assert view.run("SELECT count(*) FROM lease") == [(0,)]
        assert view.run("SELECT state, count(*) FROM request GROUP BY state") == [("done", 3)]


def test_every_call_of_a_request_is_counted(books: Ledger) -> None:
    spoiled = said("", usage=Usage(input=10, output=5))
    plugin = FakePlugin({"first": [spoiled, spoiled]}, otherwise=ANSWER)
    answer = client(books, plugin, two(budgets=(budget(NANO),))).complete("hi")
    assert answer.actual_provider == "second"
    assert answer.cost == 3 * COST
    assert books.flush()
    with books.read() as view:
        assert view.run("SELECT spent FROM counter") == [(3 * COST,)]


def test_a_budget_for_some_requests_leaves_the_others_alone(books: Ledger) -> None:
    bot = budget(1, where={"cost_center": ("bot",)})
    asking = client(books, FakePlugin(otherwise=ANSWER), two(budgets=(bot,)))
    assert asking.complete("hi", cost_center="shop").actual_provider == "first"
    assert asking.complete("hi").actual_provider == "first"
    assert asking.complete("hi", cost_center="bot").actual_provider == "home"


@pytest.mark.parametrize(
    "where", [{"provider": ("first",)}, {"plugin": ("fake",), "provider": ("first", "third")}, {"rule": ("default",)}]
)
def test_a_budget_may_be_of_a_provider_a_plugin_or_a_rule(books: Ledger, where: Any) -> None:
    answer = client(books, FakePlugin(otherwise=ANSWER), two(budgets=(budget(1, where=where),))).complete("hi")
    assert answer.actual_provider == ("second" if "provider" in where else "home")


def test_a_threshold_may_leave_some_providers_and_some_requests_alone(books: Ledger) -> None:
    only = Threshold(0.0, "only", frozenset(("second",)), unless=Test("tenant", OneOf(("vip",))))
    asking = client(books, FakePlugin(otherwise=ANSWER), two(budgets=(budget(NANO, at=(only,)),)))
    assert asking.complete("hi").actual_provider == "second"
    assert asking.complete("hi", tenant="vip").actual_provider == "first"


def test_a_stage_of_a_budget_is_reached_at_its_share(books: Ledger) -> None:
    stages = (Threshold(0.5, "only", frozenset(("second",))), Threshold(1.0, "refuse"))
    asking = client(books, FakePlugin(otherwise=ANSWER), two(budgets=(budget(3 * estimate_of(), at=stages),)))
    served = [asking.complete("hi").actual_provider for _ in range(150)]
    assert served[0] == "first"
    assert list(dict.fromkeys(served)) == ["first", "second"]


def test_an_alert_is_no_limit(books: Ledger) -> None:
    asking = client(books, FakePlugin(otherwise=ANSWER), two(budgets=(budget(COST, at=(Threshold(0.5, "alert"),)),)))
    assert {asking.complete("hi").actual_provider for _ in range(3)} == {"first"}
    assert books.flush()
    with books.read() as view:
        assert view.run("SELECT count(*) FROM alert") == [(1,)]


def test_an_unknown_price_is_let_in_until_the_budget_is_spent_and_counted(books: Ledger) -> None:
    unknown = policy([provider("first"), provider("paid", price=PRICED)], rule(["first"]), budgets=(budget(COST),))
    asking = client(books, FakePlugin(otherwise=ANSWER), unknown)
    asking.complete("hi")
    with books.store().write(1) as transaction:
        assert transaction.run("SELECT spent, unpriced FROM counter") in ([(0, 1)], [(0, 0)])
        transaction.run("UPDATE counter SET spent = ?", (COST,))
    with pytest.raises(Refused):
        asking.complete("hi")
    assert books.flush()
    with books.read() as view:
        assert view.run("SELECT unpriced FROM counter") == [(1,)]


def test_with_reserve_ceiling_an_unknown_price_is_not_let_in(tmp_path: Path) -> None:
    books = at(str(tmp_path / "l.db"), Settings(reserve="ceiling"))
    unknown = policy([provider("first")], rule(["first"]), budgets=(budget(NANO),))
    with pytest.raises(Refused, match="price is unknown"):
        client(books, FakePlugin(otherwise=ANSWER), unknown).complete("hi")
    books.close()


def test_with_reserve_ceiling_the_most_that_a_call_can_cost_is_set_aside(tmp_path: Path) -> None:
    books = at(str(tmp_path / "l.db"), Settings(reserve="ceiling"))
    most = 4_096 * 15_000  # what the answer may cost; the prompt comes on top
    tight = client(books, FakePlugin(otherwise=ANSWER), two(budgets=(budget(most),), default=rule(["first"])))
    with pytest.raises(Refused):
        tight.complete("hi")
    assert tight.complete("hi", max_tokens=100).actual_provider == "first"
    books.close()


def test_a_rule_s_learned_length_of_answers_is_what_is_reserved(books: Ledger) -> None:
    asking = client(
        books, FakePlugin(otherwise=said(usage=Usage(input=10, output=2_000))), two(budgets=(budget(NANO),))
    )
    for _ in range(25):
        asking.complete("hi")
    assert books.flush()
    books._learned.clear()
    assert 1_850 <= (books.answers("default", "first", "first-1").below(0.9) or 0) <= 2_160
    run = asking._begin("hi", {})
    while not isinstance(next(run.steps), Call):
        pass
    with books.read() as view:
        reserved = view.run("SELECT max(amount) FROM lease")[0][0]
    run.steps.close()
    assert reserved > 1_850 * 15_000


def test_a_budget_that_cannot_be_asked_stops_no_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "l.db").write_bytes(b"no database " * 1_000)
    books = at(str(tmp_path / "l.db"), key_file=str(tmp_path / "k"))
    answer = client(books, FakePlugin(otherwise=ANSWER), two(budgets=(budget(NANO),))).complete("hi")
    assert answer.actual_provider == "first"
    assert not books.close(1)
    assert "the file is no database" in caplog.text


def test_a_locked_file_stops_no_answer_and_costs_no_row(tmp_path: Path) -> None:
    books = at(str(tmp_path / "l.db"), key_file=str(tmp_path / "k"))
    asking = client(books, FakePlugin(otherwise=ANSWER), two(budgets=(budget(NANO),)))
    asking.complete("hi")
    assert books.flush()
    other = sqlite3.connect(tmp_path / "l.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert asking.complete("hi").actual_provider == "first"
    other.execute("ROLLBACK")
    other.close()
    assert len(rows(books)) == 2
    with books.read() as view:
        assert view.run("SELECT spent, reserved FROM counter") == [(2 * COST, 0)]
    books.close()


def test_a_crossing_reaches_the_webhook_that_the_policy_names_and_says_no_name_of_a_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted: list[tuple[str, dict[str, Any]]] = []

    def post(url: str, body: bytes, headers: Any, timeout: float) -> int:
        posted.append((url, json.loads(body)))
        return 200

    monkeypatch.setattr("hroute.providers.post.post", post)
    hooked = two(
        budgets=(budget(COST, at=(Threshold(0.5, "alert"),), where={"user": ("alice",)}),),
        alerts={"webhook": "env:HOOK", "log": False},
    )
    environ = {**KEYED, "HROUTE_LEDGER": str(tmp_path / "l.db"), "HOOK": "https://hooks.example.com/x"}
    plugin = FakePlugin(otherwise=ANSWER)
    asking = Client.from_policy(
        policy=hooked, environ=environ, load=lambda _: plugin, facts=lambda _: plugin.capabilities, clock=plugin.clock
    )
    for _ in range(3):
        asking.complete("hi", user="alice")
    asking.close()
    ((url, body),) = posted
    assert url == "https://hooks.example.com/x"
    assert [a["share"] for a in body["alerts"]] == [0.5]
    assert "alice" not in json.dumps(body)
