"""Forty bills worked out by hand, in dollars: every token class, every band, exact to the nano-dollar."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hroute.ledger import prices
from hroute.terms import money
from hroute.terms.money import Price
from hroute.terms.usage import Usage


def usd(amount: str) -> int:
    nano = Decimal(amount) * 1_000_000_000
    assert nano == int(nano), "finer than a nano-dollar"
    return int(nano)


def priced(
    input: str,
    output: str,
    read: str | None = None,
    write: str | None = None,
    hour: str | None = None,
    bands: tuple[tuple[int, Price], ...] = (),
) -> Price:
    read_nano, write_nano, hour_nano = (None if amount is None else usd(amount) for amount in (read, write, hour))
    return Price(usd(input), usd(output), read_nano, write_nano, bands, hour_nano)


SONNET = priced("3", "15", "0.30", "3.75", "6")
OPUS = priced("15", "75", "1.50", "18.75", "30")
GPT4O = priced("2.50", "10", "1.25")
DEEPSEEK = priced("0.14", "0.28", "0.014")
CENT = priced("0.01", "0.01")
LONG = priced("3", "15", "0.30", "3.75", "6", ((200_000, priced("6", "22.50", "0.60", "7.50", "12")),))
TWICE = priced("1", "2", bands=((1_000, priced("2", "4")), (10_000, priced("4", "8"))))

CASES = [
    # price, (input, output, cache read, cache write, reasoning, of the writes: one hour), dollars
    ("nothing costs nothing", SONNET, (0, 0, 0, 0, 0, 0), "0"),
    ("one token in: 3 / 1e6", SONNET, (1, 0, 0, 0, 0, 0), "0.000003"),
    ("one token out: 15 / 1e6", SONNET, (0, 1, 0, 0, 0, 0), "0.000015"),
    ("one token read from a cache: .3 / 1e6", SONNET, (0, 0, 1, 0, 0, 0), "0.0000003"),
    ("one token cached five minutes: 3.75 / 1e6", SONNET, (0, 0, 0, 1, 0, 0), "0.00000375"),
    ("one token cached an hour: 6 / 1e6", SONNET, (0, 0, 0, 1, 0, 1), "0.000006"),
    ("one token of reasoning is one token out", SONNET, (0, 0, 0, 0, 1, 0), "0.000015"),
    ("the cafe: 420 * 3 + 176 * 15 = 1260 + 2640", SONNET, (420, 176, 0, 0, 0, 0), "0.0039"),
    ("the cafe's month: 60,000 * 0.0039", SONNET, (25_200_000, 10_560_000, 0, 0, 0, 0), "234"),
    ("a million of each class: 3 + 15 + .3 + 3.75 + 15", SONNET, (10**6,) * 5 + (0,), "37.05"),
    ("the same, cached an hour: 3 + 15 + .3 + 6 + 15", SONNET, (10**6,) * 6, "39.3"),
    ("a coding turn: 2,000 new, 90,000 read, 1,500 written", SONNET, (2_000, 800, 90_000, 1_500, 0, 0), "0.050625"),
    ("half of the writes an hour: 500 * 3.75 + 500 * 6", SONNET, (0, 0, 0, 1_000, 0, 500), "0.004875"),
    ("opus thinks: 1,000 in, 200 out, 3,800 thought", OPUS, (1_000, 200, 0, 0, 3_800, 0), "0.315"),
    ("opus from a cache: 50,000 * 1.5", OPUS, (0, 0, 50_000, 0, 0, 0), "0.075"),
    ("opus cached an hour: 10,000 * 30", OPUS, (0, 0, 0, 10_000, 0, 10_000), "0.3"),
    ("the article's opus call: 180 / 500 dollars", OPUS, (9_000, 3_000, 0, 0, 0, 0), "0.36"),
    ("gpt4o: 1,000 in and 500 out", GPT4O, (1_000, 500, 0, 0, 0, 0), "0.0075"),
    ("gpt4o reads half price: 1,024 * 1.25", GPT4O, (0, 0, 1_024, 0, 0, 0), "0.00128"),
    ("gpt4o has no price for writing: as input", GPT4O, (0, 0, 0, 1_000, 0, 0), "0.0025"),
    ("nor for an hour: as writing, so as input", GPT4O, (0, 0, 0, 1_000, 0, 1_000), "0.0025"),
    ("deepseek: 1,000 * .14 + 1,000 * .28", DEEPSEEK, (1_000, 1_000, 0, 0, 0, 0), "0.00042"),
    ("deepseek, one token: 140 nano-dollars", DEEPSEEK, (1, 0, 0, 0, 0, 0), "0.00000014"),
    ("deepseek from a cache: 14 nano-dollars", DEEPSEEK, (0, 0, 1, 0, 0, 0), "0.000000014"),
    ("deepseek, ten thousand classified: 400 in, 3 out", DEEPSEEK, (4_000_000, 30_000, 0, 0, 0, 0), "0.5684"),
    ("a cent a million: ten nano-dollars a token", CENT, (1, 0, 0, 0, 0, 0), "0.00000001"),
    ("no price for reading: as input", CENT, (0, 0, 7, 0, 0, 0), "0.00000007"),
    ("at 200,000 still the low band", LONG, (200_000, 1_000, 0, 0, 0, 0), "0.615"),
    ("at 200,001 the whole call is dear", LONG, (200_001, 1_000, 0, 0, 0, 0), "1.222506"),
    ("what was read from a cache counts for the band", LONG, (1, 0, 200_000, 0, 0, 0), "0.120006"),
    ("what was written counts for the band", LONG, (1, 0, 0, 200_000, 0, 0), "1.500006"),
    ("written for an hour, in the dear band", LONG, (1, 0, 0, 200_000, 0, 200_000), "2.400006"),
    ("output does not count for the band", LONG, (1_000, 300_000, 0, 0, 0, 0), "4.503"),
    ("reasoning does not either", LONG, (1_000, 0, 0, 0, 300_000, 0), "4.503"),
    ("reasoning in the dear band: 22.5", LONG, (200_001, 0, 0, 0, 100, 0), "1.202256"),
    ("two bands, below both", TWICE, (1_000, 10, 0, 0, 0, 0), "0.00102"),
    ("two bands, the first", TWICE, (1_001, 10, 0, 0, 0, 0), "0.002042"),
    ("two bands, the last of the first", TWICE, (10_000, 10, 0, 0, 0, 0), "0.02004"),
    ("two bands, the second", TWICE, (10_001, 10, 0, 0, 0, 0), "0.040084"),
    ("a free model costs nothing, however long", prices.FREE, (10**9, 10**9, 10**9, 10**9, 10**9, 10**9), "0"),
    ("a billion tokens in: no float has been here", SONNET, (999_999_999, 0, 0, 0, 0, 0), "2999.999997"),
    ("one token more", SONNET, (1_000_000_000, 1, 0, 0, 0, 0), "3000.000015"),
]


def test_there_are_at_least_forty_of_them() -> None:
    assert len(CASES) >= 40
    assert len({case[0] for case in CASES}) == len(CASES)


@pytest.mark.parametrize(("why", "price", "tokens", "dollars"), CASES, ids=[case[0] for case in CASES])
def test_a_bill_is_exact_to_the_nano_dollar(why: str, price: Price, tokens: tuple[int, ...], dollars: str) -> None:
    assert prices.cost(price, Usage(*tokens)) == usd(dollars), why


@pytest.mark.parametrize(
    ("nano_per_million", "tokens", "nano"),
    [
        (500_000, 1, 0),  # half a nano-dollar: to even, down
        (500_000, 3, 2),  # one and a half: to even, up
        (250_000, 2, 0),  # two quarters are a half: the classes are not rounded one by one
        (250_000, 6, 2),
        (333_333, 3, 1),  # 0.999999
        (1_500_001, 1, 2),  # just above a half
        (2_500_000, 1, 2),  # two and a half: to even, down
    ],
)
def test_a_bill_is_rounded_once_and_half_to_even(nano_per_million: int, tokens: int, nano: int) -> None:
    assert prices.cost(Price(nano_per_million, 0), Usage(input=tokens)) == nano


def test_the_hours_share_of_what_was_cached_is_part_of_it_and_not_more() -> None:
    total = Usage(cache_write=10, cache_write_1h=4) + Usage(cache_write=5, cache_write_1h=5)
    assert (total.cache_write, total.cache_write_1h) == (15, 9)
    assert prices.cost(priced("1", "1", None, "2", "4"), total) == 6 * 2_000 + 9 * 4_000


def test_the_table_knows_what_an_hour_in_the_cache_costs() -> None:
    found = prices.lookup("anthropic", "claude-haiku-4-5")
    assert found is not None
    assert found.cache_write == usd("1.25")
    assert found.cache_write_1h == usd("2")


def test_money_is_shown_with_nine_decimals_at_most_and_the_unknown_as_null() -> None:
    assert money.to_json(usd("0.000000014")) == 1.4e-08
    assert money.to_json(None) is None
    assert money.show(None) == "-"
