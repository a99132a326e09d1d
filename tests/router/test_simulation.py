"""Thousands of crowds and failure scripts through the real engine on a virtual clock: what must hold, holds throughout."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hroute.router.attempts import Call
from hroute.router.drive import drive, sender
from hroute.router.engine import Engine
from hroute.router.health import Change, Health
from hroute.router.plan import Why
from hroute.schema.policy import Breaker, LatencyBreaker, Limits, Policy, Provider, Retry, Timeout
from hroute.terms.clock import VirtualClock
from hroute.terms.message import Reply
from hroute.terms.outcome import Failure, Outcome
from tests.router.crowd import Crowd, Visitor
from tests.router.stage import KEYED, PII, FakePlugin, ask, failing, guarantee, policy, provider, rule, said

CAUSED = (Outcome.SERVER, Outcome.TRANSPORT, Outcome.TIMEOUT, Outcome.CAPACITY)
FAILURES = [o for o in Outcome if o not in (Outcome.OK, Outcome.CANCELLED)]
ALL_OPEN = ("fail", "probe_best", "wait <= 5s", "wait <= 2m")


LOCAL = ("home", "cellar")


def engine(of: Policy, clock: VirtualClock, fake: FakePlugin | None = None, **more: Any) -> Engine:
    plugin = fake or FakePlugin(clock=clock)
    return Engine(of, environ=KEYED, load=lambda _: plugin, facts=lambda _: plugin.capabilities, clock=clock, **more)


class Script:
    """One generated crowd: a policy of four providers, how each behaves, and who comes when. All of it from one seed."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = random.Random(seed)
        self.deadline = rng.choice([5.0, 30.0, 120.0])
        everybody = [self._provider(name, name in LOCAL) for name in (*LOCAL, "a", "b")]
        chain = rng.sample([p.name for p in everybody], rng.randint(1, 4))
        self.policy = policy(
            everybody,
            rule(chain),
            guarantee("stays", LOCAL, PII),
            on_all_open=rng.choice(ALL_OPEN),
            deadline=self.deadline,
        )
        self.bad = {p.name: rng.choice([0.0, 0.1, 0.5, 0.95, 1.0]) for p in everybody}
        self.pace = {p.name: rng.choice([0.05, 1.0, 9.0, 60.0]) for p in everybody}

    def _provider(self, name: str, local: bool) -> Provider:
        rng = self.rng
        latency = LatencyBreaker(rng.choice([0.5, 5.0]), rng.randint(1, 5), 60.0, 20.0) if rng.random() < 0.6 else None
        return provider(
            name,
            local=local,
            timeout=Timeout(total=rng.choice([10.0, 300.0])),
            retry=Retry(rng.randint(1, 4), 0.25, 4.0),
            breaker=Breaker(rng.randint(1, 4), rng.choice([10.0, 60.0]), rng.choice([1.0, 30.0]), rng.randint(1, 3), latency),
            limits=Limits(
                concurrency=rng.choice([None, None, 1, 2]),
                requests_per_minute=rng.choice([None, None, 5, 60]),
                tokens_per_minute=rng.choice([None, None, 2000]),
                wait=rng.choice([None, None, 0.0, 3.0]),
            ),
        )  # fmt: skip

    def answers(self, call: Call) -> tuple[float, Reply | Failure]:
        name, rng = call.candidate.name, self.rng
        seconds = rng.expovariate(1 / self.pace[name])
        if rng.random() >= self.bad[name]:
            return seconds, said(load_ms=rng.choice([0.0, 0.0, seconds * 500]))
        after = rng.choice([None, None, 0.5, 20.0])
        return seconds, Failure(rng.choice(FAILURES), "scripted", retry_after=after)

    def come(self, crowd: Crowd, visitors: int) -> None:
        moment = 0.0
        for _ in range(visitors):
            moment += self.rng.choice([0.0, 0.0, 0.01, 1.0, 10.0])
            crowd.arrive(moment, stream=self.rng.random() < 0.2, contains_pii=self.rng.random() < 0.4)


