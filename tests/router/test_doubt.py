"""The cascade: what a second model, a judge and the certainty of a reply decide, whom they may ask, and what it costs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hroute.errors import AllFailed, CallerFault, Refused, RequestError
from hroute.providers.protocol import Capabilities, Permit, Target
from hroute.providers.sandbox.script import Script
from hroute.providers.sandbox.server import SandboxServer
from hroute.router.answer import Answer
from hroute.router.client import AsyncClient, Client, Move
from hroute.router.doubt import UNREPORTED
from hroute.schema.load import load_text
from hroute.schema.policy import Policy
from hroute.terms.message import Reply, Request, Text, TextDelta
from hroute.terms.outcome import Failure, Outcome, Reason
from tests.router.stage import FakePlugin, failing, said

POLICY = """
version: 1
baseline: strong
providers:
  llama: {plugin: ollama, model: "llama3.1:8b", base_url: "http://127.0.0.1:11434", local: true}
  gemma: {plugin: ollama, model: "gemma2:9b", base_url: "http://127.0.0.1:11434", local: true}
  qwen: {plugin: ollama, model: "qwen2:7b", base_url: "http://127.0.0.1:11434", local: true}
  haiku: {plugin: anthropic, model: claude-haiku-4-5, api_key: env:KEY, price: {input: 1, output: 5}}
  strong: {plugin: anthropic, model: claude-sonnet-5-5, api_key: env:KEY, price: {input: 3, output: 15}}
routing_rules:
  - {name: cascade, condition: {tenant: "!=other"}, route_to: llama, fallback: strong, validate: VALIDATE}
default: {route_to: strong}
guarantees:
  - {name: home, when: {contains_pii: true}, only: {local: true}}
