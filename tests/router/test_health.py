"""What is known about the providers: kept over a reload, begun with what others met, and told as it is."""

from __future__ import annotations

from dataclasses import replace

from hroute.router.attempts import Attempt
from hroute.router.health import Change, Health, Past, latency_of
from hroute.router.plan import Skipped, Why
from hroute.schema.policy import Breaker, LatencyBreaker, Limits, Provider
from hroute.terms.clock import VirtualClock
from hroute.terms.outcome import Failure, Outcome
from tests.router.stage import provider

WATCHED = Breaker(failures=2, within=60.0, open_for=30.0, latency=LatencyBreaker(p95=1.0, samples=2))


def health() -> tuple[Health, VirtualClock, list[Change]]:
    clock, heard = VirtualClock(500.0), list[Change]()
    return Health(clock, lambda: 0.0, heard.append), clock, heard


def ended(made: Health, who: Provider, outcome: Outcome, latency_ms: float = 100.0, message: str = "503") -> None:
    leaving = made.enter(who)
    assert not isinstance(leaving, Skipped)
    assert leaving is not None
    failure = None if outcome is Outcome.OK else Failure(outcome, message)
    leaving(Attempt(who.name, who.model, outcome, latency_ms, failure))


def test_the_errors_breaker_refuses_and_says_why_and_for_how_long() -> None:
    made, clock, _ = health()
    a = provider("a", breaker=WATCHED)
    for _ in range(2):
        ended(made, a, Outcome.SERVER, message="503 overloaded")
    clock.advance(9)
    assert made.refuses(a) == Skipped("a", Why.DOWN, "its errors breaker is open, 21 s more (503 overloaded)")
    assert isinstance(made.enter(a), Skipped)


def test_a_breaker_belongs_to_one_provider() -> None:
    made, _, _ = health()
    a, b = provider("a", breaker=WATCHED), provider("b", breaker=WATCHED)
    for _ in range(2):
        ended(made, a, Outcome.SERVER)
    assert made.refuses(a)
    assert made.refuses(b) is None


def test_slowness_and_errors_do_not_touch_each_other() -> None:
    made, _, heard = health()
    a, b = provider("a", breaker=WATCHED), provider("b", breaker=WATCHED)
    for _ in range(2):
        ended(made, a, Outcome.OK, 5000.0)
        ended(made, b, Outcome.TIMEOUT, 60_000.0)
    assert (made.refuses(a), made.postpones(a)) == (None, True)
    assert (made.refuses(b) is None, made.postpones(b)) == (False, False)
    assert heard == [Change("a", "latency", "closed", "open"), Change("b", "errors", "closed", "open")]


def test_other_settings_of_a_reload_are_taken_over_and_the_breaker_stays_as_it_was() -> None:
    made, _, _ = health()
    a = provider("a", breaker=WATCHED)
    for _ in range(2):
        ended(made, a, Outcome.SERVER)
    changed = replace(a, breaker=replace(WATCHED, failures=9, latency=None), limits=Limits(concurrency=1))
    assert made.refuses(changed)
    assert made.of(changed).latency is None
    assert made.of(changed).limiter.limits.concurrency == 1
    assert made.of(replace(changed, breaker=WATCHED)).latency is not None


def test_another_key_model_or_address_is_another_provider() -> None:
    made, _, _ = health()
    a = provider("a", breaker=WATCHED)
    for other in (replace(a, api_key="env:OTHER"), replace(a, model="b"), replace(a, base_url="https://b.example")):
        ended(made, a, Outcome.CREDENTIAL)
        assert made.refuses(a)
        assert made.refuses(other) is None


def test_the_bell_rings_at_each_change() -> None:
    made, _, _ = health()
    a, bell = provider("a", breaker=Breaker(failures=1)), made.bell()
    ended(made, a, Outcome.OK)
    assert not bell.rung
    ended(made, a, Outcome.SERVER)
    assert bell.rung
    assert not made.bell().rung


def test_latency_is_what_the_request_waited_less_the_loading_of_the_model() -> None:
    assert latency_of(Attempt("a", "m", Outcome.OK, 900.0, waited_ms=300.0, load_ms=200.0)) == 1.0
    assert latency_of(Attempt("a", "m", Outcome.OK, 9000.0, first_token_ms=400.0)) == 0.4
    assert latency_of(Attempt("a", "m", Outcome.OK, 100.0, load_ms=500.0)) == 0.0


def test_a_new_process_begins_with_what_others_met() -> None:
    made, clock, heard = health()
    a, b, c = (provider(name, breaker=WATCHED) for name in "abc")
    past = [
        Past("a", Outcome.SERVER, 20.0), Past("a", Outcome.SERVER, 12.0),
        Past("b", Outcome.OK, 40.0, 5.0), Past("b", Outcome.OK, 30.0, 5.0),
        Past("c", Outcome.SERVER, 50.0), Past("c", Outcome.SERVER, 49.0), Past("c", Outcome.OK, 1.0, 0.2),
        Past("gone", Outcome.SERVER, 1.0),
    ]  # fmt: skip
    made.seed([a, b, c], past)
    refused = made.refuses(a)
    assert refused is not None
    assert "18 s more" in refused.detail
    assert made.postpones(b)
    assert made.refuses(c) is None, "somebody else was answered a second ago"
    assert heard == [], "what has been is no news"
    clock.advance(18)
    ended(made, a, Outcome.OK)
    assert [change.after for change in heard] == ["half-open", "ramp"]


def test_what_is_known_here_counts_more_than_what_others_met() -> None:
    made, _, _ = health()
    a = provider("a", breaker=WATCHED)
    ended(made, a, Outcome.OK)
    made.seed([a], [Past("a", Outcome.SERVER, 2.0), Past("a", Outcome.SERVER, 1.0)])
    assert made.refuses(a) is None


def test_a_status_page_is_told_how_each_provider_is() -> None:
    made, clock, _ = health()
    a, b = provider("a", breaker=WATCHED), provider("b")
    ended(made, a, Outcome.OK, 500.0)
    for _ in range(2):
        ended(made, a, Outcome.SERVER, message="529 overloaded")
    clock.advance(9)
    assert [condition.as_json() for condition in made.conditions([a, b])] == [
        {
            "errors_breaker": "open",
            "open_for_s": 21.0,
            "latency_breaker": "closed",
            "p95_s": 0.5,
            "p95_limit_s": 1.0,
            "last_error": "529 overloaded",
            "under_way": 0,
            "waiting": 0,
        },
        {
            "errors_breaker": "closed",
            "open_for_s": None,
            "latency_breaker": None,
            "p95_s": None,
            "p95_limit_s": None,
            "last_error": None,
            "under_way": 0,
            "waiting": 0,
        },
    ]
