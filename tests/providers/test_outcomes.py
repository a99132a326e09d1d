"""A vendor's answer becomes one of the closed set of outcomes, and says nothing of what was sent."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from hroute.providers import anthropic, ollama, openai
from hroute.providers.outcomes import Row, failure, outcome_of, rejected, retry_after, told
from hroute.terms.outcome import Outcome

CASES = [
    (400, (), "", Outcome.CALLER_FAULT),
    (422, (), "", Outcome.CALLER_FAULT),
    (401, (), "", Outcome.CREDENTIAL),
    (402, (), "", Outcome.CREDENTIAL),
    (403, (), "", Outcome.CREDENTIAL),
    (404, (), "", Outcome.CREDENTIAL),
    (410, (), "", Outcome.CREDENTIAL),
    (408, (), "", Outcome.TIMEOUT),
    (409, (), "", Outcome.SERVER),
    (413, (), "", Outcome.CAPABILITY),
    (429, (), "", Outcome.CAPACITY),
    (529, (), "", Outcome.CAPACITY),
    (500, (), "", Outcome.SERVER),
    (503, (), "", Outcome.SERVER),
    (307, (), "", Outcome.SERVER),
    (None, (), "", Outcome.SERVER),
]


@pytest.mark.parametrize("rows", [(), anthropic.ROWS, openai.ROWS], ids=["common", "anthropic", "openai"])
@pytest.mark.parametrize(("status", "codes", "message", "wanted"), CASES)
def test_a_status_means_the_same_at_every_vendor(
    rows: tuple[Row, ...], status: int | None, codes: tuple[str, ...], message: str, wanted: Outcome
) -> None:
    assert outcome_of(rows, status, codes, message) is wanted


@pytest.mark.parametrize(
    ("rows", "status", "codes", "message", "wanted"),
    [
        (anthropic.ROWS, 400, ("invalid_request_error",), "prompt is too long: 210000 tokens > 200000 maximum", Outcome.CAPABILITY),
        (anthropic.ROWS, 400, ("invalid_request_error",), "Your credit balance is too low to access the API", Outcome.CREDENTIAL),
        (anthropic.ROWS, None, ("overloaded_error",), "", Outcome.CAPACITY),
        (anthropic.ROWS, 429, ("rate_limit_error",), "You have reached your spend limit", Outcome.CREDENTIAL),
        (openai.ROWS, 400, ("context_length_exceeded", "invalid_request_error"), "", Outcome.CAPABILITY),
        (openai.ROWS, 429, ("insufficient_quota",), "", Outcome.CREDENTIAL),
        (openai.ROWS, 429, ("rate_limit_exceeded",), "", Outcome.CAPACITY),
        (openai.ROWS, 402, (), "Insufficient Balance", Outcome.CREDENTIAL),
        (openai.ROWS, 400, ("exceed_context_size_error",), "the request exceeds the available context size", Outcome.CAPABILITY),
        (openai.ROWS, 400, ("BadRequestError",), "This model's maximum context length is 4096 tokens.", Outcome.CAPABILITY),
        (openai.ROWS, 404, ("model_not_found",), "", Outcome.CREDENTIAL),
        (ollama.ROWS, 503, (), "server busy, please try again. maximum pending requests exceeded", Outcome.CAPACITY),
        (ollama.ROWS, 404, (), "model 'x' not found", Outcome.CREDENTIAL),
        (ollama.ROWS, 400, (), "registry.ollama.ai/library/x does not support tools", Outcome.CAPABILITY),
        (ollama.ROWS, 500, (), "model requires more system memory (9 GiB) than is available", Outcome.CAPABILITY),
    ],
)  # fmt: skip
def test_what_the_vendor_says_beside_the_status_counts(
    rows: tuple[Row, ...], status: int | None, codes: tuple[str, ...], message: str, wanted: Outcome
) -> None:
    assert outcome_of(rows, status, codes, message) is wanted


def test_seconds_milliseconds_and_dates_are_read() -> None:
    assert retry_after({"retry-after": "7"}) == 7
    assert retry_after({"retry-after": "0.5"}) == 0.5
    assert retry_after({"retry-after-ms": "1500", "retry-after": "9"}) == 1.5
    assert retry_after({"retry-after": formatdate(1000, usegmt=True)}, now=990) == 10
    assert retry_after({"retry-after": formatdate(1000, usegmt=True)}, now=2000) == 0


@pytest.mark.parametrize("raw", ["soon", "-3", "nan", "inf", "", "1e12"])
def test_nonsense_is_no_wish(raw: str) -> None:
    assert retry_after({"retry-after": raw}) is None


def test_a_failure_tells_status_and_code_and_no_free_text() -> None:
    told = failure(Outcome.CAPACITY, 529, ("overloaded_error",), {"retry-after": "3"})
    assert (told.message, told.status, told.code, told.retry_after) == (
        "529 overloaded error",
        529,
        "overloaded_error",
        3,
    )
    odd = failure(Outcome.SERVER, 500, ("my card is 4111 1111 1111 1111", "x" * 99), {})
    assert odd.code is None
    assert odd.message == "500"


def test_a_local_server_that_repeats_its_status_as_a_code_is_told_by_the_kind_of_its_error() -> None:
    """As llama.cpp writes it: else nobody could say that a request was too large for everybody."""
    body = {
        "error": {
            "code": 400,
            "type": "exceed_context_size_error",
            "message": "the request exceeds the available context size",
        }
    }
    codes, message = told(body)
    failed = rejected((), 400, codes, message, {})
    assert (failed.outcome, failed.code) == (Outcome.CAPABILITY, "exceed_context_size_error")
    codes, message = told(
        {"object": "error", "code": 400, "type": "BadRequestError", "message": "maximum context length is 512"}
    )  # vLLM
    assert rejected((), 400, codes, message, {}).code == "context"
