"""A log under a policy: who gets what, what it costs, what cannot be told, and what nobody may learn from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from hroute.errors import UsageError
from hroute.replay import dry_run, report
from hroute.replay.result import Result
from hroute.replay.rows import BadLine, Row, row_from
from hroute.schema.policy import Policy
from tests.replay.policies import policy, rule

FIGURES = Path(__file__).resolve().parents[2] / ".." / "shared" / "cases" / "article-figures.yaml"

HOURS = rule("hours", {"intent": "opening_hours"}, "home", fallback=["haiku", "sonnet"])
INTENTS = {"opening_hours": {"any_of": ["open"]}}


def rows(*data: dict[str, Any], times: int = 1) -> Iterator[Row | BadLine]:
    return (row_from(item, number) for number, item in enumerate(data * times, 1))


def run(built: Policy, *data: dict[str, Any], times: int = 1, **more: Any) -> Result:
    return dry_run.run(built, rows(*data, times=times), **more)


def cost_of(result: Result, provider: str) -> int | None:
    return {c.provider: c.cost for c in result.constants}[provider]


FAQ = {"intent": ["opening_hours"], "input_tokens": 420, "output_tokens": 176}
OTHER = {"intent": ["complaint"], "input_tokens": 420, "output_tokens": 176}
CAFE = policy([HOURS], intents=INTENTS)


@pytest.mark.skipif(not FIGURES.exists(), reason="the article's figures lie beside the checkout")
def test_the_cafes_month_on_one_model_costs_what_the_article_says() -> None:
    month = yaml.safe_load(FIGURES.read_text(encoding="utf-8"))["cafe_month"]
    count, shares = month["requests"], month["shares"]
    home = round(count * (shares["faq_hours_address_prices"] + shares["menu_clarifications"]))
    log = chain(rows(FAQ, times=home), rows(OTHER, times=count - home))
    result = dry_run.run(CAFE, log, baseline="sonnet")
    assert result.requests == count == 60_000
    assert cost_of(result, "sonnet") == month["before_usd"] * 1_000_000_000 == 234_000_000_000
    assert result.total.cost == 49_140_000_000
    assert result.total.saved == pytest.approx(0.79)
    assert [(line.rule, line.route_to, line.requests) for line in result.routes] == [
        ("hours", "home", 47_400),
        ("default", "sonnet", 12_600),
    ]


def test_every_single_provider_stands_beside_the_policy() -> None:
    result = run(CAFE, FAQ, OTHER)
    assert {c.provider: c.cost for c in result.constants} == {"home": 0, "sonnet": 7_800_000, "haiku": 2_600_000}


def test_providers_of_the_catalogue_count_only_where_the_policy_uses_them() -> None:
    built = policy([rule("a", {"task_type": "code"}, "claude_opus")])
    assert set(dry_run.constants(built)) == {"sonnet", "claude_opus"}


def test_costs_of_rules_and_baseline_add_up() -> None:
    result = run(CAFE, FAQ, OTHER, OTHER)
    assert [(line.cost, line.baseline, line.share) for line in result.routes] == [
        (0, 3_900_000, pytest.approx(1 / 3)),
        (7_800_000, 7_800_000, pytest.approx(2 / 3)),
    ]
    assert (result.total.cost, result.total.baseline) == (7_800_000, 11_700_000)


def test_cached_tokens_are_billed_as_such() -> None:
    built = policy([], providers={"sonnet": {"plugin": "anthropic", "model": "claude-sonnet-5-5", "api_key": "env:K",
                   "price": {"input": 3.0, "output": 15.0, "cache_read": 0.3, "cache_write": 3.75}}})  # fmt: skip
    result = run(built, {"input_tokens": 10, "output_tokens": 20, "cache_read_tokens": 1000, "cache_write_tokens": 100})
    assert result.total.cost == 10 * 3_000 + 20 * 15_000 + 1000 * 300 + 100 * 3_750


def test_an_unknown_price_is_null_and_never_zero() -> None:
    result = run(policy([rule("a", {"task_type": "code"}, "stranger")]), {"task_type": "code", "input_tokens": 9})
    assert result.routes[0].cost is None
    assert (result.total.cost, result.total.saved, cost_of(result, "stranger")) == (None, None, None)
    assert report.as_json(result)["total"]["cost_usd"] is None
    assert "no price known for stranger" in report.basis(result)


def test_a_row_of_unknown_size_costs_an_unknown_amount_where_anything_costs() -> None:
    result = run(CAFE, {"intent": ["opening_hours"]})
    assert (result.total.cost, result.total.baseline) == (0, None)
    assert result.unsized == 1


def test_output_without_a_count_is_assumed_and_said() -> None:
    result = run(CAFE, {"intent": ["faq"], "input_tokens": 420}, out_tokens=176)
    assert result.total.cost == 3_900_000
    assert "output assumed 176 tokens in 1 requests" in report.basis(result)
    assert run(CAFE, {"intent": ["faq"], "input_tokens": 420}, out_tokens=0).total.cost == 1_260_000


def test_the_interval_of_what_is_saved_holds_escalations() -> None:
    total = run(CAFE, FAQ, OTHER, baseline="sonnet").total
    assert total.saved == 0.5
    assert total.saved_high == 0.5
    assert total.saved_low == pytest.approx(0.5 - 0.1 * 1_300_000 / 7_800_000)
    assert total.escalated == 3_900_000 + 65_000


def test_the_interval_of_what_is_saved_holds_the_length_of_answers_that_were_assumed() -> None:
    built = policy([rule("cheap", {"task_type": "qa"}, "stranger")],
                   providers={"stranger": {"plugin": "openai", "model": "m", "api_key": "env:K", "base_url": "https://models.example",
                                           "price": {"input": 3.0, "output": 0}},
                              "sonnet": {"plugin": "anthropic", "model": "x", "api_key": "env:K", "price": {"input": 3.0, "output": 15.0}}})  # fmt: skip
    total = run(built, {"task_type": "qa", "input_tokens": 1000}, out_tokens=200, baseline="sonnet").total
    assert total.saved == pytest.approx(1 - 3 / 6)
    assert total.saved_low == pytest.approx(1 - 3 / 4.5)
    assert total.saved_high == pytest.approx(1 - 3 / 9)


def test_the_baseline_is_the_policys_own_unless_another_is_named() -> None:
    built = policy([HOURS], intents=INTENTS, baseline="haiku")
    assert run(built, FAQ).baseline == "haiku"
    assert run(built, FAQ, baseline="sonnet").baseline == "sonnet"
    assert run(CAFE, FAQ).baseline == "sonnet", "the default's route, where the policy names none"


def test_a_baseline_that_does_not_exist_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="nobody"):
        run(CAFE, FAQ, baseline="nobody")


def test_without_a_comparison_nothing_is_said_about_change() -> None:
    result = run(CAFE, FAQ, OTHER)
    assert (result.same, result.changed, result.newly_reaching, result.cannot_tell) == (None, None, None, 0)


def test_two_policies_are_compared_row_by_row() -> None:
    new = policy([rule("code", {"task_type": "code"}, "haiku"), HOURS], intents=INTENTS)
    code = {**FAQ, "task_type": "code"}
    chat = {"task_type": "chat"}
    result = run(new, code, {**FAQ, **chat}, {**OTHER, **chat}, against=CAFE)
    assert (result.same, result.changed, result.cannot_tell) == (2, 1, 0)
    assert result.newly_reaching == {}
    assert (result.total.before, result.total.cost) == (3_900_000, 5_200_000)
    (move,) = result.moves
    assert (move.before, move.after, move.rule, move.cost_then, move.cost_now) == (
        "home",
        "haiku",
        "code",
        0,
        1_300_000,
    )


def test_a_request_that_newly_reaches_somebody_is_counted_for_each_it_may_reach() -> None:
    old = policy([rule("code", {"task_type": "code"}, "home", fallback=None)])
    new = policy([rule("code", {"task_type": "code"}, "haiku", fallback="stranger")])
    result = run(new, {"task_type": "code"}, {"task_type": "qa"}, against=old)
    assert result.newly_reaching == {"haiku": 1, "stranger": 1}
    assert result.maybe_reaching == {}


def test_a_fallback_that_is_added_is_a_change_although_the_route_stays() -> None:
    old = policy([rule("code", {"task_type": "code"}, "home", fallback=None)])
    new = policy([rule("code", {"task_type": "code"}, "home", fallback="haiku")])
    result = run(new, {"task_type": "code"}, against=old)
    assert (result.changed, result.newly_reaching) == (1, {"haiku": 1})


def test_a_local_provider_is_nobody_who_is_newly_reached() -> None:
    result = run(CAFE, FAQ, OTHER, baseline="sonnet")
    assert (result.same, result.changed, result.newly_reaching) == (1, 1, {})


def test_the_same_policy_changes_nothing_even_where_nobody_can_tell_the_way() -> None:
    built = policy([rule("private", {"contains_pii": True}), rule("code", {"task_type": "code"}, "haiku")])
    result = run(built, {}, {"task_type": "code"}, {"contains_pii": True}, against=built)
    assert (result.same, result.changed, result.cannot_tell, result.untold) == (3, 0, 0, 2)


def test_an_unknown_signal_leaves_a_row_open_and_is_named() -> None:
    result = run(CAFE, FAQ, {"input_tokens": 420, "output_tokens": 176}, baseline="sonnet")
    assert (result.cannot_tell, result.unknown) == (1, {"intent": 1})
    assert [(line.rule, line.route_to, line.requests) for line in result.routes][-1] == (None, None, 1)
    assert report.table(result)[-2][0] == report.CANNOT_TELL


def test_an_open_row_is_priced_at_its_dearest_way_and_the_interval_holds_the_cheapest() -> None:
    total = run(CAFE, {"input_tokens": 420, "output_tokens": 176}, baseline="sonnet").total
    assert (total.cost, total.saved, total.saved_high) == (3_900_000, 0.0, 1.0)


def test_a_row_is_told_where_every_value_of_what_is_missing_gives_the_same_route() -> None:
    built = policy([rule("a", {"task_type": "code"}, "haiku"), rule("b", {"task_type": "!=code"}, "haiku")])
    found: list[dict[str, Any]] = []
    result = run(built, {"input_tokens": 1}, each=found.append)
    assert (result.cannot_tell, result.routes[0].route_to, result.routes[0].rule) == (0, "haiku", None)
    assert (found[0]["route_to"], found[0]["rule"]) == ("haiku", None)


def test_an_unknown_taint_may_newly_reach_somebody() -> None:
    old = policy([rule("all", {}, "home", fallback=None)])
    new = policy([rule("private", {"contains_pii": True}, "home", fallback=None), rule("rest", {}, "haiku")])
    result = run(new, {}, against=old)
    assert (result.cannot_tell, result.newly_reaching, result.maybe_reaching) == (1, {"haiku": 1}, {"haiku": 1})


def test_a_row_is_compared_with_where_it_says_it_went() -> None:
    result = run(
        CAFE,
        {**FAQ, "routed_to": "home"},
        {**OTHER, "model": "claude-haiku-5-5-20260901"},
        {**OTHER, "model": "gpt-3"},
        FAQ,
    )
    assert (result.compared, result.same, result.changed) == (3, 1, 2)
    assert {(m.before, m.after) for m in result.moves} == {("haiku", "sonnet"), ("(not in this policy)", "sonnet")}


def test_a_refusal_costs_nothing_and_reaches_nobody() -> None:
    built = policy([{"name": "closed", "condition": {"tenant": "x"}, "refuse": "closed"}])
    found: list[dict[str, Any]] = []
    result = run(built, {"tenant": "x", "input_tokens": 9, "output_tokens": 9}, baseline="sonnet", each=found.append)
    assert (result.routes[0].rule, result.routes[0].route_to, result.routes[0].cost) == ("closed", None, 0)
    assert (found[0]["route_to"], found[0]["fallback"], found[0]["cost_usd"]) == (None, [], 0)
    assert report.table(result)[1][:2] == ("closed", report.REFUSED)
    assert (result.moves[0].before, result.moves[0].after) == ("sonnet", "(refused)")


def test_rows_before_the_date_are_left_out() -> None:
    old, new = {**FAQ, "ts": "2026-10-01T00:00:00Z"}, {**FAQ, "ts": "2026-10-02T00:00:00Z"}
    result = run(CAFE, old, new, FAQ, since=datetime(2026, 10, 2))
    assert (result.requests, result.left_out, result.first) == (1, 2, datetime(2026, 10, 2, tzinfo=UTC))


def test_rows_are_grouped_by_what_is_asked_for() -> None:
    result = run(CAFE, {**FAQ, "cost_center": "bot"}, {**OTHER, "cost_center": "web"}, OTHER, by="cost_center")
    assert [(g.key, g.requests, g.cost) for g in result.groups] == [
        ("-", 1, 3_900_000),
        ("bot", 1, 0),
        ("web", 1, 3_900_000),
    ]
    assert [g.key for g in run(CAFE, FAQ, OTHER, by="intent").groups] == ["complaint", "opening_hours"]
    for key in ("nonsense", "message"):
        with pytest.raises(UsageError):
            run(CAFE, FAQ, by=key)


def test_rollout_and_holdout_are_sticky_by_session_and_else_by_id() -> None:
    built = policy([rule("a", {"task_type": "code"}, "home", rollout="50%")], baseline="sonnet")
    data = [{"task_type": "code", "id": f"r{n}", "session": f"s{n % 40}"} for n in range(400)]
    found: list[dict[str, Any]] = []
    run(built, *data, each=found.append)
    routes = {}
    for line in found:
        routes.setdefault(line["signals"]["session"], set()).add(line["route_to"])
    assert all(len(seen) == 1 for seen in routes.values())
    assert {route for seen in routes.values() for route in seen} == {"home", "sonnet"}


def test_rows_at_a_threshold_are_counted_where_crossing_it_changes_the_route() -> None:
    built = policy([rule("hard", {"score": ">0.35"}, "haiku"), rule("huge", {"score": ">0.9"}, "haiku")])
    scores = (0.34, 0.35, 0.36, 0.4, 0.9, 0.95)
    assert run(built, *({"score": score} for score in scores)).near == 3
    assert run(built, *({"score": score} for score in scores), near=0.001).near == 1


def test_token_thresholds_are_near_by_share() -> None:
    built = policy([rule("long", {"prompt_tokens": ">=1000"}, "haiku")])
    assert run(built, *({"input_tokens": count} for count in (970, 985, 999, 1000, 1019, 1040))).near == 4


def test_arrival_hour_comes_from_the_time_in_the_ledgers_zone() -> None:
    rules = [rule("night", {"arrival_hour": "<6"}, "home")]
    data = {"ts": "2026-10-01T05:30:00Z", "input_tokens": 1, "output_tokens": 1}
    assert run(policy(rules), data).routes[0].rule == "night"
    assert run(policy(rules, ledger={"timezone": "Europe/Berlin"}), data).routes[0].rule == "default"


def test_prices_by_the_hour_follow_the_rows_time() -> None:
    facts = {
        "plugin": "openai",
        "model": "deepseek-v4-flash",
        "base_url": "https://api.deepseek.com",
        "api_key": "env:K",
    }
    built = policy(
        [rule("all", {}, "cheap")],
        providers={"cheap": facts, "sonnet": {"plugin": "anthropic", "model": "x", "api_key": "env:K"}},
    )
    off = run(built, {"ts": "2026-10-01T12:00:00Z", "input_tokens": 10**6, "output_tokens": 0})
    peak = run(built, {"ts": "2026-10-01T02:00:00Z", "input_tokens": 10**6, "output_tokens": 0})
    assert (off.total.cost, peak.total.cost) == (150_000_000, 300_000_000)


def test_bad_lines_are_counted_and_the_first_few_kept() -> None:
    log: Iterable[Row | BadLine] = chain(rows(FAQ), (BadLine("log", n, "not JSON") for n in range(2, 9)))
    result = dry_run.run(CAFE, log)
    assert (result.requests, result.bad_lines) == (1, 7)
    assert [line.number for line in result.bad] == [2, 3, 4, 5, 6]


def test_progress_is_told_as_rows_go_by() -> None:
    told: list[int] = []
    run(CAFE, FAQ, times=1200, progress=told.append)
    assert told == [500, 1000, 1200]


def test_an_empty_log_is_a_result_too() -> None:
    result = run(CAFE)
    answer = report.as_json(result)
    assert (answer["requests"], answer["routes"], answer["total"]["saved"]) == (0, [], None)
    assert report.table(result)[-1][0] == "total"


def test_the_json_has_every_key_that_programs_rely_on() -> None:
    answer = report.as_json(run(CAFE, FAQ, OTHER, baseline="sonnet"))
    assert answer.keys() >= {
        "requests",
        "bad_lines",
        "routes",
        "constants",
        "total",
        "same",
        "changed",
        "cannot_tell",
        "newly_reaching",
    }
    assert answer["routes"][0].keys() >= {"route_to", "rule", "requests", "share", "cost_usd", "baseline_usd"}
    assert answer["constants"][0].keys() >= {"provider", "cost_usd"}
    assert answer["total"] == {
        "cost_usd": 0.0039, "baseline_usd": 0.0078, "saved": 0.5, "saved_low": 0.483333, "saved_high": 0.5, "escalated_usd": 0.003965,
        "before_usd": 0.0078,
    }  # fmt: skip


def test_the_table_is_rows_of_words() -> None:
    assert report.table(run(CAFE, FAQ, OTHER)) == [
        ("rule", "route", "requests", "share", "cost", "all on sonnet"),
        ("hours", "home", "1", "50.0 %", "$0.00", "$0.00"),
        ("default", "sonnet", "1", "50.0 %", "$0.00", "$0.00"),
        ("total", "", "2", "", "$0.00", "$0.01"),
    ]
