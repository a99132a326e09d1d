"""Limits and breakers in a request's way: who waits, who moves on, and what happens where every breaker is open."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hroute.errors import AllFailed, NoCredential, Refused
from hroute.providers.protocol import Permit, Target
from hroute.router.attempts import Call
from hroute.router.client import AsyncClient, Client
from hroute.router.egress import Forbidden
from hroute.router.engine import Engine
from hroute.router.gates import AllOpen, all_open
from hroute.router.health import Health
from hroute.router.plan import Why
from hroute.schema.policy import Breaker, LatencyBreaker, Limits, Policy, Retry, Timeout
from hroute.terms.allowance import Allowance
from hroute.terms.clock import SystemClock, VirtualClock
from hroute.terms.message import Reply, Request, TextDelta
from hroute.terms.outcome import Failure, Outcome, Reason
from tests.router.crowd import Crowd
from tests.router.stage import KEYED, PII, FakePlugin, failing, guarantee, policy, provider, rule, said

SLOW = Timeout(total=600.0)


def engine(of: Policy, fake: Any = None, **more: Any) -> Engine:
    plugin = fake or FakePlugin()
    more = {"clock": plugin.clock, "rng": lambda: 0.0, **more}
    return Engine(of, environ=KEYED, load=lambda _: plugin, facts=lambda _: plugin.capabilities, **more)


def crowd(of: Policy, answers: Callable[[Call], tuple[float, Reply | Failure]] | None = None) -> Crowd:
    return Crowd(engine(of), answers or (lambda call: (10.0, said())))


def one(name: str = "home", **more: Any) -> Policy:
    more.setdefault("timeout", SLOW)
    return policy([provider(name, local=True, **more)], rule([name]), deadline=120.0)


def two(deadline: float = 120.0, **limits: Any) -> Policy:
    home = provider("home", local=True, limits=Limits(**limits), timeout=SLOW)
    return policy(
        [home, provider("cloud")], rule(["home", "cloud"]), guarantee("stays", ["home"], PII), deadline=deadline
    )


# Limits.


def test_a_slot_is_not_waited_for_while_another_candidate_is_left() -> None:
    many = crowd(two(concurrency=1))
    for _ in range(3):
        many.arrive(0.0)
    first, *others = many.play()
    assert first.served_by == "home"
    assert [v.served_by for v in others] == ["cloud", "cloud"]
    assert [v.waited for v in others] == [0.0, 0.0]
    answer = others[0].answer
    assert answer is not None
    assert answer.escalation is Reason.CAPACITY
    assert answer.as_json()["skipped"] == [
        {"provider": "home", "why": "limit", "detail": "limits.concurrency is reached: 1 call at a time"}
    ]


def test_a_slot_is_waited_for_until_the_deadline_where_nobody_else_may_serve() -> None:
    many = crowd(two(concurrency=1, deadline=95.0))
    for _ in range(14):
        many.arrive(0.0, contains_pii=True)
    visitors = many.play()
    assert [round(v.ended or 0) for v in visitors[:9]] == [10, 20, 30, 40, 50, 60, 70, 80, 90], (
        "not one by one, in order"
    )
    assert all(v.answer for v in visitors[:9])
    late, *refused = visitors[9:]
    assert [(a.outcome, a.hurried) for a in late.run.log.attempts] == [(Outcome.TIMEOUT, True)], "5 s were left of 95"
    assert all(isinstance(v.error, Refused) for v in refused)
    assert all(v.run.skipped[-1].why is Why.LIMIT for v in refused)
    assert all(v.waited == pytest.approx(95.0) for v in refused)


def test_a_policy_may_say_how_long_a_slot_is_waited_for() -> None:
    many = crowd(two(concurrency=1, wait=12.0))
    for _ in range(3):
        many.arrive(0.0)
    visitors = many.play()
    assert [v.served_by for v in visitors] == ["home", "home", "cloud"]
    assert [v.waited for v in visitors] == [0.0, 10.0, 12.0]
    impatient = crowd(one(limits=Limits(concurrency=1, wait=0.0)))
    impatient.arrive(0.0)
    impatient.arrive(0.0)
    assert [v.served_by for v in impatient.play()] == ["home", None]


def test_a_candidate_whose_breaker_is_open_is_nobody_who_is_left() -> None:
    of = policy(
        [
            provider("home", local=True, limits=Limits(concurrency=1), timeout=SLOW),
            provider("cloud", breaker=Breaker(failures=1)),
        ],
        rule(["home", "cloud"]),
    )
    many = crowd(of, lambda call: (10.0, said()) if call.candidate.name == "home" else (1.0, failing(Outcome.SERVER)))
    for moment in (0.0, 0.0, 5.0):
        many.arrive(moment)
    assert [v.served_by for v in many.play()] == ["home", None, "home"]


def test_requests_a_minute_are_waited_for_and_told() -> None:
    many = crowd(one(limits=Limits(requests_per_minute=2)), lambda call: (0.0, said()))
    for _ in range(4):
        many.arrive(0.0)
    assert [v.waited for v in many.play()] == [0.0, 0.0, 30.0, 60.0]


def test_tokens_a_minute_count_the_estimate_and_then_what_was_used() -> None:
    def spent(tokens: int) -> Callable[[Call], tuple[float, Reply]]:
        from hroute.terms.usage import Usage

        return lambda call: (1.0, said(usage=Usage(input=tokens)))

    def second(tokens: int) -> float:
        many = crowd(one(limits=Limits(tokens_per_minute=600)), spent(tokens))
        many.arrive(0.0)
        many.arrive(2.0)
        return many.play()[1].waited

    assert second(10) == 0.0, "the estimate of 500 tokens of output was never given back"
    assert second(600) > 40.0


def test_a_retry_after_keeps_everybody_away_from_that_provider() -> None:
    many = crowd(
        two(),
        lambda call: (
            (0.0, failing(Outcome.CAPACITY, status=429, retry_after=30.0))
            if call.candidate.name == "home" and many.clock.now() < 5
            else (0.0, said())
        ),
    )
    for moment in (0.0, 10.0, 29.0, 31.0):
        many.arrive(moment)
    visitors = many.play()
    assert [v.called for v in visitors] == [["home", "cloud"], ["cloud"], ["cloud"], ["home"]]
    assert "vendor asks to wait 20 s" in visitors[1].run.skipped[0].detail


def test_what_a_vendor_says_is_left_is_respected() -> None:
    left = (Allowance("requests", 1, 50, 20.0),)
    many = crowd(two(), lambda call: (0.0, said(allowances=left) if call.candidate.name == "home" else said()))
    for moment in (0.0, 1.0, 2.0, 30.0):
        many.arrive(moment)
    assert [v.served_by for v in many.play()] == ["home", "home", "home", "home"], "it says one is left, each time"
    none = (Allowance("requests", 0, 50, 20.0),)
    many = crowd(two(), lambda call: (0.0, said(allowances=none) if call.candidate.name == "home" else said()))
    for moment in (0.0, 1.0, 20.5):
        many.arrive(moment)
    visitors = many.play()
    assert [v.served_by for v in visitors] == ["home", "cloud", "home"]
    assert "vendor's limit on requests" in visitors[1].run.skipped[0].detail


def test_a_slot_is_given_back_by_a_call_that_a_guarantee_stops_at_the_door() -> None:
    class Changeable(FakePlugin):
        def send(self, target: Target, request: Request, permit: Permit) -> Reply:
            permit.spend("another")
            raise AssertionError

    made = engine(one(limits=Limits(concurrency=1)), Changeable())
    for _ in range(3):
        with pytest.raises(Forbidden):
            Client(made).complete("hi")
    assert made.health.of(made.policy.providers["home"]).limiter.under_way == 0


def test_a_slot_is_given_back_by_a_stream_that_nobody_reads_to_its_end() -> None:
    made = engine(one(limits=Limits(concurrency=1)))
    limiter = made.health.of(made.policy.providers["home"]).limiter
    for _ in range(3):
        stream = Client(made).stream("hi")
        assert isinstance(next(stream), TextDelta)
        assert limiter.under_way == 1
        stream.close()
        assert limiter.under_way == 0


# Breakers.


def test_a_breaker_that_opens_in_the_middle_of_a_chain_ends_its_retries() -> None:
    fake = FakePlugin(otherwise=failing(Outcome.SERVER))
    made = engine(one(breaker=Breaker(failures=2), retry=Retry(5)), fake)
    with pytest.raises(AllFailed):
        Client(made).complete("hi")
    assert fake.called == ["home", "home"]


def test_a_key_that_was_rejected_is_not_tried_again_and_the_error_is_about_the_key() -> None:
    fake = FakePlugin(otherwise=failing(Outcome.CREDENTIAL, status=401))
    client = Client(engine(policy([provider("cloud")], rule(["cloud"])), fake))
    for _ in range(2):
        with pytest.raises(NoCredential):
            client.complete("hi")
    assert fake.called == ["cloud"]


def test_a_timeout_counts_where_the_provider_had_its_time_and_not_where_our_deadline_came_over_it() -> None:
    of = policy(
        [provider("a", retry=Retry(1)), provider("b", retry=Retry(1), breaker=Breaker(failures=1))],
        rule(["a", "b"]),
        deadline=100.0,
    )

    def state(first: float) -> str:
        many = crowd(of, lambda call: (first, failing(Outcome.SERVER)) if call.candidate.name == "a" else (1e9, said()))
        many.arrive(0.0)
        (visitor,) = many.play()
        assert [a.outcome for a in visitor.run.log.attempts] == [Outcome.SERVER, Outcome.TIMEOUT]
        return many.engine.health.of(of.providers["b"]).breaker.state

    assert state(90.0) == "closed"
    assert state(1.0) == "open"


def test_a_hung_provider_opens_its_breaker_although_every_call_ends_with_the_deadline() -> None:
    of = policy([provider("a", breaker=Breaker(failures=2))], rule(["a"]), deadline=20.0)
    many = crowd(of, lambda call: (1e9, said()))
    for moment in (0.0, 30.0, 51.0):
        many.arrive(moment)
    assert [len(v.called) for v in many.play()] == [1, 1, 0]


def test_a_private_request_is_kept_back_by_no_latency_breaker() -> None:
    slow = LatencyBreaker(p95=1.0, samples=1)
    home = provider("home", local=True, breaker=Breaker(latency=slow))
    of = policy([home, provider("cloud")], rule(["home", "cloud"]), guarantee("stays", ["home"], PII))
    many = crowd(of, lambda call: (5.0, said()))
    for moment, private in ((0.0, False), (10.0, False), (11.0, True)):
        many.arrive(moment, contains_pii=private)
    assert [v.served_by for v in many.play()] == ["home", "cloud", "home"]


def test_waiting_for_a_slot_is_latency_and_loading_a_model_is_not() -> None:
    watched = Breaker(latency=LatencyBreaker(p95=15.0, samples=3, open_for=3600.0))
    many = crowd(one(breaker=watched, limits=Limits(concurrency=1)))
    for _ in range(3):
        many.arrive(0.0)
    many.play()
    home = many.engine.health.of(many.engine.policy.providers["home"])
    assert home.latency is not None
    assert home.latency.state == "open"
    loading = crowd(one(breaker=watched), lambda call: (20.0, said(load_ms=18_000)))
    for _ in range(3):
        loading.arrive(0.0)
    loading.play()
    home = loading.engine.health.of(loading.engine.policy.providers["home"])
    assert home.latency is not None
    assert home.latency.p95 == pytest.approx(2.0)


def test_a_stream_is_as_fast_as_its_first_words() -> None:
    watched = Breaker(latency=LatencyBreaker(p95=15.0, samples=1))
    many = crowd(one(breaker=watched), lambda call: (10.0, said()))
    many.arrive(0.0, stream=True)
    (visitor,) = many.play()
    assert visitor.ended == 20.0
    home = many.engine.health.of(many.engine.policy.providers["home"])
    assert home.latency is not None
    assert home.latency.p95 == 10.0


def test_a_probe_that_streams_lets_the_others_in_as_soon_as_it_speaks() -> None:
    said_at = iter([failing(Outcome.SERVER), said(), said(), said()])
    many = crowd(one(breaker=Breaker(failures=1), retry=Retry(1)), lambda call: (5.0, next(said_at)))
    many.arrive(0.0)
    many.arrive(40.0, stream=True)
    many.arrive(41.0)
    many.arrive(46.0)
    assert [bool(v.answer) for v in many.play()] == [False, True, False, True]


# on_all_open.


def test_on_all_open_is_read() -> None:
    assert all_open("fail") == AllOpen("fail")
    assert all_open("probe_best") == AllOpen("probe_best")
    assert all_open("wait <= 5s") == AllOpen("wait", 5.0)


def outage(on_all_open: str, until: float, *visits: float, deadline: float = 120.0) -> Crowd:
    """Two providers that are down until a moment; `a` opens for 30 s, `b` for 20 s."""
    of = policy(
        [
            provider("a", breaker=Breaker(1, 60.0, 30.0), retry=Retry(1)),
            provider("b", breaker=Breaker(1, 60.0, 20.0), retry=Retry(1)),
        ],
        rule(["a", "b"]),
        on_all_open=on_all_open,
        deadline=deadline,
    )
    many = crowd(of, lambda call: (0.0, said() if many.clock.now() >= until else failing(Outcome.SERVER)))
    for moment in (0.0, *visits):
        many.arrive(moment)
    many.play()
    return many


def test_fail_asks_nobody() -> None:
    visitor = outage("fail", 0.0001, 5.0).visitors[1]
    assert visitor.called == []
    assert visitor.waited == 0
    assert isinstance(visitor.error, AllFailed)
    assert {s.why for s in visitor.run.skipped} == {Why.DOWN}


def test_probe_best_asks_the_one_that_opens_first_and_nobody_else() -> None:
    visitors = outage("probe_best", 10.0, 5.0, 11.0).visitors
    assert [v.called for v in visitors] == [["a", "b"], ["b"], ["a"]], "b failed again and is open for longer now"
    assert visitors[2].served_by == "a"
    assert visitors[2].answer is not None
    assert visitors[2].answer.escalation is None


def test_wait_waits_until_one_may_be_asked() -> None:
    visitor = outage("wait <= 1m", 1.0, 5.0).visitors[1]
    assert visitor.waited == 15.0
    assert visitor.served_by == "b"
    assert [(s.provider, s.why) for s in visitor.run.skipped] == [("a", Why.DOWN)]


def test_wait_does_not_wait_where_that_would_be_too_long() -> None:
    assert outage("wait <= 14s", 1.0, 5.0).visitors[1].waited == 0
    assert outage("wait <= 1m", 1.0, 5.0, deadline=14.0).visitors[1].waited == 0


def test_who_waits_is_woken_by_the_probe_of_somebody_else() -> None:
    of = policy([provider("a", breaker=Breaker(1, 60.0, 30.0), retry=Retry(1))], rule(["a"]), on_all_open="wait <= 1m")
    many = crowd(of, lambda call: (0.0, failing(Outcome.SERVER)) if many.clock.now() < 1 else (7.0, said()))
    for moment in (0.0, 10.0, 11.0, 12.0):
        many.arrive(moment)
    visitors = many.play()
    assert [v.served_by for v in visitors] == [None, "a", "a", "a"]
    assert [v.ended for v in visitors] == [0.0, 37.0, 44.0, 44.0], "the others came in when the probe had answered"


@pytest.mark.parametrize("kind", ["fail", "probe_best", "wait <= 5s"])
def test_what_is_down_by_request_stays_down(kind: str) -> None:
    of = policy([provider("a")], rule(["a"]), on_all_open=kind)
    many = crowd(of)
    many.arrive(0.0, down=frozenset({"a"}))
    (visitor,) = many.play()
    assert visitor.called == []
    assert visitor.waited == 0


@pytest.mark.parametrize("kind", ["fail", "probe_best", "wait <= 1m"])
def test_a_private_request_waits_or_is_refused_but_never_leaves(kind: str) -> None:
    home = provider("home", local=True, breaker=Breaker(1, 60.0, 30.0), retry=Retry(1))
    of = policy([home, provider("cloud")], rule(["home", "cloud"]), guarantee("stays", ["home"], PII), on_all_open=kind)
    many = crowd(of, lambda call: (0.0, failing(Outcome.SERVER) if many.clock.now() < 1 else said()))
    many.arrive(0.0, contains_pii=True)
    many.arrive(5.0, contains_pii=True)
    first, second = many.play()
    assert {*first.called, *second.called} == {"home"}
    assert isinstance(second.error, Refused) if kind == "fail" else second.served_by == "home"


# Threads and event loops.


class Doorway(FakePlugin):
    """A plugin whose calls stand in the doorway until all are let go on; it knows how many stood there at most."""

    def __init__(self, **more: Any) -> None:
        super().__init__(clock=VirtualClock(), seconds=0.0, **more)
        self.lock = threading.Lock()
        self.inside = self.most = self.served = 0
        self.go = threading.Event()
        self.ago: asyncio.Event | None = None

    def _in(self) -> None:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)

    def _out(self) -> None:
        with self.lock:
            self.inside -= 1
            self.served += 1

    def send(self, target: Target, request: Request, permit: Permit) -> Reply:
        self._in()
        try:
            assert self.go.wait(30)
            return super().send(target, request, permit)
        finally:
            self._out()

    async def asend(self, target: Target, request: Request, permit: Permit) -> Reply:
        self._in()
        try:
            if self.ago is not None:
                await self.ago.wait()
            await asyncio.sleep(0)
            return super().send(target, request, permit)
        finally:
            self._out()


def recovering(probes: int, **more: Any) -> tuple[Engine, Doorway]:
    """An engine whose only provider is half-open."""
    door, clock = Doorway(), VirtualClock()
    of = one(breaker=Breaker(failures=1, open_for=30.0, probes=probes), retry=Retry(1), **more)
    made = engine(of, door, clock=clock)
    door.script = {"home": [failing(Outcome.SERVER)]}
    door.go.set()
    with pytest.raises(AllFailed):
        Client(made).complete("hi")
    door.go.clear()
    clock.advance(31)
    door.most = door.served = 0
    return made, door


def outcome_of(call: Callable[[], Any]) -> str:
    try:
        call()
    except AllFailed as error:
        return error.skipped[0].detail
    return "ok"


@pytest.mark.parametrize("probes", [1, 3])
def test_of_many_threads_at_a_half_open_breaker_only_the_probes_reach_the_provider(probes: int) -> None:
    made, door = recovering(probes)
    client = Client(made)
    with ThreadPoolExecutor(24) as pool:
        calls = [pool.submit(outcome_of, lambda: client.complete("hi")) for _ in range(60)]
        while sum(call.done() for call in calls) < len(calls) - probes:
            threading.Event().wait(0.001)
        assert door.most == probes
        door.go.set()
    told = [call.result() for call in calls]
    assert told.count("ok") == probes
    assert all("until those under way have ended" in one for one in told if one != "ok")


@pytest.mark.parametrize("probes", [1, 3])
def test_of_many_tasks_at_a_half_open_breaker_only_the_probes_reach_the_provider(probes: int) -> None:
    made, door = recovering(probes)
    client = AsyncClient(made)

    async def main() -> list[Any]:
        door.ago = asyncio.Event()
        calls = [asyncio.create_task(client.complete("hi")) for _ in range(200)]
        while door.inside < probes or sum(call.done() for call in calls) < len(calls) - probes:
            await asyncio.sleep(0)
        door.ago.set()
        return await asyncio.gather(*calls, return_exceptions=True)

    answers = asyncio.run(main())
    assert door.most == probes
    assert sum(isinstance(answer, AllFailed) for answer in answers) == 200 - probes


def test_many_threads_and_one_slot_are_all_served_one_at_a_time() -> None:
    door = Doorway()
    door.go.set()
    client = Client(engine(one(limits=Limits(concurrency=1)), door, clock=SystemClock()))
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: client.complete(f"hi {n}"), range(100)))
    assert (len(answers), door.most, door.served) == (100, 1, 100)


def test_many_tasks_and_two_slots_are_all_served_two_at_a_time() -> None:
    door = Doorway()
    client = AsyncClient(engine(one(limits=Limits(concurrency=2)), door, clock=SystemClock()))

    async def main() -> list[Any]:
        return await asyncio.gather(*(client.complete(f"hi {n}") for n in range(200)))

    assert len(asyncio.run(main())) == 200
    assert (door.most, door.served) == (2, 200)


def test_a_task_that_is_cancelled_in_the_line_holds_nobody_up() -> None:
    door = Doorway()
    client = AsyncClient(engine(one(limits=Limits(concurrency=1)), door, clock=SystemClock()))

    async def main() -> list[Any]:
        door.ago = asyncio.Event()
        calls = [asyncio.create_task(client.complete(f"hi {n}")) for n in range(10)]
        while door.inside < 1:
            await asyncio.sleep(0)
        for call in calls[:5]:
            call.cancel()
        await asyncio.sleep(0)
        door.ago.set()
        return await asyncio.gather(*calls, return_exceptions=True)

    answers = asyncio.run(main())
    assert [isinstance(answer, BaseException) for answer in answers] == [True] * 5 + [False] * 5
    assert client.engine.health.of(client.policy.providers["home"]).limiter.under_way == 0


def test_engines_that_share_a_health_share_breakers_and_limits() -> None:
    fake = FakePlugin(otherwise=failing(Outcome.SERVER))
    health = Health(fake.clock)
    of = one(breaker=Breaker(failures=1), retry=Retry(1))
    before, after = (Client(engine(of, fake, health=health, clock=None)) for _ in range(2))
    for client in (before, after):
        with pytest.raises(AllFailed):
            client.complete("hi")
    assert fake.called == ["home"], "a reload forgot that the provider is down"


def test_nobody_waits_for_another_try_at_a_breaker_that_has_just_opened() -> None:
    of = policy([provider("a", breaker=Breaker(failures=1), retry=Retry(3, 2.0, 4.0)), provider("b")], rule(["a", "b"]))
    many = crowd(of, lambda call: (0.0, failing(Outcome.SERVER) if call.candidate.name == "a" else said()))
    many.engine._rng = lambda: 0.5
    many.arrive(0.0)
    (visitor,) = many.play()
    assert visitor.called == ["a", "b"]
    assert visitor.waited == 0
