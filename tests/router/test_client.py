"""From a prompt to an answer through a real policy, over the sandbox: fallbacks, refusals, errors, streams."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from hroute.errors import AllFailed, CallerFault, HrouteError, NoCredential, PolicyError, Refused, UsageError
from hroute.providers.sandbox.script import Script
from hroute.router.client import Answer, AsyncClient, Client, Move, TaskContext, policy_path, request_of
from hroute.router.drive import adrive, asender
from hroute.schema.load import load_text
from hroute.schema.policy import Policy
from hroute.terms.clock import VirtualClock
from hroute.terms.message import Done, StopReason, TextDelta, prompt
from hroute.terms.outcome import Outcome, Reason

POLICY = """
version: 1
providers:
  ollama: {plugin: ollama, model: "llama3.1:8b", local: true}
  claude_sonnet: {plugin: anthropic, model: claude-sonnet-5-5, api_key: env:ANTHROPIC_API_KEY}
  gpt4o: {plugin: openai, model: gpt-4o, api_key: env:OPENAI_API_KEY}
routing_rules:
  - {name: private, condition: {contains_pii: true}, route_to: ollama, fallback: null}
  - {name: closed, condition: {tenant: blocked}, refuse: "This account is closed."}
  - {name: labels, condition: {task_type: classification}, route_to: ollama, fallback: claude_sonnet, validate: {attempts: 2, format: json}}
  - {name: code, condition: {task_type: code}, route_to: claude_sonnet, fallback: [gpt4o, ollama]}
default: {route_to: claude_sonnet, fallback: gpt4o}
guarantees:
  - {name: home, when: {contains_pii: true}, only: {local: true}}
