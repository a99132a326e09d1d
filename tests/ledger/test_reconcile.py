"""The ledger beside vendors' exports: each format as the vendor writes it, days in UTC, broken lines counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hroute.errors import UsageError
from hroute.ledger import reconcile, vendor_exports
from hroute.ledger.ledger import Ledger, Settings
from hroute.ledger.reconcile import Reconciled
from hroute.ledger.vendor_exports import Export, Line
from hroute.terms.usage import Usage
from tests.ledger.rows import NOON, attempt, ledger, row

CENT = 10_000_000
HOUR = 3_600_000

ANTHROPIC_USAGE = """\
usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens,web_search_count,inference_geo,speed
2026-11-20,claude-sonnet-4-5-20250929,bot,Default,standard,≤ 200k,100000,10,20,3000,5000,0,not_available,
2026-11-20,claude-sonnet-4-5-20250929,other,Default,standard,≤ 200k,50000,0,0,0,2000,0,not_available
2026-11-21,claude-haiku-4-5-20251001,bot,Default,standard,≤ 200k,7,0,0,0,3,0,not_available,
"""
ANTHROPIC_COST = """\
usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd,cost_type,inference_geo,speed,api_key_id,api_key_status
2026-11-20,Claude Sonnet 4.5,Default,bot,message,≤ 200k,input_no_cache,0.45,0.45,token,not_available,,apikey_1,active
2026-11-20,Claude Sonnet 4.5,Default,bot,message,≤ 200k,output,0.105,0.105,token,not_available,,apikey_1,active
"""
OPENAI_COST = """\
start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,quantity,quantity_unit,line_item,user_id,api_key_id,project_id,organization_id,project_name,organization_name,user_email,api_source
1795046400,1795132800,2026-11-19T00:00:00+00:00,2026-11-20T00:00:00+00:00,,,,,,,,,,,,,
1795132800,1795219200,2026-11-20T00:00:00+00:00,2026-11-21T00:00:00+00:00,0.003835980000000000000000000000,usd,1000,tokens,"gpt-4o-2024-08-06, input",,key_1,proj_a,org-a,A,O,a@example.com,
1795132800,1795219200,2026-11-20T00:00:00+00:00,2026-11-21T00:00:00+00:00,0.01,usd,100,tokens,"gpt-4o-2024-08-06, output",,key_1,proj_a,org-a,A,O,a@example.com,
1795132800,1795219200,2026-11-20T00:00:00+00:00,2026-11-21T00:00:00+00:00,4,eur,1,tokens,"gpt-4o-2024-08-06, output",,key_1,proj_a,org-a,A,O,a@example.com,
"""
OPENAI_USAGE = {
    "object": "page",
    "data": [
        {
            "object": "bucket", "start_time": 1795132800, "end_time": 1795219200,
            "results": [
                {
                    "object": "organization.usage.completions.result", "input_tokens": 1000, "output_tokens": 500,
                    "input_cached_tokens": 800, "num_model_requests": 5, "project_id": None, "model": "gpt-4o-2024-08-06",
                    "batch": None, "brand_new": 1,
                }
            ],
        }
    ],
    "has_more": False,
}  # fmt: skip
OPENAI_COSTS = {
    "data": [
        {
            "start_time": 1795132800,
            "results": [{"object": "organization.costs.result", "amount": {"value": 0.06, "currency": "usd"}, "line_item": None}],
        }
    ]
}  # fmt: skip
ANTHROPIC_REPORT = {
    "data": [
        {
            "starting_at": "2026-11-20T00:00:00Z", "ending_at": "2026-11-21T00:00:00Z",
            "results": [
                {
                    "uncached_input_tokens": 1500, "output_tokens": 500, "cache_read_input_tokens": 200,
                    "cache_creation": {"ephemeral_1h_input_tokens": 1000, "ephemeral_5m_input_tokens": 500},
                    "server_tool_use": {"web_search_requests": 10}, "model": "claude-sonnet-4-5", "service_tier": "standard",
                }
            ],
        }
    ],
    "has_more": False, "next_page": None,
}  # fmt: skip
ANTHROPIC_COSTS = {
    "data": [
        {
            "starting_at": "2026-11-20T00:00:00Z",
            "results": [{"currency": "USD", "amount": "123.45", "description": "Claude Sonnet 4.5 Usage - Input Tokens",
                         "model": "claude-sonnet-4-5", "token_type": "uncached_input_tokens"}],
        }
    ]
}  # fmt: skip
OPENROUTER = """\
generation_id,created_at,cost_total,cost_web_search,tokens_prompt,tokens_completion,tokens_reasoning,tokens_cached,model_permaslug,provider_name
gen-1,2026-11-20 23:46:57.713,0.0123,0,10389,137,0,389,anthropic/claude-4.5-sonnet-20250929,Anthropic
gen-2,2026-11-20T23:59:59Z,0.0002,0,10,20,5,0,openai/gpt-4o-2024-08-06,OpenAI
"""
OPENROUTER_DAYS = {
    "data": [
        {"date": "2026-11-20", "model": "openai/gpt-4o", "model_permaslug": "openai/gpt-4o-2024-08-06", "endpoint_id": "e",
         "provider_name": "OpenAI", "usage": 0.015, "byok_usage_inference": 0, "requests": 5, "prompt_tokens": 50,
         "completion_tokens": 125, "reasoning_tokens": 25}
    ]
}  # fmt: skip
LITELLM = [
    {"request_id": "r1", "startTime": "2026-11-21T00:30:00+02:00", "endTime": "x", "spend": 0.5, "model": "gpt-4o",
     "prompt_tokens": 100, "completion_tokens": 50, "cache_hit": "False", "metadata": {}},
]  # fmt: skip
LITELLM_DAYS = {
    "results": [
        {"date": "2026-11-20", "metrics": {"spend": 9},
         "breakdown": {"models": {"gpt-4o": {"metrics": {"spend": 0.25, "prompt_tokens": 100, "completion_tokens": 50,
          "cache_read_input_tokens": 10, "cache_creation_input_tokens": 0, "total_tokens": 150, "successful_requests": 3,
          "failed_requests": 0, "api_requests": 3}}}}}
    ]
}  # fmt: skip


def read(tmp_path: Path, content: str | object, name: str = "export.csv") -> Export:
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return vendor_exports.read(str(path))


FORMATS = {
    "Anthropic's usage export": (
        ANTHROPIC_USAGE, "anthropic", "claude-sonnet-4-5-20250929", None, Usage(100_000, 5_000, 3_000, 30, 0, 20), None,
    ),
    "Anthropic's cost export": (ANTHROPIC_COST, "anthropic", "Claude Sonnet 4.5", None, None, 45 * CENT),
    "Anthropic's usage report": (
        ANTHROPIC_REPORT, "anthropic", "claude-sonnet-4-5", None, Usage(1_500, 500, 200, 1_500, 0, 1_000), None,
    ),
    "Anthropic's cost report": (ANTHROPIC_COSTS, "anthropic", "claude-sonnet-4-5", None, None, 1_234_500_000),
    "OpenAI's cost export": (OPENAI_COST, "openai", "gpt-4o-2024-08-06", None, None, 3_835_980),
    "OpenAI's cost report": (OPENAI_COSTS, "openai", "", None, None, 6 * CENT),
    "OpenAI's usage report": (OPENAI_USAGE, "openai", "gpt-4o-2024-08-06", 5, Usage(200, 500, 800), None),
    "OpenRouter's activity, one line a generation": (
        OPENROUTER, "openrouter", "anthropic/claude-4.5-sonnet-20250929", 1, Usage(10_000, 137, 389), 12_300_000,
    ),
    "OpenRouter's activity by day": (
        OPENROUTER_DAYS, "openrouter", "openai/gpt-4o-2024-08-06", 5, Usage(50, 125), 15_000_000,
    ),
    "LiteLLM's spend logs": (LITELLM, "litellm", "gpt-4o", 1, Usage(100, 50), 500_000_000),
    "LiteLLM's daily activity": (LITELLM_DAYS, "litellm", "gpt-4o", 3, Usage(90, 50, 10), 250_000_000),
}  # fmt: skip


@pytest.mark.parametrize("kind", FORMATS)
def test_every_export_is_known_by_its_columns_and_read_in_its_own_units(tmp_path: Path, kind: str) -> None:
    content, vendor, model, requests, usage, cost = FORMATS[kind]
    found = read(tmp_path, content)
    assert (found.kind, found.vendor) == (kind, vendor)
    assert found.lines[0] == Line("2026-11-20", model, requests, usage, cost)


def test_an_api_s_answers_may_be_one_a_line_or_in_a_list(tmp_path: Path) -> None:
    pages = json.dumps(OPENAI_USAGE) + "\n" + json.dumps(OPENAI_USAGE) + "\n"
    assert len(read(tmp_path, pages).lines) == len(read(tmp_path, [OPENAI_USAGE, OPENAI_USAGE]).lines) == 2


def test_columns_without_a_meaning_are_named(tmp_path: Path) -> None:
    assert read(tmp_path, OPENAI_USAGE).unknown == ("brand_new",)
    assert read(tmp_path, ANTHROPIC_COST).unknown == ()


def test_a_broken_line_is_counted_and_named_and_the_others_are_read(tmp_path: Path) -> None:
    header, first, *rest = ANTHROPIC_COST.splitlines()
    broken = [
        header,
        first,
        "2026-13-45,Claude,,,,,,0.1,,,,,,",
        "2026-11-20,Claude,,,,,,free,,,,,,",
        "x," * 30,
        "\x00",
        *rest,
    ]
    found = read(tmp_path, "\n".join(broken))
    assert len(found.lines) == 2
    assert found.bad >= 3
    assert [number for number, _ in found.problems][:2] == [3, 4]
    assert read(tmp_path, OPENAI_COST).bad == 1  # four euros are not four dollars
    assert "EUR" in read(tmp_path, OPENAI_COST).problems[0][1].upper()


def test_json_lines_that_break_off_are_counted(tmp_path: Path) -> None:
    found = read(tmp_path, json.dumps(LITELLM[0]) + '\n{"request_id": "r2", "sta')
    assert (len(found.lines), found.bad, found.problems) == (1, 1, ((2, "not JSON"),))


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "[]", "[1, 2]", '{"data": []}', "no table at all"])
def test_what_is_no_export_is_an_error_that_names_what_is_known(tmp_path: Path, content: str) -> None:
    with pytest.raises(UsageError, match="no usage export") as error:
        read(tmp_path, content)
    assert "OpenRouter" in (error.value.help or "")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("claude-sonnet-4-5-20250929", "Claude Sonnet 4.5"),
        ("anthropic/claude-4.5-sonnet-20250929", "claude-sonnet-4-5"),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5"),
        ("claude-haiku-4-5@20251001", "claude-haiku-4-5"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("openai/gpt-4.1-mini", "gpt-4-1-mini"),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku-20241022"),
    ],
)
def test_spellings_of_one_model_are_one(one: str, other: str) -> None:
    assert reconcile.canonical(one) == reconcile.canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("gpt-4o", "gpt-4o-mini"),
        ("claude-sonnet-4-5", "claude-opus-4-5"),
        ("claude-sonnet-4-5", "claude-sonnet-4"),
        ("llama3.1:8b", "llama3.1:70b"),
    ],
)
def test_two_models_are_two(one: str, other: str) -> None:
    assert reconcile.canonical(one) != reconcile.canonical(other)


# both sides


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Ledger]:
    made = ledger(tmp_path)
    yield made
    made.close()


def compared(books: Ledger, export: Export) -> Reconciled:
    assert books.flush(10)
    with books.read() as view:
        return reconcile.reconcile(view, export, books.settings.zone)


def called(books: Ledger, model: str, cost: int | None, at: int = NOON, **more: object) -> None:
    usage = more.pop("usage", Usage(100, 20))
    one = attempt(provider="p", model=model, cost=cost, usage=usage)
    books.append(row(ts=at, provider="p", model=model, cost=cost, tries=(one,), **more))


def test_the_difference_is_told_by_day_and_model(books: Ledger, tmp_path: Path) -> None:
    called(books, "claude-sonnet-4-5", 50 * CENT)
    called(books, "claude-opus-4-5", 7)
    called(books, "llama3.1:8b", 0)
    called(books, "gpt-4o", 10**9)
    found = compared(books, read(tmp_path, ANTHROPIC_COST))
    assert (found.since, found.until, found.read, found.began) == ("2026-11-20", "2026-11-20", False, "2026-11-20")
    opus, sonnet = found.rows
    assert (opus.model, opus.export, opus.difference) == ("claude-opus-4-5", None, 7)
    assert sonnet.difference == 50 * CENT - 555_000_000
    assert sonnet.ledger is not None
    assert sonnet.ledger.tokens == 120


def test_a_local_model_with_a_vendors_name_is_not_in_the_vendors_bill(books: Ledger, tmp_path: Path) -> None:
    called(books, "gpt-oss:20b", 0)
    assert [r.model for r in compared(books, read(tmp_path, OPENAI_COST)).rows] == ["gpt-4o-2024-08-06"]


def test_only_days_that_the_export_covers_are_compared(books: Ledger, tmp_path: Path) -> None:
    called(books, "claude-opus-4-5", 7, NOON - 24 * HOUR)
    called(books, "claude-opus-4-5", 7, NOON + 24 * HOUR)
    (only,) = compared(books, read(tmp_path, ANTHROPIC_COST)).rows
    assert (only.model, only.ledger, only.difference) == ("Claude Sonnet 4.5", None, -555_000_000)


def test_days_are_utcs_whatever_the_ledgers_are(tmp_path: Path) -> None:
    books = ledger(tmp_path, Settings(zone="Asia/Kolkata"))
    called(books, "claude-sonnet-4-5", 555_000_000, NOON + 10 * HOUR)  # already the 21st in Kolkata
    called(books, "claude-sonnet-4-5", 999, NOON - 13 * HOUR)  # the 20th there, and still the 19th in UTC
    found = compared(books, read(tmp_path, ANTHROPIC_COST))
    assert found.read
    assert [(r.day, r.difference) for r in found.rows] == [("2026-11-20", 0)]
    books.close()


def test_tokens_without_money_are_priced_by_our_list(books: Ledger, tmp_path: Path) -> None:
    called(books, "claude-sonnet-4-5", 1, usage=Usage(150_000, 7_000, 3_000, 30, 0, 20))
    sonnet = next(r for r in compared(books, read(tmp_path, ANTHROPIC_USAGE)).rows if "sonnet" in r.model)
    assert sonnet.listed
    assert sonnet.export is not None
    assert sonnet.ledger is not None
    assert sonnet.export.usage == Usage(150_000, 7_000, 3_000, 30, 0, 20)
    assert sonnet.export.tokens == sonnet.ledger.tokens
    assert sonnet.export.cost == 450_000_000 + 105_000_000 + 900_000 + 37_500 + 120_000


def test_an_export_that_knows_no_models_is_compared_as_a_whole(books: Ledger, tmp_path: Path) -> None:
    called(books, "gpt-4o", 4 * CENT)
    called(books, "gpt-4o-mini", CENT)
    called(books, "claude-opus-4-5", 10**9)
    called(books, "gpt-oss:20b", 0)
    (only,) = compared(books, read(tmp_path, OPENAI_COSTS)).rows
    assert (only.model, only.difference) == ("", -CENT)


def test_an_unknown_price_of_ours_is_an_unknown_difference(books: Ledger, tmp_path: Path) -> None:
    called(books, "claude-sonnet-4-5", None)
    called(books, "claude-sonnet-4-5", 5)
    (only,) = compared(books, read(tmp_path, ANTHROPIC_COST)).rows
    assert (only.difference, only.ledger and only.ledger.unpriced) == (None, 1)


def test_rehearsals_are_no_calls_to_a_vendor(books: Ledger, tmp_path: Path) -> None:
    called(books, "claude-sonnet-4-5", 5, mode="sandbox")
    (only,) = compared(books, read(tmp_path, ANTHROPIC_COST)).rows
    assert only.ledger is None
