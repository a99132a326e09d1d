"""A policy that only observes keeps nobody from anything, and says whom it would have kept from what."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hroute.errors import AllFailed, NoCredential
from hroute.ledger import report
from hroute.ledger.ledger import Ledger
from hroute.providers.sandbox.script import Script
from hroute.router.client import AsyncClient, Client
from hroute.router.plan import Why
from hroute.schema.load import load_text
from hroute.terms.clock import VirtualClock
from hroute.terms.outcome import Outcome, Reason
from tests.router.stage import FakePlugin
from tests.router.test_bookkeeping import books as books
from tests.router.test_client import CARD, POLICY, providers

OBSERVING = POLICY.replace("version: 1", "version: 1\nmode: observe\nbaseline: gpt4o")
LEAKY = OBSERVING.replace("condition: {contains_pii: true}, route_to: ollama", "condition: {contains_pii: true}, route_to: claude_sonnet")  # fmt: skip


def client(*faults: dict[str, Any], policy: str = OBSERVING, kind: Any = Client, **more: Any) -> Any:
    loaded, findings, _ = load_text(policy)
    assert loaded is not None, findings
    script = Script.from_data({"faults": list(faults)})
    return kind.from_policy(policy=loaded, sandbox=script, environ={}, **{"clock": VirtualClock(), **more})


def kept_out(answer: Any) -> list[tuple[str, str | None]]:
    return [(s.provider, s.guarantee) for s in answer.skipped if s.why is Why.GUARANTEE]


def test_what_a_guarantee_forbids_is_served_as_before_and_written_down() -> None:
    answer = client().complete(CARD)
    assert (answer.actual_provider, answer.escalation) == ("gpt4o", Reason.OBSERVED)
    assert answer.routed_to == "ollama"
    assert kept_out(answer) == [("gpt4o", "home")], "the baseline would have been forbidden"
    assert answer.would_refuse is None, "the policy has somebody who may serve it"
    assert "would_refuse" not in answer.as_json()


def test_what_guarantees_would_have_left_to_nobody_is_told() -> None:
    answer = client(policy=LEAKY).complete(CARD)
    assert answer.actual_provider == "gpt4o"
    assert answer.would_refuse == "guarantee home"
    assert answer.as_json()["would_refuse"] == "guarantee home"
    assert set(kept_out(answer)) == {("claude_sonnet", "home"), ("gpt4o", "home")}


def test_what_a_rule_would_have_refused_is_served_and_told() -> None:
    answer = client().complete("hello", tenant="blocked")
    assert (answer.actual_provider, answer.would_refuse, answer.routed_to) == ("gpt4o", "rule closed", "")


def test_the_stream_of_a_tainted_request_is_passed_on_as_before() -> None:
    stream = client().stream(CARD)
    words = "".join(stream.text())
    assert words == stream.answer.text
    assert stream.answer.actual_provider == "gpt4o"

    async def main() -> str:
        astream = client(kind=AsyncClient).stream(CARD)
        async for _ in astream:
            pass
        return astream.answer.actual_provider  # type: ignore[no-any-return]

    assert asyncio.run(main()) == "gpt4o"


def test_no_breaker_keeps_a_request_from_where_it_went_before() -> None:
    watched = client({"kind": "server_error", "provider": "gpt4o", "first": 12})
    for _ in range(6):
        with pytest.raises(AllFailed):
            watched.complete("hello")
    assert watched.complete("hello").actual_provider == "gpt4o"


def test_a_rule_s_validation_and_parameters_change_nothing() -> None:
    ruled = OBSERVING.replace(
        "validate: {attempts: 2, format: json}", "validate: {choices: [a, b]}, params: {top_p: 0.1}"
    )
    answer = client(policy=ruled).complete("hello", task_type="classification")
    assert (answer.actual_provider, [a.outcome for a in answer.attempts]) == ("gpt4o", [Outcome.OK])


def test_nobody_takes_the_baseline_s_place() -> None:
    with pytest.raises(AllFailed) as caught:
        client({"kind": "down", "provider": "gpt4o"}).complete("hello", task_type="code")
    assert set(providers(caught.value)) == {"gpt4o"}
    loaded = load_text(OBSERVING)[0]
    assert loaded is not None
    with pytest.raises(NoCredential, match="credential"):
        Client.from_policy(policy=loaded, environ={"ANTHROPIC_API_KEY": "k"}).complete("hello")


def test_the_ledger_knows_what_would_have_been_refused(books: Ledger) -> None:
    fake = FakePlugin()
    loaded = load_text(LEAKY)[0]
    keys = {"ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "k"}
    parts = {"load": lambda _: fake, "facts": lambda _: fake.capabilities, "clock": fake.clock}
    watched = Client.from_policy(policy=loaded, environ=keys, ledger=books, **parts)
    for prompt, signals in ((CARD, {}), ("hello", {"tenant": "blocked"}), ("hello", {"task_type": "code"})):
        watched.complete(prompt, **signals)
    books.flush()
    with books.read() as view:
        rows = report.logs(view)
        refused = report.logs(view, would_refuse=True)
    assert [row["routed_to"] for row in rows] == ["", "", "claude_sonnet"]
    assert [(row["provider"], row["would_cost"]) for row in refused] == [("gpt4o", 0), ("gpt4o", 0)]