"""
CARD = "My card is 4111 1111 1111 1111, please book."


def loaded(text: str = POLICY) -> Policy:
    policy, findings = load_text(text)[:2]
    assert policy is not None, findings
    return policy


def client(*faults: dict[str, Any], answers: Any = (), policy: str = POLICY, **more: Any) -> Client:
    script = Script.from_data({"faults": list(faults), "answers": list(answers)})
    return Client.from_policy(policy=loaded(policy), sandbox=script, environ={}, clock=VirtualClock(), **more)


def providers(error_or_answer: Any) -> list[str]:
    return [a.provider for a in error_or_answer.attempts]


def test_a_prompt_becomes_an_answer_that_says_how() -> None:
    answer = client(answers=[{"text": "Blue."}]).complete("Why is the sky blue?")
    assert isinstance(answer, Answer)
    assert "Blue." in answer.text
    assert answer.routed_to == answer.actual_provider == "claude_sonnet"
    assert answer.actual_model == "claude-sonnet-5-5"
    assert answer.escalation is None
    assert answer.decision.rule.name == "default"
    assert answer.usage.output > 0
    assert answer.cost_usd is not None
    assert answer.cost_usd > 0
    assert answer.id[14] == "7"


def test_a_policy_and_over_it_a_rule_bound_the_calls_of_a_chain() -> None:
    down = {"kind": "server_error"}
    for written, calls in (("", 4), ("attempts: 3\n", 3)):
        with pytest.raises(AllFailed) as caught:
            client(down, policy=POLICY + written).complete("hello")
        assert len(caught.value.attempts) == calls
    ruled = POLICY.replace("condition: {task_type: code},", "condition: {task_type: code}, attempts: 1,")
    with pytest.raises(AllFailed) as caught:
        client(down, policy=ruled + "attempts: 3\n").complete("hello", task_type="code")
    assert providers(caught.value) == ["claude_sonnet"]


def test_the_json_form_has_the_promised_keys() -> None:
    content = client().complete("hello", task_type="code").as_json()
    promised = {"id", "text", "rule", "routed_to", "actual_provider", "actual_model", "escalation", "attempts", "usage", "cost_usd"}  # fmt: skip
    assert promised <= content.keys()
    assert set(content["usage"]) == {"input", "output", "cache_read", "cache_write", "reasoning"}
    assert {"provider", "outcome", "latency_ms"} <= content["attempts"][0].keys()
    assert content["rule"] == "code"


@pytest.mark.parametrize(
    ("fault", "reason", "tries"),
    [
        ("overloaded", Reason.CAPACITY, 2),
        ("server_error", Reason.OUTAGE, 2),
        ("down", Reason.OUTAGE, 2),
        ("unauthorized", Reason.CREDENTIAL, 1),
        ("model_gone", Reason.CREDENTIAL, 1),
        ("too_long", Reason.CAPABILITY, 1),
        ("empty", Reason.BAD_CONTENT, 2),
    ],
)
def test_the_fallback_serves_and_the_reason_is_told(fault: str, reason: Reason, tries: int) -> None:
    answer = client({"kind": fault, "provider": "claude_sonnet"}).complete("hello", task_type="code")
    assert answer.actual_provider == "gpt4o"
    assert answer.routed_to == "claude_sonnet"
    assert answer.escalation is reason
    assert providers(answer) == ["claude_sonnet"] * tries + ["gpt4o"]


def test_two_bad_answers_of_the_local_model_mean_one_call_of_the_cloud() -> None:
    fenced = {"kind": "broken_json", "provider": "ollama"}
    prose = [{"provider": "ollama", "text": "I would say: positive"}, {"text": '{"label": "positive"}'}]
    answer = client(fenced, answers=prose).complete("Classify: good", task_type="classification")
    assert providers(answer) == ["ollama", "ollama", "claude_sonnet"]
    assert answer.json == {"label": "positive"}
    assert answer.escalation is Reason.BAD_CONTENT


def test_fenced_json_of_the_local_model_is_read_and_stays_local() -> None:
    said = [{"text": '{"label": "positive"}'}]
    answer = client({"kind": "fenced_json", "provider": "ollama"}, answers=said).complete(
        "x", task_type="classification"
    )
    assert providers(answer) == ["ollama"]
    assert answer.json == {"label": "positive"}
    assert "```" not in answer.text


def test_tainted_text_stays_home_whatever_fails() -> None:
    heard: list[Any] = []
    with pytest.raises(Refused) as caught:
        client({"kind": "down", "provider": "ollama"}, observe=heard.append).complete(CARD)
    error = caught.value
    assert set(providers(error)) == {"ollama"}
    assert error.decision.rule.name == "private"
    assert error.code == "HR902"
    told = "\n".join((error.message, *error.details))
    assert "payment_card at characters" in told
    assert "4111" not in told
    assert "forbidden by guarantee home" in told
    assert [m.to for m in heard if isinstance(m, Move)] == [None]


def test_a_refusal_says_which_server_to_start() -> None:
    with pytest.raises(Refused) as caught:
        client({"kind": "down", "provider": "ollama"}).complete(CARD)
    assert caught.value.help is not None
    assert caught.value.help.startswith("start ollama;")


def test_a_local_stream_that_breaks_is_a_failure_not_a_refusal() -> None:
    cut = {"kind": "cut", "provider": "ollama", "at": 0.8}
    stream = client(cut, answers=[{"text": "one two three four five six"}]).stream(CARD)
    with pytest.raises(AllFailed, match="broke off"):
        list(stream)


def test_the_guarantee_is_asked_although_the_matching_rule_never_looked() -> None:
    leaky = POLICY.replace(
        "  - {name: private, condition: {contains_pii: true}, route_to: ollama, fallback: null}\n", ""
    )
    answer = client({"kind": "down", "provider": "claude_sonnet"}, policy=leaky).complete(CARD, task_type="code")
    assert answer.routed_to == "claude_sonnet"
    assert answer.actual_provider == "ollama"
    assert providers(answer) == ["ollama"]
    assert [s.guarantee for s in answer.skipped] == ["home", "home"]
    assert answer.escalation is Reason.PINNED


def test_a_caller_cannot_lower_a_taint() -> None:
    answer = client().route(TaskContext(task_type="code", contains_pii=False), CARD)
    assert answer.actual_provider == "ollama"


def test_a_caller_can_raise_a_taint() -> None:
    answer = client().route(TaskContext(task_type="code", complexity="high", contains_pii=True), "Write")
    assert answer.decision.rule.name == "private"
    assert answer.actual_provider == "ollama"


def test_a_rule_that_refuses_says_its_own_words() -> None:
    with pytest.raises(Refused, match="This account is closed"):
        client().complete("hello", tenant="blocked")


def test_everybody_down_without_a_guarantee_is_a_failure() -> None:
    with pytest.raises(AllFailed) as caught:
        client({"kind": "down"}).complete("hello", task_type="code")
    assert not isinstance(caught.value, CallerFault)
    assert providers(caught.value) == ["claude_sonnet"] * 2 + ["gpt4o"] * 2 + ["ollama"] * 2


def test_a_request_that_the_vendor_rejects_is_not_sent_elsewhere() -> None:
    with pytest.raises(CallerFault) as caught:
        client({"kind": "bad_request"}).complete("hello", task_type="code")
    assert providers(caught.value) == ["claude_sonnet"]


def test_rejected_keys_everywhere_are_a_missing_credential() -> None:
    with pytest.raises(NoCredential):
        client({"kind": "unauthorized"}).complete("hello")


def test_without_the_sandbox_a_missing_key_names_its_variable() -> None:
    real = Client.from_policy(policy=loaded(), environ={})
    with pytest.raises(NoCredential) as caught:
        real.complete("hello")
    assert caught.value.help is not None
    assert "set ANTHROPIC_API_KEY or OPENAI_API_KEY" in caught.value.help
    assert caught.value.attempts == ()


def test_what_is_down_is_not_asked() -> None:
    answer = client().complete("hello", task_type="code", down=["claude_sonnet"])
    assert providers(answer) == ["gpt4o"]
    assert answer.escalation is Reason.OUTAGE


def test_a_json_schema_of_the_caller_is_enforced() -> None:
    schema = {"type": "object", "required": ["city"]}
    said = [{"provider": "claude_sonnet", "text": '{"town": "Kyiv"}'}, {"text": '{"city": "Kyiv"}'}]
    answer = client(answers=said).complete("Where?", json_schema=schema)
    assert answer.json == {"city": "Kyiv"}
    assert providers(answer) == ["claude_sonnet", "claude_sonnet", "gpt4o"]


def test_a_schema_that_is_none_is_told_before_anything_is_sent() -> None:
    with pytest.raises(UsageError, match="JSON Schema"):
        client().complete("Where?", json_schema={"type": "town"})


def test_a_window_that_is_too_small_is_told_before_anything_is_sent() -> None:
    small = POLICY.replace('model: "llama3.1:8b"', 'model: "llama3.1:8b", context_window: 2048')
    answer = client(policy=small).complete("word " * 6000, task_type="classification", json_schema={}, down=[])
    assert providers(answer)[-1] == "claude_sonnet"
    assert answer.escalation is Reason.CAPABILITY
    assert "ollama" not in providers(answer)


SMALL = POLICY.replace('model: "llama3.1:8b"', 'model: "llama3.1:8b", context_window: 2048').replace(
    "fallback: claude_sonnet, validate: {attempts: 2, format: json}", "fallback: null"
)


def test_a_request_that_nobody_holds_is_told_by_its_size() -> None:
    with pytest.raises(AllFailed, match=r"no provider of the chain holds about \d+ tokens") as caught:
        client(policy=SMALL).complete("word " * 6000, task_type="classification")
    assert caught.value.attempts == ()
    assert "context_window" in (caught.value.help or "")
    assert any("holds 2048 tokens" in line for line in caught.value.details)


def test_a_request_that_may_not_leave_and_that_nobody_here_holds_is_told_by_its_size() -> None:
    with pytest.raises(Refused, match=r"no local provider holds about \d+ tokens"):
        client(policy=SMALL).complete(f"{CARD} " + "word " * 6000)


def test_vendors_that_all_say_that_it_is_too_long_are_believed() -> None:
    with pytest.raises(AllFailed, match="no provider of the chain holds a request of this size") as caught:
        client({"kind": "too_long"}).complete("hello")
    assert providers(caught.value) == ["claude_sonnet", "gpt4o"]


def test_size_is_not_blamed_where_something_else_stood_in_the_way() -> None:
    with pytest.raises(AllFailed, match="failed"):
        client({"kind": "too_long", "provider": "claude_sonnet"}, {"kind": "down", "provider": "gpt4o"}).complete(
            "hello"
        )


def test_observe_mode_serves_the_baseline_and_says_what_it_would_have_done() -> None:
    observed = POLICY.replace("version: 1", "version: 1\nmode: observe\nbaseline: gpt4o")
    answer = client(policy=observed).complete("hello", task_type="code")
    assert answer.routed_to == "claude_sonnet"
    assert answer.actual_provider == "gpt4o"
    assert answer.escalation is Reason.OBSERVED


def test_a_decision_sends_nothing() -> None:
    real = Client.from_policy(policy=loaded(), environ={})
    assert real.decide("hello", task_type="code").chain == ("claude_sonnet", "gpt4o", "ollama")
    assert real.decide(contains_pii=True).rule.name == "private"


@pytest.mark.parametrize(
    "signals", [{"task_typ": "code"}, {"task_type": "chta"}, {"batch_size": "many"}, {"message": "x"}]
)
def test_a_signal_that_does_not_fit_is_named(signals: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(signals))):
        client().complete("hello", **signals)


def test_a_stream_gives_events_and_then_the_answer() -> None:
    with client(answers=[{"text": "One two three four five six."}]).stream("hello") as stream:
        with pytest.raises(UsageError):
            _ = stream.answer
        events = list(stream)
    assert isinstance(events[-1], Done)
    assert len([e for e in events if isinstance(e, TextDelta)]) > 1
    assert stream.answer.text.endswith("One two three four five six.")
    assert stream.answer.attempts[0].first_token_ms is not None


def test_a_stream_that_breaks_is_told_and_not_spliced() -> None:
    cut = {"kind": "cut", "provider": "claude_sonnet", "at": 0.6}
    stream = client(cut, answers=[{"text": "one two three four five six seven eight nine ten"}]).stream("hello")
    said: list[str] = []
    with pytest.raises(AllFailed, match="broke off"):
        said.extend(stream.text())
    assert said
    assert stream.answer.reply.stop is StopReason.TRUNCATED
    assert stream.answer.text == "".join(said)
    assert providers(stream.answer) == ["claude_sonnet"]


def test_a_stream_falls_back_before_its_first_word() -> None:
    stream = client({"kind": "overloaded", "provider": "claude_sonnet"}).stream("hello")
    assert "".join(stream.text())
    assert stream.answer.actual_provider == "gpt4o"


def test_a_route_that_validates_holds_its_stream_back_until_it_is_judged() -> None:
    said = [{"provider": "ollama", "text": "prose"}, {"text": '```json\n{"a": 1}\n```'}]
    stream = client(answers=said).stream("x", task_type="classification")
    assert stream.held_back
    assert "".join(stream.text()) == '{"a": 1}'
    assert stream.answer.json == {"a": 1}
    assert stream.answer.actual_provider == "claude_sonnet"


def test_a_stream_left_early_is_written_down_as_cancelled() -> None:
    stream = client(answers=[{"text": "one two three four five six seven eight"}]).stream("hello")
    next(stream)
    stream.close()
    assert [a.outcome for a in stream._run.log.attempts] == [Outcome.CANCELLED]


def test_the_asynchronous_client_does_the_same() -> None:
    async def main() -> None:
        script = Script.from_data({"faults": [{"kind": "overloaded", "provider": "claude_sonnet"}]})
        made = AsyncClient.from_policy(policy=loaded(), sandbox=script, environ={}, clock=VirtualClock())
        async with made as aclient:
            answer = await aclient.complete("hello", task_type="code")
            assert providers(answer) == ["claude_sonnet", "claude_sonnet", "gpt4o"]
            stream = aclient.stream("hello", task_type="code")
            words = "".join([piece async for piece in stream.text()])
            assert words == stream.answer.text
            assert stream.answer.actual_provider == "gpt4o"
            with pytest.raises(Refused):
                await aclient.complete("x", tenant="blocked")
            routed = await aclient.route(TaskContext(contains_pii=True), "hello")
            assert routed.actual_provider == "ollama"

    asyncio.run(main())


def test_a_cancelled_task_is_written_down() -> None:
    async def main() -> None:
        slow = Script.from_data({"faults": [{"kind": "slow", "for": 20}]})
        aclient = AsyncClient.from_policy(policy=loaded(), sandbox=slow, environ={})
        run = aclient._begin("hello", {})
        send = asender(aclient.engine.plugin)
        task = asyncio.create_task(adrive(run.steps, send, aclient.engine.clock))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [a.outcome for a in run.log.attempts] == [Outcome.CANCELLED]

    asyncio.run(main())


def test_a_request_keeps_what_it_says_and_takes_what_is_added() -> None:
    made = request_of(prompt("hi", system="s"), files=[("a.txt", "text")], max_tokens=7, json_schema={})
    assert (made.system, made.files, made.max_tokens, made.response_format) == (
        "s",
        (("a.txt", "text"),),
        7,
        "json_schema",
    )


def test_the_policy_is_looked_for_as_on_the_command_line(tmp_path: Path) -> None:
    assert policy_path({"HROUTE_POLICY": "x.yaml"}) == "x.yaml"
    at_home = tmp_path / "config" / "hroute"
    at_home.mkdir(parents=True)
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    with pytest.raises(UsageError, match="no policy"):
        policy_path(environ, str(tmp_path))
    (at_home / "routing-config.yaml").write_text("version: 1\n")
    assert policy_path(environ, str(tmp_path)) == str(at_home / "routing-config.yaml")
    (tmp_path / "routing-config.yaml").write_text("version: 1\n")
    assert policy_path(environ, str(tmp_path)) == str(tmp_path / "routing-config.yaml")


def test_a_schema_that_refers_to_what_it_does_not_hold_is_refused_before_anything_is_sent() -> None:
    for schema in ({"$ref": "https://example.com/person.json"}, {"items": {"$ref": "#/$defs/nothing"}}):
        with pytest.raises(UsageError, match="which is not in it"):
            client().complete("hello", json_schema=schema)


def test_a_policy_whose_own_schema_cannot_be_used_is_an_error_of_the_policy() -> None:
    from hroute.router.check import check_text

    ruled = POLICY.replace("format: json}", "schema: {items: {$ref: '#/$defs/nothing'}}}")
    (found,) = check_text(ruled).errors
    assert (found.code, found.primary.span.line) == ("HR012", ruled[: ruled.index("schema:")].count("\n") + 1)
    assert "#/$defs/nothing" in found.message


def test_a_policy_that_cannot_be_loaded_says_why(tmp_path: Path) -> None:
    bad = tmp_path / "p.yaml"
    bad.write_text("version: 1\nrouting_rules: [{name: x, condition: {}, route_to: nobody}]\n")
    with pytest.raises(PolicyError) as caught:
        Client.from_policy(bad)
    assert caught.value.diagnostics


def test_every_error_carries_its_decision_and_its_attempts() -> None:
    for faults, asked, signals in (
        ([{"kind": "down"}], CARD, {}),
        ([{"kind": "down"}], "x", {}),
        ([], "x", {"tenant": "blocked"}),
    ):
        with pytest.raises(HrouteError) as caught:
            client(*faults).complete(asked, **signals)
        assert caught.value.decision.rule.name  # type: ignore[attr-defined]
        assert isinstance(caught.value.attempts, tuple)  # type: ignore[attr-defined]


def test_the_sandbox_in_process_opens_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_: Any, **__: Any) -> Any:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr("socket.socket.connect", opened)
    monkeypatch.setattr("socket.getaddrinfo", opened)
    made = client({"kind": "down", "provider": "claude_sonnet"})
    assert made.complete("hello", task_type="code").actual_provider == "gpt4o"
    assert made.complete(CARD).actual_provider == "ollama"


def test_a_program_with_many_threads_shares_one_client() -> None:
    from concurrent.futures import ThreadPoolExecutor

    made = client()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: made.complete(f"hello {n}"), range(64)))
    assert len({answer.id for answer in answers}) == 64


def test_no_error_and_no_record_holds_a_word_of_the_prompt() -> None:
    canary = "zanzibar-canary"
    kinds = ("down", "overloaded", "bad_request", "unauthorized", "empty", "too_long", "broken_json")
    for kind in kinds:
        heard: list[Any] = []
        try:
            shown: Any = client({"kind": kind}, observe=heard.append).complete(
                f"{canary} {CARD}", task_type="classification"
            )
            shown = (shown.decision.signals, shown.attempts, shown.skipped)
        except HrouteError as error:
            shown = (str(error), repr(error), error.help, vars(error))
        assert canary not in repr(shown)
        assert "4111" not in repr((shown, heard))
