"""Bills worked out by hand from prices as a policy writes them: by length, by the hour, by the day, for batch work."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from hroute.router.pricing import by_hour, cost_of, price_of
from hroute.schema.dump import dump
from hroute.schema.load import load_text
from hroute.schema.policy import Policy
from hroute.terms.usage import Usage

TEXT = """\
version: 1
providers:
  plain:   {plugin: openai, model: m, price: {input: 3, output: 15, cache_read: 0.3, cache_write: 3.75, cache_write_1h: 6}}
  thinks:  {plugin: openai, model: m, price: {input: 2, output: 8, reasoning: 3}}
  nightly:
    plugin: openai
    model: m
    price:
      input: 0.28
      output: 0.42
      cache_read: 0.028
      timezone: Asia/Shanghai
      hours:
        - {from: "00:30", to: "08:30", input: 0.14, output: 0.21, cache_read: 0.014}
        - {from: "20:00", to: "00:30", input: 0.2, output: 0.3, bands: [{above: 1000, input: 0.4, output: 0.6}]}
  berlin:
    plugin: openai
    model: m
    price: {input: 1, output: 2, timezone: Europe/Berlin, hours: [{from: "02:30", to: "03:30", input: 10, output: 20}]}
  dated:
    plugin: openai
    model: m
    price:
      input: 15
      output: 75
      dates:
        - {from: "2026-12-01", input: 5, output: 25, bands: [{above: 200000, input: 10, output: 37.5}]}
        - {from: "2027-03-01", input: 4, output: 20, reasoning: 10, hours: [{from: "22:00", to: "06:00", input: 2, output: 10}]}
      timezone: America/New_York
  flex:    {plugin: openai, model: m, params: {service_tier: flex}, price: {input: 1.25, output: 10, cache_read: 0.125, batch_discount: 50%}}
  prompt:  {plugin: openai, model: m, params: {service_tier: default}, price: {input: 1.25, output: 10, batch_discount: 50%}}
  third:   {plugin: openai, model: m, params: {service_tier: batch}, price: {input: 0.000001, output: 3, batch_discount: 33.3333%}}
  both:
    plugin: openai
    model: m
    params: {service_tier: batch}
    price:
      input: 2
      output: 6
      batch_discount: 25%
      bands: [{above: 100, input: 4, output: 12}]
      hours: [{from: "10:00", to: "11:00", input: 1, output: 3}]
      dates: [{from: "2027-01-01", input: 8, output: 16}]
  owned:   {plugin: ollama, model: m, local: true, usd_per_hour: 0.9}
  home:    {plugin: ollama, model: m, local: true}
  nobody:  {plugin: openai, model: unheard-of, base_url: "https://models.example.com/v1"}