"""
MODELS = {"llama": "llama3.1:8b", "gemma": "gemma2:9b", "qwen": "qwen2:7b"}
AGREE = "{agree: {with: gemma}}"
JUDGED = "{judge: haiku}"
CARD = "My card is 4111 1111 1111 1111, what is 9 * 2?"


def policy(validate: str = AGREE, **instead: str) -> Policy:
    text = POLICY.replace("VALIDATE", validate)
    for old, new in instead.items():
        text = text.replace(old, new)
    made, findings, _ = load_text(text, "cascade.yaml")
    assert made is not None, [f.message for f in findings]
    return made


def client(fake: FakePlugin, of: Policy) -> Client:
    facts = Capabilities(needs_key=False, logprobs=True)
    return Client.from_policy(
        policy=of, environ={"KEY": "k"}, load=lambda _: fake, facts=lambda _: facts, clock=fake.clock, rng=lambda: 0.5
    )


def ask(fake: FakePlugin, of: Policy | None = None, prompt: str = "What is 9 * 2?", **signals: Any) -> Answer:
    return client(fake, of or policy()).complete(prompt, **signals)


def roles(answer: Answer | AllFailed | Refused) -> list[tuple[str, str, str]]:
    return [(a.provider, a.role, str(a.outcome)) for a in answer.attempts]


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with SandboxServer(
        Script.from_data(
            {
                "answers": [
                    {
                        "provider": "llama",
                        "message": {"any_of": ["nine"]},
                        "text": '```json\n{"reasoning": "9 * 2", "answer": "18"}\n```',
                    },
                    {"provider": "gemma", "text": "The answer is **18**."},
                    {"provider": "llama", "text": "The answer is 20."},
                    {"provider": "haiku", "text": '{"verdict": "bad"}'},
                    {"provider": "strong", "text": "It is 18."},
                ]
            }
        )
    ) as made:
        yield made  # fmt: skip


def served(server: SandboxServer, validate: str) -> Policy:
    """The policy with each provider at the sandbox's own path for it, through the vendors' own SDKs."""
    local = {
        f'model: "{m}", base_url: "http://127.0.0.1:11434"': f'model: "{m}", base_url: "{server.url}/{name}"'
        for name, m in MODELS.items()
    }
    cloud = {
        f"  {name}: {{plugin: anthropic,": f'  {name}: {{plugin: anthropic, base_url: "{server.url}/{name}",'
        for name in ("haiku", "strong")
    }
    return policy(validate, **local, **cloud)


@pytest.mark.parametrize(
    ("validate", "question", "called", "served_by"),
    [
        (AGREE, "What is nine times two?", ["llama", "gemma"], "llama"),
        (AGREE, "What is 9 * 2?", ["llama", "gemma", "strong"], "strong"),
        (JUDGED, "What is 9 * 2?", ["llama", "haiku", "llama", "haiku", "strong"], "strong"),
    ],
)
def test_over_real_sockets_and_sdks_the_cascade_makes_these_calls(
    server: SandboxServer, validate: str, question: str, called: list[str], served_by: str
) -> None:
    with Client.from_policy(policy=served(server, validate), environ={"KEY": "k"}) as made:
        answer = made.complete(question)
    assert [row["provider"] for row in server.calls.as_json()] == called == [a.provider for a in answer.attempts]
    assert answer.actual_provider == served_by


# -- agreement ------------------------------------------------------------------------------------------------------------


def test_an_answer_that_a_second_model_confirms_stays_local() -> None:
    fake = FakePlugin({"llama": [said("9 * 2 = 18. The answer is 18.")], "gemma": [said("**$18**")]})
    answer = ask(fake)
    assert answer.text == "9 * 2 = 18. The answer is 18."
    assert (answer.actual_provider, answer.escalation) == ("llama", None)
    assert roles(answer) == [("llama", "answer", "ok"), ("gemma", "agree", "ok")]


def test_models_that_differ_are_not_asked_again_and_one_call_goes_up() -> None:
    fake = FakePlugin({"llama": [said("18")], "gemma": [said("17")], "strong": [said("It is 18.")]})
    answer = ask(fake)
    assert fake.called == ["llama", "gemma", "strong"]
    assert (answer.text, answer.actual_provider, answer.escalation) == ("It is 18.", "strong", Reason.BAD_CONTENT)
    assert roles(answer)[0] == ("llama", "answer", "bad_content")
    failure = answer.attempts[0].failure
    assert failure is not None
    assert failure.code == "disagreement"
    assert "gemma" in failure.message


def test_the_second_model_gets_the_same_request_and_its_own_permit() -> None:
    fake = FakePlugin(otherwise=said("18"))
    ask(fake)
    (_, _, first), (name, target, second) = fake.calls
    assert (name, target.model) == ("gemma", "gemma2:9b")
    assert second.messages == first.messages


def test_a_second_opinion_is_not_told_as_a_try() -> None:
    heard: list[Any] = []
    fake = FakePlugin({"llama": [said("18")], "gemma": [said("17")]})
    made = Client.from_policy(policy=policy(), environ={"KEY": "k"}, load=lambda _: fake, observe=heard.append)
    made.complete("What is 9 * 2?")
    assert [(m.provider, m.tries, m.to) for m in heard if isinstance(m, Move)] == [("llama", 1, "strong")]


def test_the_second_call_is_priced_and_counted() -> None:
    dear = policy("{agree: {with: haiku}}")
    fake = FakePlugin(otherwise=said("18"))  # 10 tokens in, 5 out, each
    answer = ask(fake, dear)
    assert answer.usage.input == 20
    assert answer.cost == 10 * 1_000 + 5 * 5_000


def test_where_no_answer_can_be_told_nobody_is_asked_to_confirm_it_and_that_is_said() -> None:
    prose = said("We are a small shop and open every day of the week. " * 10)
    fake = FakePlugin({"llama": [prose, prose]})
    answer = ask(fake)
    assert fake.called == ["llama", "llama", "strong"]
    failure = answer.attempts[0].failure
    assert failure is not None
    assert failure.code == "no_answer"
    assert "does not apply" in failure.message


def test_a_reply_without_the_right_form_is_not_compared() -> None:
    json = policy("{format: json, agree: {with: gemma}}")
    fake = FakePlugin(
        {"llama": [said("prose"), said('{"answer": 18}')], "gemma": [said('```json\n{"answer": "18"}\n```')]}
    )
    answer = ask(fake, json)
    assert fake.called == ["llama", "llama", "gemma"]
    assert answer.json == {"answer": 18}


def test_a_second_model_that_fails_confirms_nothing() -> None:
    fake = FakePlugin({"llama": [said("18")], "gemma": [failing(Outcome.TRANSPORT)]})
    answer = ask(fake)
    assert fake.called == ["llama", "gemma", "strong"]
    assert roles(answer)[1] == ("gemma", "agree", "transport")


def test_a_second_model_is_asked_once_for_all_local_fallbacks() -> None:
    wide = policy(**{"fallback: strong": "fallback: [qwen, strong]"})
    fake = FakePlugin({"llama": [said("17")], "gemma": [said("18")], "qwen": [said("18 eggs")]})
    answer = ask(fake, wide)
    assert fake.called == ["llama", "gemma", "qwen"]
    assert answer.actual_provider == "qwen"


def test_a_model_does_not_confirm_itself() -> None:
    pair = policy(**{"fallback: strong": "fallback: [gemma, strong]"})
    fake = FakePlugin({"llama": [said("17")], "gemma": [said("18"), said("18")]})
    answer = ask(fake, pair)
    assert fake.called == ["llama", "gemma", "gemma", "strong"]
    assert answer.actual_provider == "strong"


def test_what_doubt_goes_up_to_is_taken_at_its_word() -> None:
    strict = policy("{agree: {with: gemma}, judge: haiku, min_certainty: 0.9}")
    fake = FakePlugin({"llama": [failing(Outcome.CREDENTIAL)], "strong": [said("It depends. " * 40)]})
    answer = ask(fake, strict)
    assert fake.called == ["llama", "strong"]
    assert answer.actual_provider == "strong"


def test_the_baseline_of_a_holdout_is_not_doubted() -> None:
    held = policy(**{"fallback: strong,": "fallback: strong, holdout: 100%,"})
    fake = FakePlugin({"strong": [said("It depends. " * 40)]})
    assert ask(fake, held, session="s").actual_provider == "strong"
    assert fake.called == ["strong"]


# -- permits, deadline, budget ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("validate", ["{agree: {with: haiku}}", JUDGED])
def test_tainted_text_reaches_no_second_model_and_no_judge_elsewhere(validate: str) -> None:
    fake = FakePlugin(otherwise=said("18"))
    with pytest.raises(Refused) as caught:
        ask(fake, policy(validate), CARD)
    assert fake.called == ["llama"]
    assert "home" in str([s.detail for s in caught.value.skipped])


def test_tainted_text_may_be_confirmed_at_home() -> None:
    fake = FakePlugin(otherwise=said("18"))
    assert ask(fake, policy(), CARD).actual_provider == "llama"
    assert fake.called == ["llama", "gemma"]


def test_a_second_model_without_its_key_confirms_nothing() -> None:
    fake = FakePlugin(otherwise=said("18"))
    of = policy(JUDGED)
    made = Client.from_policy(policy=of, environ={}, load=lambda _: fake, clock=fake.clock)
    with pytest.raises(AllFailed) as caught:
        made.complete("What is 9 * 2?")
    assert fake.called == ["llama"]
    assert "KEY" in str([s.detail for s in caught.value.skipped])


def test_the_deadline_covers_the_second_opinion() -> None:
    fake = FakePlugin(otherwise=said("18"), seconds=8.0)
    with pytest.raises(AllFailed):
        ask(fake, policy(**{"fallback: strong,": "fallback: strong, deadline: 8s,"}))
    assert fake.called == ["llama"]
    fake = FakePlugin(otherwise=said("18"), seconds=8.0)
    ask(fake, policy(**{"fallback: strong,": "fallback: strong, deadline: 10s,"}))
    assert [round(target.total, 3) for _, target, _ in fake.calls] == [10.0, 2.0]


def test_a_second_opinion_is_no_try_but_counts_in_the_chains_attempts() -> None:
    bad = '{"verdict": "bad"}'
    fake = FakePlugin({"llama": [said("18"), said("18")], "gemma": [said("18")], "haiku": [said(bad), said(bad)]})
    answer = ask(fake, policy("{agree: {with: gemma}, judge: haiku}"))
    assert fake.called == ["llama", "gemma", "haiku", "llama", "haiku", "strong"]
    assert answer.actual_provider == "strong"


# -- judge ----------------------------------------------------------------------------------------------------------------


def test_an_answer_that_the_judge_finds_good_is_kept() -> None:
    fake = FakePlugin({"llama": [said("18")], "haiku": [said('{"verdict": "good"}')]})
    answer = ask(fake, policy(JUDGED))
    assert (answer.text, answer.actual_provider, answer.escalation) == ("18", "llama", None)
    assert roles(answer) == [("llama", "answer", "ok"), ("haiku", "judge", "ok")]
    assert answer.cost == 10 * 1_000 + 5 * 5_000
    asked = fake.calls[1][2]
    assert "What is 9 * 2?" in asked.last_user_text
    assert asked.system.startswith("You check an answer")


def test_after_two_bad_verdicts_one_call_goes_up() -> None:
    bad = said('{"verdict": "bad"}')
    fake = FakePlugin({"haiku": [bad, bad]}, otherwise=said("17"))
    answer = ask(fake, policy(JUDGED))
    assert fake.called == ["llama", "haiku", "llama", "haiku", "strong"]
    assert answer.escalation is Reason.BAD_CONTENT


def test_an_answer_without_a_verdict_is_not_kept() -> None:
    fake = FakePlugin({"haiku": [said("Looks fine to me.")]}, otherwise=said("17"))
    answer = ask(fake, policy(JUDGED))
    assert fake.called == ["llama", "haiku", "strong"]
    assert roles(answer)[1] == ("haiku", "judge", "bad_content")


def test_a_judge_does_not_judge_itself() -> None:
    fake = FakePlugin(otherwise=said("18"))
    ask(fake, policy("{judge: llama}"))
    assert fake.called == ["llama"]


# -- certainty ------------------------------------------------------------------------------------------------------------

SURE = policy("{min_certainty: 0.7}")


def test_a_reply_below_the_demanded_certainty_is_asked_for_once_more_and_then_goes_up() -> None:
    low = said("18", certainty=0.41)
    fake = FakePlugin({"llama": [low, low]})
    answer = ask(fake, SURE)
    assert fake.called == ["llama", "llama", "strong"]
    failure = answer.attempts[0].failure
    assert failure is not None
    assert "0.41" in failure.message


def test_a_certain_reply_is_kept_and_probabilities_are_asked_for_only_where_they_matter() -> None:
    fake = FakePlugin({"llama": [said("18", certainty=0.93)]})
    assert ask(fake, SURE).actual_provider == "llama"
    assert fake.calls[0][2].params == {"logprobs": True}
    fake = FakePlugin(otherwise=said("18"))
    ask(fake, SURE, tenant="other")
    assert fake.calls[0][2].params == {}


def test_where_no_probabilities_are_reported_the_reply_is_kept_and_that_is_said() -> None:
    fake = FakePlugin({"llama": [said("18")]})
    answer = ask(fake, SURE)
    assert answer.actual_provider == "llama"
    assert answer.attempts[0].note == UNREPORTED
    assert answer.attempts[0].as_json()["note"] == UNREPORTED


def test_a_plugin_that_cannot_report_them_is_not_asked_for_probabilities() -> None:
    fake = FakePlugin({"llama": [said("18")]})
    with Client.from_policy(
        policy=SURE, environ={"KEY": "k"}, load=lambda _: fake, facts=lambda _: Capabilities(needs_key=False)
    ) as made:
        answer = made.complete("What is 9 * 2?")
    assert fake.calls[0][2].params == {}
    assert answer.attempts[0].note == UNREPORTED


def test_a_server_that_rejects_the_demand_for_probabilities_is_no_fault_of_the_caller() -> None:
    rejected = failing(Outcome.CALLER_FAULT, status=400)
    fake = FakePlugin({"llama": [rejected]})
    assert ask(fake, SURE).actual_provider == "strong"
    fake = FakePlugin({"llama": [rejected]})
    with pytest.raises(CallerFault):
        ask(fake)


# -- both drivers, streams, a caller who leaves ------------------------------------------------------------------------------


def test_the_asynchronous_client_cascades_alike() -> None:
    fake = FakePlugin({"llama": [said("18")], "gemma": [said("17")]})

    async def main() -> Answer:
        made = client(fake, policy())
        async with AsyncClient(made.engine) as other:
            return await other.complete("What is 9 * 2?")

    answer = asyncio.run(main())
    assert fake.called == ["llama", "gemma", "strong"]
    assert answer.actual_provider == "strong"


def test_a_stream_is_held_back_until_nothing_is_in_doubt() -> None:
    fake = FakePlugin({"llama": [said("18")], "gemma": [said("17")], "strong": [said("nineteen")]})
    stream = client(fake, policy()).stream("What is 9 * 2?")
    assert stream.held_back
    assert "".join(event.text for event in stream if isinstance(event, TextDelta)) == "nineteen"


def test_a_caller_who_leaves_while_a_second_model_is_asked_leaves_both_calls_written_down() -> None:
    class Interrupted(FakePlugin):
        def send(self, target: Target, request: Request, permit: Permit) -> Reply:
            if target.name == "gemma":
                raise KeyboardInterrupt
            return Reply((Text("18"),), "m")

    made = client(Interrupted(), policy())
    stream = made.stream("What is 9 * 2?")
    with pytest.raises(KeyboardInterrupt):
        list(stream)
    assert [(a.provider, str(a.outcome)) for a in stream._run.log.attempts] == [("llama", "ok"), ("gemma", "cancelled")]


# -- whatever fails ---------------------------------------------------------------------------------------------------------

OUTCOMES = [o for o in Outcome if o not in (Outcome.OK, Outcome.CANCELLED)]
results = st.one_of(
    st.sampled_from(["18", "17", "The answer is 18.", "", "I don't know.", '{"verdict": "good"}', '{"verdict": "bad"}', "long " * 99]).map(said),
    st.builds(lambda c: said("18", certainty=c), st.floats(0, 1)),
    st.builds(Failure, st.sampled_from(OUTCOMES), st.just("scripted")),
)  # fmt: skip
CASCADES = [
    policy(f"{{agree: {{with: {second}}}, judge: {judge}, min_certainty: 0.5, attempts: {tries}}}", **chain)
    for second in ("gemma", "haiku")
    for judge in ("haiku", "qwen")
    for tries, chain in ((1, {}), (2, {"fallback: strong": "fallback: [qwen, gemma, haiku, strong]"}), (3, {}))
]


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    of=st.sampled_from(CASCADES),
    script=st.dictionaries(
        st.sampled_from(["llama", "gemma", "qwen", "haiku", "strong"]), st.lists(results, max_size=5), max_size=5
    ),
    tainted=st.booleans(),
    seconds=st.floats(0, 50),
)
def test_whatever_fails_no_second_opinion_opens_a_forbidden_door_or_outlasts_the_limits(
    of: Policy, script: dict[str, list[Any]], tainted: bool, seconds: float
) -> None:
    fake = FakePlugin(script, seconds=seconds, otherwise=said("18"))
    made = client(fake, of)
    try:
        outcome: Answer | RequestError = made.complete("What is 9 * 2?", contains_pii=tainted)
    except RequestError as error:
        outcome = error
    if tainted:
        assert set(fake.called) <= {"llama", "gemma", "qwen"}
    assert len(outcome.attempts) == len(fake.called) <= 6
    assert fake.clock.now() <= of.deadline + 0.001
    asked = [a.provider for a in outcome.attempts if a.role == "answer"]
    assert all(asked.count(name) <= 2 for name in asked)
    moved = [name for n, name in enumerate(asked) if n == 0 or asked[n - 1] != name]
    assert len(moved) == len(set(moved))
    assert sum(a.role == "agree" for a in outcome.attempts) <= 1
    if isinstance(outcome, Answer) and outcome.actual_provider == "llama":
        roles = {a.role: a.outcome for a in outcome.attempts}
        assert roles["agree"] is Outcome.OK
        assert roles["judge"] is Outcome.OK
