"""The ladder: what follows each outcome, within which limits, and that no failure opens a forbidden door."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hroute.errors import UsageError
from hroute.providers.protocol import Capabilities, Permit, Target
from hroute.router import egress
from hroute.router.attempts import Accepted, Attempt, Broken, Call, End, Log, Move, Result, Terms, attempts
from hroute.router.decision import Decision
from hroute.router.drive import asender, drive, sender
from hroute.router.egress import Guard
from hroute.router.plan import Leaving, Needs, Plan, Skipped, Surroundings, Why, plan
from hroute.router.targets import target_of
from hroute.router.validate import demand, judge
from hroute.schema.policy import Policy, Provider, Retry, Validate
from hroute.terms.message import Reply, Request
from hroute.terms.outcome import Failure, Outcome
from tests.router.stage import KEYED, PII, FakePlugin, ask, failing, guarantee, policy, provider, rule, said

FACTS = Capabilities()


def planned(of: Policy, guard: Guard, **more: Any) -> Plan:
    def where(p: Provider, target: Target) -> Any:
        return egress.locate(p, target)

    around = Surroundings(lambda p: target_of(p, FACTS, KEYED), lambda _: FACTS, where, more.pop("gates", ()))
    decision = Decision(of.default, of.default.route.chain if of.default.route else (), {}, of.hash)
    return plan(decision, decision.chain, guard, Needs(), around)


def run(
    of: Policy,
    fake: FakePlugin,
    *,
    signals: dict[str, Any] | None = None,
    rng: Callable[[], float] = lambda: 0.5,
    **more: Any,
) -> tuple[End, Log]:
    known = signals or {}
    guard = Guard(of, lambda feature: known.get(feature, False))
    log = Log()
    wanted = demand(of.default.validate, ask())
    terms = Terms(
        request_for=lambda _: ask(),
        permit=lambda c: egress.permit(guard, c.provider, c.where),
        judge=lambda reply: judge(reply, wanted),
        **{"deadline": 120.0, "clock": fake.clock, "rng": rng, "bad_limit": wanted.rules.attempts, **more},
    )
    plan_ = planned(of, guard, gates=more.get("gates", ()))
    return drive(attempts(plan_, terms, log), sender(lambda _: fake), fake.clock), log


A, B, C = provider("a"), provider("b"), provider("c")
ABC = policy([A, B, C], rule(["a", "b", "c"]))


def test_a_good_reply_ends_it() -> None:
    fake = FakePlugin()
    end, log = run(ABC, fake)
    assert isinstance(end, Accepted)
    assert fake.called == ["a"]
    assert [a.outcome for a in log.attempts] == [Outcome.OK]
    assert log.attempts[0].latency_ms == pytest.approx(100)


@pytest.mark.parametrize("outcome", [Outcome.SERVER, Outcome.TRANSPORT, Outcome.TIMEOUT, Outcome.CAPACITY])
def test_an_outage_is_retried_with_backoff_and_then_handed_on(outcome: Outcome) -> None:
    fake = FakePlugin({"a": [failing(outcome), failing(outcome)]})
    end, _ = run(ABC, fake)
    assert fake.called == ["a", "a", "b"]
    assert fake.clock.waits == [0.125]  # half of the base: full jitter at 0.5; and no wait before the next provider
    assert isinstance(end, Accepted)


@pytest.mark.parametrize("outcome", [Outcome.CREDENTIAL, Outcome.CAPABILITY])
def test_a_lost_key_or_a_lack_moves_on_at_once(outcome: Outcome) -> None:
    fake = FakePlugin({"a": [failing(outcome)]})
    run(ABC, fake)
    assert fake.called == ["a", "b"]
    assert fake.clock.waits == []


def test_the_callers_own_fault_stops_everything() -> None:
    fake = FakePlugin({"a": [failing(Outcome.CALLER_FAULT, status=400)]})
    end, log = run(ABC, fake)
    assert fake.called == ["a"]
    assert isinstance(end, Failure)
    assert log.attempts[0].outcome is Outcome.CALLER_FAULT


def test_a_400_after_our_own_switch_of_model_is_a_lack_of_that_model() -> None:
    fake = FakePlugin({"a": [failing(Outcome.CREDENTIAL)], "b": [failing(Outcome.CALLER_FAULT, status=400)]})
    _, log = run(ABC, fake)
    assert fake.called == ["a", "b", "c"]
    assert log.attempts[1].outcome is Outcome.CAPABILITY


def test_a_400_for_parameters_of_the_policy_is_no_fault_of_the_caller() -> None:
    fake = FakePlugin({"a": [failing(Outcome.CALLER_FAULT)]})
    run(ABC, fake, own_params=True)
    assert fake.called == ["a", "b"]


def test_retry_after_is_honoured_to_the_cap() -> None:
    fake = FakePlugin({"a": [failing(Outcome.CAPACITY, retry_after=3.0)]})
    run(ABC, fake)
    assert fake.called == ["a", "a"]
    assert fake.clock.waits == [3.0]


def test_a_retry_after_beyond_the_cap_means_the_next_provider() -> None:
    fake = FakePlugin({"a": [failing(Outcome.CAPACITY, retry_after=30.0)]})
    run(ABC, fake)
    assert fake.called == ["a", "b"]
    assert fake.clock.waits == []


def test_bad_content_is_asked_for_once_more_and_never_a_third_time() -> None:
    many = policy([provider("a", retry=Retry(5)), B], rule(["a", "b"], validate=Validate(attempts=2, format="json")))
    fake = FakePlugin({"a": [said("no"), said("still no"), said('{"x": 1}')]}, otherwise=said('{"x": 2}'))
    end, _ = run(many, fake)
    assert fake.called == ["a", "a", "b"]
    assert isinstance(end, Accepted)
    assert end.json == {"x": 2}


def test_the_first_limit_reached_moves_on() -> None:
    patient = policy([A, B], rule(["a", "b"], validate=Validate(attempts=4)))
    fake = FakePlugin({"a": [failing(Outcome.SERVER), said("")]})
    run(patient, fake)
    assert fake.called == ["a", "a", "b"]


def test_the_chain_has_one_attempt_budget() -> None:
    keen = [provider(name, retry=Retry(4, 0.1, 0.1)) for name in "abc"]
    fake = FakePlugin(otherwise=failing(Outcome.SERVER))
    run(policy(keen, rule(["a", "b", "c"])), fake)
    assert fake.called == ["a"] * 4 + ["b"] * 2


def test_one_deadline_covers_the_whole_chain() -> None:
    fake = FakePlugin(otherwise=failing(Outcome.TIMEOUT), seconds=8.0)
    run(ABC, fake, deadline=20.0)
    assert fake.clock.now() <= 20.0
    assert [round(target.total, 3) for _, target, _ in fake.calls] == [20.0, 11.875, 3.875]


def test_making_a_plugin_ready_is_no_latency_of_its_provider_and_no_part_of_the_deadline() -> None:
    fake = FakePlugin()
    _, log = run(ABC, fake, deadline=1.0, load=lambda _: lambda: fake.clock.advance(2.0))
    assert fake.called == ["a"]
    assert log.attempts[0].latency_ms == pytest.approx(100)
    assert fake.calls[0][1].total == 1.0


def test_a_plugin_that_cannot_be_made_ready_is_passed_over() -> None:
    def broken() -> None:
        raise UsageError("plugin `a` needs the Python package `x`, which is not installed")

    fake = FakePlugin()
    end, log = run(ABC, fake, load=lambda candidate: broken if candidate.name == "a" else None)
    assert isinstance(end, Accepted)
    assert fake.called == ["b"]
    assert [a.outcome for a in log.attempts] == [Outcome.CAPABILITY, Outcome.OK]
    assert log.attempts[0].failure is not None
    assert "package `x`" in log.attempts[0].failure.message


def test_a_wait_that_would_outlast_the_deadline_is_not_waited() -> None:
    fake = FakePlugin({"a": [failing(Outcome.CAPACITY, retry_after=4.0)]}, seconds=1.0)
    run(ABC, fake, deadline=4.5)
    assert fake.clock.waits == []
    assert fake.called == ["a", "b"]


def test_a_plugin_that_raises_nonsense_is_a_failure_like_any_other() -> None:
    fake = FakePlugin({"a": [ZeroDivisionError("the prompt was: secret"), ZeroDivisionError()]})
    _, log = run(ABC, fake)
    assert fake.called == ["a", "a", "b"]
    assert log.attempts[0].failure is not None
    assert "secret" not in log.attempts[0].failure.message


def test_a_plugin_that_gives_back_no_reply_is_a_failure_like_any_other() -> None:
    class Empty(FakePlugin):
        def send(self, target: Target, request: Request, permit: Permit) -> Any:
            reply = super().send(target, request, permit)
            return None if target.name == "a" else reply

    fake = Empty()
    _, log = run(ABC, fake)
    assert [(a.provider, str(a.outcome)) for a in log.attempts] == [("a", "server"), ("a", "server"), ("b", "ok")]
    assert log.attempts[0].failure is not None
    assert log.attempts[0].failure.message == "the plugin gave back NoneType and no reply"
    nothing: Any = None

    async def main() -> Result:
        return await asender(lambda _: Wordless())(Call(nothing, nothing, nothing, nothing, False))

    assert isinstance(asyncio.run(main()), Failure)


class Wordless(FakePlugin):
    async def asend(self, target: Any, request: Any, permit: Any) -> Any:
        return "words"


def test_the_observer_hears_each_attempt_and_each_move() -> None:
    heard: list[Any] = []
    fake = FakePlugin({"a": [failing(Outcome.SERVER), failing(Outcome.SERVER)]})
    run(ABC, fake, observe=heard.append)
    moves = [event for event in heard if isinstance(event, Move)]
    assert [(m.provider, m.tries, m.to) for m in moves] == [("a", 2, "b")]
    assert moves[0].seconds == pytest.approx(0.325)
    assert len(heard) == 4


class Turnstile:
    """Lets `allowed` calls into `a`, everybody else as they like, and remembers how each ended."""

    def __init__(self, allowed: int) -> None:
        self.allowed = allowed
        self.inside = 0
        self.ended: list[Outcome | None] = []

    def refuses(self, p: Provider) -> Skipped | None:
        return None

    def postpones(self, p: Provider) -> bool:
        return False

    def enter(self, p: Provider) -> Skipped | Leaving | None:
        if p.name == "a":
            if self.allowed == 0:
                return Skipped("a", Why.DOWN, "open")
            self.allowed -= 1
        self.inside += 1
        return self._leave

    def _leave(self, attempt: Attempt | None) -> None:
        self.inside -= 1
        self.ended.append(attempt.outcome if attempt else None)


def test_a_gate_that_closes_between_two_calls_is_heeded() -> None:
    fake, gate = FakePlugin({"a": [failing(Outcome.SERVER)]}), Turnstile(1)
    _, log = run(ABC, fake, gates=[gate])
    assert fake.called == ["a", "b"]
    assert [s.detail for s in log.skipped] == ["open"]
    assert gate.ended == [Outcome.SERVER, Outcome.OK]
    assert gate.inside == 0


def test_what_one_gate_gave_is_given_back_where_the_next_refuses() -> None:
    fake, outer, inner = FakePlugin(), Turnstile(9), Turnstile(0)
    run(ABC, fake, gates=[outer, inner])
    assert fake.called == ["b"]
    assert outer.ended == [None, Outcome.OK]
    assert outer.inside == inner.inside == 0


def test_a_gate_is_left_also_by_a_call_that_was_interrupted() -> None:
    class Interrupted(FakePlugin):
        def send(self, *_: Any) -> Reply:
            raise KeyboardInterrupt

    gate = Turnstile(9)
    with pytest.raises(KeyboardInterrupt):
        run(ABC, Interrupted(), gates=[gate])
    assert gate.ended == [Outcome.CANCELLED]
    assert gate.inside == 0


def test_an_interrupted_call_is_written_down() -> None:
    class Interrupted(FakePlugin):
        def send(self, *_: Any) -> Reply:
            raise KeyboardInterrupt

    fake = Interrupted()
    log = Log()
    guard = Guard(ABC, lambda _: False)
    terms = Terms(
        request_for=lambda _: ask(),
        permit=lambda c: egress.permit(guard, c.provider, c.where),
        judge=lambda reply: Accepted(reply, reply.text),
        deadline=10,
        clock=fake.clock,
        rng=lambda: 0,
    )
    with pytest.raises(KeyboardInterrupt):
        drive(attempts(planned(ABC, guard), terms, log), sender(lambda _: fake), fake.clock)
    assert [a.outcome for a in log.attempts] == [Outcome.CANCELLED]


# Generated failures on a clock that stands still.

LOCAL = provider("home", local=True)
LIAR = provider("liar", local=True, base_url="https://api.example.com")
CLOUDS = [provider(name) for name in ("a", "b", "c")]
EVERYBODY = [LOCAL, LIAR, *CLOUDS]
STAYS = guarantee("stays", ["home", "liar"], PII)

outcomes = st.sampled_from([o for o in Outcome if o not in (Outcome.OK, Outcome.CANCELLED)])
failures = st.builds(
    Failure, outcomes, st.just("scripted"), retry_after=st.one_of(st.none(), st.floats(0, 500, allow_nan=False))
)
replies = st.sampled_from([said(), said(""), said("I cannot help with that.")])
scripts = st.dictionaries(
    st.sampled_from([p.name for p in EVERYBODY]), st.lists(st.one_of(failures, replies), max_size=5), max_size=5
)
chains = st.lists(st.sampled_from([p.name for p in EVERYBODY]), min_size=1, max_size=8)


@settings(max_examples=1500, deadline=None)
@given(
    chain=chains,
    script=scripts,
    tainted=st.booleans(),
    seconds=st.floats(0, 60),
    chance=st.floats(0, 0.999),
    deadline=st.floats(0.1, 200),
    tries=st.integers(1, 5),
)
def test_whatever_fails_in_whatever_order_the_limits_and_the_guarantees_hold(
    chain: list[str],
    script: dict[str, list[Any]],
    tainted: bool,
    seconds: float,
    chance: float,
    deadline: float,
    tries: int,
) -> None:
    from dataclasses import replace

    keen = [replace(p, retry=Retry(tries, 0.25, 4.0)) for p in EVERYBODY]
    of = policy(keen, rule(chain, validate=Validate(not_refusal=True)), STAYS)
    fake = FakePlugin({k: list(v) for k, v in script.items()}, seconds=seconds, otherwise=failing(Outcome.SERVER))
    end, log = run(of, fake, signals={"contains_pii": tainted}, rng=lambda: chance, deadline=deadline)

    if tainted:
        assert set(fake.called) <= {"home"}, "a guarantee was broken"
    moved = [name for i, name in enumerate(fake.called) if i == 0 or fake.called[i - 1] != name]
    assert len(moved) == len(set(moved)), "a provider was asked again after the chain had moved on"
    assert [name for name in dict.fromkeys(chain) if name in moved] == moved, "the order of the chain was not kept"
    assert len(fake.called) <= 6
    assert all(fake.called.count(name) <= tries for name in moved)
    assert sum(fake.clock.waits) < deadline
    assert fake.clock.now() <= deadline + 1e-6, "a call or a wait outlasted the deadline"
    assert len(log.attempts) == len(fake.called)
    assert isinstance(end, Accepted) == (bool(log.attempts) and log.attempts[-1].outcome is Outcome.OK)
    bad = [a.provider for a in log.attempts if a.outcome is Outcome.BAD_CONTENT]
    assert all(bad.count(name) <= 2 for name in bad)
    assert not isinstance(end, Broken)
