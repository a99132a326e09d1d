"""Prices: the compiled table says what its source says, and the arithmetic is exact."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hroute.ledger import prices
from hroute.terms.money import Price
from hroute.terms.usage import Usage

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "hroute" / "ledger" / "prices.json"
HOSTS = {name: facts["hosts"][0] for name, facts in json.loads(TABLE.read_text())["vendors"].items()}
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MTOK = 1_000_000


def price_in_usd(input: str, output: str, read: str | None = None, write: str | None = None) -> Price:
    nano = [None if usd is None else int(Decimal(usd) * 1_000_000_000) for usd in (input, output, read, write)]
    assert nano[0] is not None
    assert nano[1] is not None
    return Price(nano[0], nano[1], nano[2], nano[3])


def test_the_cafe_request_costs_what_the_article_says() -> None:
    assert prices.cost(price_in_usd("3", "15"), Usage(input=420, output=176)) == 3_900_000
    assert prices.cost(price_in_usd("3", "15"), Usage(input=420 * 60_000, output=176 * 60_000)) == 234_000_000_000


@pytest.mark.parametrize(
    ("usage", "nano"),
    [
        (Usage(), 0),
        (Usage(input=1), 3_000),
        (Usage(output=1), 15_000),
        (Usage(reasoning=1), 15_000),
        (Usage(cache_read=1), 300),
        (Usage(cache_write=1), 3_750),
        (Usage(1_000, 200, 5_000, 40, 60), 3_000_000 + 3_000_000 + 1_500_000 + 150_000 + 900_000),
    ],
)
def test_each_token_class_has_its_own_price(usage: Usage, nano: int) -> None:
    assert prices.cost(price_in_usd("3", "15", "0.3", "3.75"), usage) == nano


def test_a_cache_class_without_a_price_is_billed_as_input() -> None:
    assert prices.cost(price_in_usd("3", "15"), Usage(input=1, cache_read=2, cache_write=3)) == 6 * 3_000


@pytest.mark.parametrize(("tokens", "nano"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 2), (6, 3), (7, 4)])
def test_the_sum_is_rounded_once_half_to_even(tokens: int, nano: int) -> None:
    assert prices.cost(Price(500_000, 0), Usage(input=tokens)) == nano


def test_classes_are_summed_before_rounding() -> None:
    assert prices.cost(Price(400_000, 400_000), Usage(input=1, output=1)) == 1


def test_a_long_prompt_moves_the_whole_call_into_the_dearer_band() -> None:
    banded = Price(3_000, 15_000, 300, 3_750, ((200_000, Price(6_000, 22_500, 600, 7_500)),))
    assert prices.cost(banded, Usage(input=200_000, output=MTOK)) == 600 + 15_000
    assert prices.cost(banded, Usage(input=200_001, output=MTOK)) == 1_200 + 22_500
    assert prices.cost(banded, Usage(input=1, cache_read=MTOK, output=MTOK)) == 600 + 22_500


token_counts = st.integers(0, 2_000_000)
amounts = st.integers(0, 200_000_000_000)


@given(st.builds(Usage, *[token_counts] * 5), amounts, amounts, amounts, amounts)
def test_the_arithmetic_equals_decimals_rounded_half_even(usage: Usage, i: int, o: int, r: int, w: int) -> None:
    exact = Decimal(
        usage.input * i + usage.cache_read * r + usage.cache_write * w + (usage.output + usage.reasoning) * o
    )
    assert prices.cost(Price(i, o, r, w), usage) == int((exact / MTOK).to_integral_value(ROUND_HALF_EVEN))


def test_the_version_is_the_tables_own() -> None:
    assert json.loads(TABLE.read_text())["version"] == prices.PRICES_VERSION
    assert TABLE.stat().st_size < 300_000


def test_every_model_costs_what_the_source_says() -> None:
    source = pytest.importorskip("genai_prices", reason="genai-prices is a development dependency")
    from genai_prices.data import providers

    by_id = {p.id: p for p in providers}
    compared = 0
    for model in prices.models():
        found = prices.lookup("openai", model.id, base_url=f"https://{HOSTS[model.vendor]}/v1", at=NOON)
        theirs = by_id[model.vendor].find_model(model.id)
        if found is None or theirs is None:  # an id that its own match clause does not accept
            continue
        for tokens in (1_000, 300_000):
            usage = source.Usage(input_tokens=tokens, output_tokens=500)
            total = theirs.calc_price(usage, by_id[model.vendor], genai_request_timestamp=NOON).total_price
            exact = (total * 1_000_000_000).to_integral_value(ROUND_HALF_EVEN)
            assert prices.cost(found, Usage(input=tokens, output=500)) == int(exact), model.id
        compared += 1
    assert compared > 300


def test_the_table_is_what_the_tool_makes_of_the_installed_source() -> None:
    pytest.importorskip("genai_prices", reason="genai-prices is a development dependency")
    made = subprocess.run([sys.executable, str(ROOT / "tools" / "compile_prices.py"), "--check"], capture_output=True)
    assert made.returncode == 0, made.stderr


def test_deepseek_is_found_by_address_and_by_model_name() -> None:
    by_address = prices.lookup("openai", "deepseek-v4-pro", base_url="https://api.deepseek.com")
    assert by_address is not None
    assert prices.lookup("openai", "deepseek-v4-pro") == by_address
    assert prices.lookup("openai", "deepseek-v4-pro", base_url="env:DEEPSEEK_URL") == by_address
    assert prices.lookup("anthropic", "deepseek-v4-pro", base_url="https://api.deepseek.com/anthropic") == by_address


def test_a_relay_has_the_prices_of_the_plugins_own_vendor() -> None:
    direct = prices.lookup("anthropic", "claude-sonnet-5-5")
    assert direct is not None
    assert prices.lookup("anthropic", "claude-sonnet-5-5", base_url="http://relay.example:9000") == direct
    assert prices.lookup("openai", "deepseek-v4-pro", base_url="http://relay.example:9000") is None


@pytest.mark.parametrize(
    ("plugin", "model"),
    [
        ("anthropic", "claude-nonesuch"),
        ("openai", "my-own-model"),
        ("command", "claude"),
        ("ollama", "gpt-oss:120b-cloud"),
    ],
)
def test_an_unknown_price_is_none_and_not_zero(plugin: str, model: str) -> None:
    assert prices.lookup(plugin, model) is None


@pytest.mark.parametrize("name", ["CLAUDE-Haiku-4-5-20251001", "claude-haiku-4-5", "claude-haiku-4-5[1m]"])
def test_dated_and_decorated_names_are_the_same_model(name: str) -> None:
    found = prices.lookup("anthropic", name)
    assert found is not None
    assert (found.input, found.output) == (1_000_000_000, 5_000_000_000)


def test_a_compact_date_is_a_date() -> None:
    assert prices.lookup("openai", "gpt-6-luna-20260922") == prices.lookup("openai", "gpt-6-luna") is not None


def test_a_name_that_only_begins_like_a_known_one_is_unknown_where_the_source_is_exact() -> None:
    assert prices.lookup("anthropic", "claude-sonnet-5-5-experimental") is None


def test_hours_and_days_choose_the_price() -> None:
    def flash(moment: datetime | None) -> Price:
        found = prices.lookup("openai", "deepseek-v4-flash", at=moment)
        assert found is not None
        return found

    assert flash(datetime(2026, 8, 1, 12, tzinfo=UTC)).input == 140_000_000
    assert flash(datetime(2026, 8, 20, 12, tzinfo=UTC)).input == 220_000_000
    assert flash(NOON).input == 150_000_000
    assert flash(NOON.replace(hour=2)).input == 300_000_000
    assert flash(datetime.fromisoformat("2026-11-20T04:30:00+02:00")).input == 300_000_000
    assert flash(None).input == 300_000_000, "without an hour the dearest one counts"


def test_only_some_models_have_prices_by_the_hour() -> None:
    assert prices.varies_by_hour("openai", "deepseek-v4-flash")
    assert not prices.varies_by_hour("anthropic", "claude-sonnet-5-5")
    assert not prices.varies_by_hour("openai", "no-such-model")


def test_models_that_leave_are_named_before_they_leave() -> None:
    def leaving(model: str, day: str, plugin: str = "openai") -> tuple[str, str | None] | None:
        found = prices.retiring(plugin, model, on=date.fromisoformat(day))
        return None if found is None else (found.status, found.instead)

    assert leaving("gpt-4o", "2026-10-01") is None
    assert leaving("gpt-4o", "2026-11-20") == ("retiring", "gpt-6-luna")
    assert leaving("gpt-4o", "2027-01-14") == ("retired", "gpt-6-luna")
    assert leaving("gpt-4o-2024-05-13", "2026-11-20") == ("retired", "gpt-5.6-sol")
    assert leaving("claude-3-opus-20240229", "2026-11-20", "anthropic") == ("retired", "claude-opus-5-5")
    assert leaving("claude-sonnet-5-5", "2026-11-20", "anthropic") is None
    assert leaving("claude-v1", "2026-11-20", "anthropic") == ("retired", None)
    assert leaving("no-such-model", "2026-11-20") is None


def test_a_model_without_a_published_day_may_still_be_deprecated() -> None:
    undated = [m.retirement for m in prices.models() if m.retirement is not None and m.retirement.on is None]
    assert {r.status for r in undated} == {"deprecated", "retired"}


def test_context_windows_are_known() -> None:
    assert prices.context_window("anthropic", "claude-haiku-4-5") == 200_000
    assert prices.context_window("ollama", "llama3.1:8b") is None