class Watch:
    """What must hold whenever a request has its plan, whenever a call begins, and at the end."""

    def __init__(self, script: Script, clock: VirtualClock) -> None:
        self.script = script
        self.clock = clock
        self.half_open_since: dict[str, float] = {}
        self.health = Health(clock, script.rng.random, self._changed)
        self.crowd = Crowd(engine(script.policy, clock, health=self.health), script.answers, self.called, self.planned)
        self.until: dict[str, float] = {}
        self.calls = self.probes = self.postponed = 0

    def _changed(self, change: Change) -> None:
        if (change.breaker, change.after) == ("errors", "half-open"):
            self.half_open_since[change.provider] = self.clock.now()

    def planned(self, visitor: Visitor) -> None:
        """A latency breaker orders the plan, and only an errors breaker thins it out."""
        plan = visitor.run.plan
        slow = [self.health.postpones(candidate.provider) for candidate in plan.candidates]
        assert slow == sorted(slow), "a slow provider was put before another"
        self.postponed += any(slow)
        for name in plan.decision.chain:
            permitted = name in LOCAL or not visitor.given["contains_pii"]
            if permitted and self.health.refuses(self.script.policy.providers[name]) is None:
                assert name in plan.route, "a provider was left out although no errors breaker is open"

    def called(self, visitor: Visitor, call: Call) -> None:
        self.calls += 1
        name, settings = call.candidate.name, call.candidate.provider
        if visitor.given["contains_pii"]:
            assert name in LOCAL, "a guarantee was broken"
        assert name not in visitor.called or visitor.called[-1] == name, "asked again after the chain had moved on"
        for p in self.script.policy.providers.values():
            until = self.health.of(p).breaker.until
            assert until >= self.until.get(p.name, until), "the end of an open time came nearer"
            self.until[p.name] = until
        inside = [began for who, began in self.crowd.under_way if who == name]
        breaker = self.health.of(settings).breaker
        assert breaker.state != "open", "a call although the errors breaker is open"
        if self.script.policy.on_all_open != "probe_best":
            assert self.clock.now() >= breaker.until, "a call before the open time was over"
        if breaker.state == "half-open":
            self.probes += 1
            probing = sum(began >= self.half_open_since[name] for began in inside)
            assert probing < settings.breaker.probes, "more calls than probes in half-open"
        slots = settings.limits.concurrency
        assert slots is None or len(inside) < slots, "more calls than slots"

    def ended(self, visitor: Visitor) -> None:
        assert visitor.ended is not None, "a request was left hanging"
        deadline = self.script.policy.deadline
        assert visitor.waited <= deadline + 1e-6, "it waited past its deadline"
        streamed = visitor.run.streams and visitor.answer is not None
        assert streamed or visitor.ended - visitor.began <= deadline + 1e-6, "it took longer than its deadline"
        assert len(visitor.called) == len(visitor.run.log.attempts) <= 6
        if not visitor.called:
            assert {s.why for s in visitor.run.skipped} <= {Why.DOWN, Why.KEY, Why.LIMIT, Why.GUARANTEE}

    def over(self) -> None:
        for p in self.script.policy.providers.values():
            limiter = self.health.of(p).limiter
            assert (limiter.under_way, limiter.waiting) == (0, 0), "a slot was lost"


def play(seed: int, visitors: int) -> Watch:
    script = Script(seed)
    watch = Watch(script, VirtualClock())
    script.come(watch.crowd, visitors)
    for visitor in watch.crowd.play():
        watch.ended(visitor)
    watch.over()
    return watch


@pytest.mark.parametrize("block", range(8))
def test_in_every_crowd_the_breakers_the_limits_and_the_guarantees_hold(block: int) -> None:
    watches = [play(seed, 25) for seed in range(block * 100, block * 100 + 100)]
    assert sum(watch.calls for watch in watches) > 1000, "hardly anything was tried: the crowds prove nothing"
    assert sum(watch.probes for watch in watches) > 100
    assert sum(watch.postponed for watch in watches) > 30


@pytest.mark.slow
@pytest.mark.parametrize("block", range(10))
def test_in_thousands_of_crowds_the_breakers_the_limits_and_the_guarantees_hold(block: int) -> None:
    for seed in range(10_000 + block * 1000, 10_000 + block * 1000 + 1000):
        play(seed, 40)


def steady(breaker: Breaker, names: str = "a", **more: Any) -> Policy:
    return policy(
        [provider(name, breaker=breaker, retry=Retry(1)) for name in names], rule(list(names)), deadline=120.0, **more
    )


