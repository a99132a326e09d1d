"""The gateway's own OpenAPI document against the gateway: whatever is sent, the answer is one that the document names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from hroute.gateway.doors import COUNT_PATH, DOORS
from tests.gateway.house import before_sandbox

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed: pip install -e '.[dev]'")

EXAMPLES = int(os.environ.get("HROUTE_TEST_EXAMPLES", "25"))
PAGES = ("/", "/healthz", "/readyz", "/metrics", "/ui", "/openapi.json", "/v1/models", "/v1/models/{name}", "/sessions/{name}")  # fmt: skip


@pytest.fixture(scope="module")
def api() -> Iterator[Any]:
    with before_sandbox() as (house, _):
        yield schemathesis.openapi.from_url(house.url + "/openapi.json")


CASES = [
    *((path, "post", mode) for path in (*DOORS, COUNT_PATH) for mode in ("POSITIVE", "NEGATIVE")),
    *((path, "get", "POSITIVE") for path in PAGES),
]


@pytest.mark.parametrize(("path", "method", "mode"), CASES)
def test_every_answer_is_one_that_the_document_names(api: Any, path: str, method: str, mode: str) -> None:
    cases = api[path][method].as_strategy(generation_mode=schemathesis.GenerationMode[mode])

    @settings(
        max_examples=EXAMPLES,
        derandomize="HROUTE_TEST_EXAMPLES" not in os.environ,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def holds(case: Any) -> None:
        # what an upstream makes of an odd request is no failure of ours: 502 to 504 are answers, too, 500 is none
        answer = case.call_and_validate(timeout=30, excluded_checks=[schemathesis.checks.not_a_server_error])
        assert answer.status_code != 500

    holds()