routing_rules: [{name: all, condition: {}, route_to: plain}]
"""
NOON = "2026-11-20T12:00Z"

CASES = [
    # provider, when, (input, output, read, written, thought, of the written: one hour), dollars, why
    ("plain", NOON, (420, 176), "0.0039", "the cafe: 420 * 3 + 176 * 15"),
    ("plain", NOON, (420 * 60_000, 176 * 60_000), "234", "the cafe's month"),
    ("plain", NOON, (10, 10, 10, 10, 10, 4), "0.0003795", "30 + 150 + 3 + 6 * 3.75 + 4 * 6 + 150"),
    ("thinks", NOON, (1_000, 100, 0, 0, 900), "0.0055", "2,000 + 800 + 900 * 3"),
    ("thinks", NOON, (0, 0, 0, 0, 1), "0.000003", "one thought is dearer than a word in, cheaper than one out"),
    ("nightly", "2026-11-20T04:00Z", (1_000, 100), "0.000322", "noon in Shanghai: 280 + 42"),
    ("nightly", "2026-11-19T16:29Z", (1_000, 100), "0.00023", "00:29 in Shanghai: the evening's 200 + 30"),
    ("nightly", "2026-11-19T16:30Z", (1_000, 100), "0.000161", "00:30 in Shanghai: the night's 140 + 21"),
    ("nightly", "2026-11-20T00:29Z", (1_000, 100), "0.000161", "08:29 in Shanghai"),
    ("nightly", "2026-11-20T00:30Z", (1_000, 100), "0.000322", "08:30 in Shanghai: the day again"),
    ("nightly", "2026-11-20T11:59Z", (1_000, 100), "0.000322", "19:59 in Shanghai"),
    ("nightly", "2026-11-20T12:00Z", (1_000, 100), "0.00023", "20:00 in Shanghai"),
    ("nightly", "2026-11-20T12:00Z", (1_001, 100), "0.0004604", "and the evening's dear band: 1,001 * .4 + 100 * .6"),
    ("nightly", "2026-11-20T04:00Z", (0, 0, 1_000), "0.000028", "from a cache, by day"),
    ("nightly", "2026-11-19T20:00Z", (0, 0, 1_000), "0.000014", "from a cache, by night"),
    ("nightly", "2026-11-20T12:00Z", (0, 0, 1_000), "0.0002", "the evening names no price for it: as input"),
    ("berlin", "2026-03-29T00:59Z", (1_000, 0), "0.001", "01:59, the last minute before the clock jumps to 3"),
    ("berlin", "2026-03-29T01:00Z", (1_000, 0), "0.01", "03:00: 02:30 never came, and 03:30 has not"),
    ("berlin", "2026-03-29T01:30Z", (1_000, 0), "0.001", "03:30"),
    ("berlin", "2026-10-25T00:29Z", (1_000, 0), "0.001", "02:29, summer time"),
    ("berlin", "2026-10-25T00:30Z", (1_000, 0), "0.01", "02:30 for the first time"),
    ("berlin", "2026-10-25T01:00Z", (1_000, 0), "0.001", "02:00 for the second time"),
    ("berlin", "2026-10-25T01:30Z", (1_000, 0), "0.01", "02:30 for the second time"),
    ("berlin", "2026-10-25T02:30Z", (1_000, 0), "0.001", "03:30"),
    ("dated", "2026-12-01T04:59Z", (1_000, 100), "0.0225", "23:59 on 30 November in New York: 15,000 + 7,500"),
    ("dated", "2026-12-01T05:00Z", (1_000, 100), "0.0075", "midnight: 5,000 + 2,500"),
    ("dated", "2027-01-15T12:00Z", (200_001, 100), "2.00376", "2,000,010 + 3,750: the dear band of that day"),
    ("dated", "2027-03-01T05:00Z", (1_000, 100), "0.003", "midnight of 1 March is within the night: 2,000 + 1,000"),
    ("dated", "2027-03-01T12:00Z", (1_000, 100, 0, 0, 10), "0.0061", "07:00: 4,000 + 2,000 + 10 * 10"),
    ("dated", "2027-03-02T04:00Z", (200_001, 0, 0, 0, 10), "0.400102", "23:00: the night has no bands, and thinks at 10"),
    ("flex", NOON, (1_000, 100, 1_000), "0.0011875", "half of 1,250 + 1,000 + 125"),
    ("flex", NOON, (1,), "0.000000625", "half of 1,250 nano-dollars"),
    ("prompt", NOON, (1_000, 100), "0.00225", "no batch work, no discount"),
    ("third", NOON, (0, 1), "0.000002", "3,000 * .666667 = 2,000.001"),
    ("third", NOON, (1_499,), "0.000000001", "1,499 millionths * .666667 = .9993"),
    ("third", NOON, (700,), "0", "700 thousandths * .666667 = .4667"),
    ("both", NOON, (100, 10), "0.000195", "three quarters of 200 + 60"),
    ("both", NOON, (101, 10), "0.000393", "three quarters of 404 + 120"),
    ("both", "2026-11-20T10:30Z", (101, 10), "0.00009825", "three quarters of 101 + 30: that hour has no band"),
    ("both", "2027-01-01T10:30Z", (100, 10), "0.00072", "three quarters of 800 + 160: that year has no hours"),
    ("home", NOON, (10**6, 10**6), "0", "a machine of one's own, by the token"),
]  # fmt: skip


def usd(amount: str) -> int:
    nano = Decimal(amount) * 1_000_000_000
    assert nano == int(nano), "finer than a nano-dollar"
    return int(nano)


@pytest.fixture(scope="module")
def written() -> Policy:
    policy, findings, _ = load_text(TEXT)
    assert policy is not None
    assert [f.message for f in findings] == []
    return policy


@pytest.mark.parametrize(
    ("name", "when", "tokens", "dollars", "why"), CASES, ids=[f"{c[0]} {c[1]} {c[4]}" for c in CASES]
)
def test_a_bill_by_the_policys_price_is_exact(
    written: Policy, name: str, when: str, tokens: tuple[int, ...], dollars: str, why: str
) -> None:
    assert cost_of(written.providers[name], Usage(*tokens), at=datetime.fromisoformat(when)) == usd(dollars), why


def test_hardware_is_charged_by_its_time_alone(written: Policy) -> None:
    owned = written.providers["owned"]
    assert cost_of(owned, Usage(10**6, 10**6), seconds=4.0) == usd("0.001")
    assert cost_of(owned, Usage(1, 1)) is None


def test_a_price_that_nobody_knows_is_none_at_any_time(written: Policy) -> None:
    assert cost_of(written.providers["nobody"], Usage(1), at=datetime(2026, 11, 20, tzinfo=UTC)) is None
    assert price_of(written.providers["nobody"]) is None


def test_without_an_hour_the_dearest_one_counts(written: Policy) -> None:
    assert cost_of(written.providers["berlin"], Usage(1_000)) == usd("0.01")
    assert [name for name in ("plain", "nightly", "dated", "home") if by_hour(written.providers[name])] == [
        "nightly",
        "dated",
    ]


def test_prices_survive_being_written_down(written: Policy) -> None:
    again, _, _ = load_text(dump(written))
    assert again is not None
    assert {n: p.price for n, p in again.providers.items()} == {n: p.price for n, p in written.providers.items()}
    assert again.hash == written.hash


@pytest.mark.parametrize(
    ("price", "code", "message"),
    [
        (
            "{input: 1, output: 2, hours: [{from: '08:00', to: '08:00', input: 1, output: 1}]}",
            "HR012",
            "is no time of day",
        ),
        ("{input: 1, output: 2, hours: [{from: '8:00', to: '09:00', input: 1, output: 1}]}", "HR012", "8:00"),
        (
            "{input: 1, output: 2, hours: [{from: '22:00', to: '06:00', input: 1, output: 1},"
            " {from: '05:00', to: '07:00', input: 1, output: 1}]}",
            "HR012",
            "overlap",
        ),
        ("{input: 1, output: 2, hours: [{from: '22:00', to: '06:00', input: 1}]}", "HR013", "output"),
        ("{input: 1, output: 2, dates: [{from: '2026-13-01', input: 1, output: 1}]}", "HR012", "is no day"),
        (
            "{input: 1, output: 2, dates: [{from: '2026-12-01', input: 1, output: 1}, {from: '2026-12-01', input: 1, output: 1}]}",
            "HR022",
            "from 2026-12-01 on",
        ),
        ("{input: 1, output: 2, timezone: Europe/Berln}", "HR012", "is not a time zone"),
        ("{input: 1, output: 2, batch_discount: 0.5}", "HR010", "share"),
        ("{input: 1, output: 2, discount: 50%}", "HR011", "discount"),
    ],
)
def test_a_price_that_cannot_be_meant_is_told(price: str, code: str, message: str) -> None:
    text = f"version: 1\nproviders: {{p: {{plugin: openai, model: m, price: {price}}}}}\n"
    _, findings, _ = load_text(f"{text}routing_rules: [{{name: all, condition: {{}}, route_to: p}}]\n")
    assert (code, True) in [(f.code, message in f"{f.message} {f.help}") for f in findings], findings