@settings(max_examples=150, deadline=None)
@given(
    outcomes=st.lists(st.sampled_from([Outcome.OK, *FAILURES, *CAUSED, *CAUSED]), min_size=5, max_size=60),
    gaps=st.lists(st.sampled_from([0.0, 0.5, 7.0, 31.0]), min_size=1, max_size=10),
    failures=st.integers(1, 5),
)
def test_a_lone_provider_is_left_alone_after_so_many_failures_in_a_row(
    outcomes: list[Outcome], gaps: list[float], failures: int
) -> None:
    script = [said() if outcome is Outcome.OK else failing(outcome) for outcome in outcomes]
    fake = FakePlugin({"a": list(script)}, seconds=0.1)
    made = engine(steady(Breaker(failures, 60.0, 30.0)), fake.clock, fake, rng=lambda: 0.5)
    row: list[float] = []
    shut_until = 0.0
    for n in range(len(script)):
        fake.clock.advance(gaps[n % len(gaps)])
        began, before = fake.clock.now(), len(fake.calls)
        run = made.begin(ask(), {})
        drive(run.steps, sender(made.plugin), fake.clock)
        if len(fake.calls) == before:
            assert run.skipped[0].why in (Why.DOWN, Why.KEY)
            continue
        assert began >= shut_until, "it was called although it had just failed so often"
        outcome = run.log.attempts[-1].outcome
        if outcome in (Outcome.OK, Outcome.BAD_CONTENT):
            row.clear()
        elif outcome in CAUSED:
            row = [at for at in [*row, fake.clock.now()] if at >= fake.clock.now() - 60]
        if outcome is Outcome.CREDENTIAL or (outcome in CAUSED and len(row) >= failures):
            shut_until = fake.clock.now() + 30
            assert made.health.of(made.policy.providers["a"]).breaker.state == "open"


def test_the_latency_spike_of_the_article() -> None:
    """A local server that answers one request after the other: in a spike its p95 breaker opens and traffic moves to the
    cloud, private requests stay and are served, and when the spike is over half-open brings the traffic back."""
    spike = LatencyBreaker(p95=8.0, samples=10, within=120.0, open_for=60.0)
    home = provider("home", local=True, breaker=Breaker(latency=spike), timeout=Timeout(total=600.0))
    of = policy([home, provider("cloud")], rule(["home", "cloud"]), guarantee("stays", ["home"], PII), deadline=600.0)
    clock = VirtualClock()
    free_at = 0.0

    def queueing(call: Call) -> tuple[float, Reply | Failure]:
        nonlocal free_at
        if call.candidate.name == "cloud":
            return 1.5, said()
        free_at = max(free_at, clock.now()) + 2.0
        return free_at - clock.now(), said()

    changes: list[tuple[str, str, str]] = []
    health = Health(clock, lambda: 0.0, lambda c: changes.append((c.breaker, c.before, c.after)))
    crowd = Crowd(engine(of, clock, health=health), queueing)
    for second in range(0, 60, 5):
        crowd.arrive(float(second), contains_pii=False)  # quiet: one request in five seconds
    for tenth in range(600, 900, 5):
        crowd.arrive(tenth / 10, contains_pii=tenth % 50 == 0)  # the spike: two a second, every tenth private
    for second in range(90, 600, 5):
        crowd.arrive(float(second), contains_pii=False)  # and quiet again
    visitors = crowd.play()

    assert all(visitor.answer for visitor in visitors), "somebody was refused"
    assert all(v.served_by == "home" for v in visitors if v.given["contains_pii"]), "a private request left"
    spiked = [v for v in visitors if 60 <= v.began < 90 and not v.given["contains_pii"]]
    moved = [v for v in spiked if v.served_by == "cloud"]
    assert len(moved) > len(spiked) / 3, "the spike was not taken off the local server"
    assert all(str(v.answer.escalation) == "slow" for v in moved if v.answer)
    first = min(v.began for v in moved)
    assert all(v.served_by == "cloud" for v in spiked if v.began >= first), "not all of the traffic moved"
    assert all(v.served_by == "home" for v in visitors if v.began < 60)
    assert all(v.served_by == "home" for v in visitors if v.began > 400), "the traffic did not come back"
    assert {change[0] for change in changes} == {"latency"}, "slowness was taken for an error"
    assert changes[0][1:] == ("closed", "open")
    assert changes[-1][1:] == ("half-open", "closed")
