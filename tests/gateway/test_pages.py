"""The pages that ask no model: the one for people shows what is, and nothing that got into it can run."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import pytest

from hroute import __version__
from hroute.gateway import openapi, ui
from hroute.gateway.doors import DOORS
from hroute.ledger.costs import CostRow
from hroute.router.bookkeeping import books_of
from hroute.router.health import Condition
from tests.gateway.house import BODIES, before_sandbox

NASTY = '<script>alert(1)</script><img src=x onerror="x"> & \'"'


def test_the_page_shows_providers_decisions_and_costs(tmp_path: Path) -> None:
    with before_sandbox() as (house, _):
        engine = house.gateway.engine
        engine.books = books_of(engine.policy, {"HROUTE_LEDGER": str(tmp_path / "ledger.db")}, rehearsal=False)
        for path in BODIES:
            house.post(path, BODIES[path]("a very private question"), x_hroute_cost_center="llama")
        answer = house.get("/ui")
        text = html.unescape(answer.text)
        assert answer.headers["content-type"].startswith("text/html")
        for wanted in ("claude", "to_llama", "llama-x", "closed", "Costs today", engine.policy.hash[:7], "$0.0000"):
            assert wanted in text, wanted
        assert text.count("<td>to_llama</td>") == len(BODIES)
        assert "private question" not in text


def test_without_a_ledger_the_page_says_so() -> None:
    with before_sandbox() as (house, _):
        answer = house.get("/ui")
        assert answer.status_code == 200
        assert "no ledger is kept" in answer.text


def test_nothing_on_the_page_can_run_or_be_loaded(tmp_path: Path) -> None:
    with before_sandbox() as (house, _):
        engine = house.gateway.engine
        engine.books = books_of(engine.policy, {"HROUTE_LEDGER": str(tmp_path / "ledger.db")}, rehearsal=False)
        for name in ("x_hroute_tenant", "x_hroute_session", "x_hroute_user", "user_agent"):
            house.post("/v1/messages", BODIES["/v1/messages"](NASTY, model=NASTY), **{name: NASTY})
        answer = house.get("/ui")
    allowed = answer.headers["content-security-policy"]
    assert "default-src 'none'" in allowed
    assert "unsafe" not in allowed
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script|<img|<link|<iframe|onerror=.x|https?:|src=|href=|<form", answer.text)


def test_every_text_on_the_page_is_escaped() -> None:
    row = dict.fromkeys(("rule", "routed_to", "provider", "model", "outcome", "escalation"), NASTY)
    decided: dict[str, Any] = {**row, "id": "0" * 36, "ts": 1_700_000_000_000, "latency_ms": 12.0, "cost": None}
    odd = Condition(NASTY, NASTY, None, NASTY, None, None, NASTY, 0, 0)
    seen = ui.Seen(NASTY, NASTY, "observe", NASTY, (odd,), (decided,), (CostRow((NASTY,)),), CostRow(()), "")
    for shown in (ui.page(seen), ui.page(ui.Seen("p", "f", "enforce", "", (), unkept=NASTY))):
        assert "<script" not in shown
        assert "<img" not in shown
        assert html.escape(NASTY[:25]) in shown


@pytest.mark.parametrize("path", ["/ui", "/metrics", "/openapi.json", "/v1/models", "/readyz", "/sessions/s"])
def test_a_page_of_elsewhere_reads_nothing(path: str) -> None:
    with before_sandbox() as (house, _):
        assert house.get(path, origin="https://evil.example").status_code == 403
        assert house.get(path, host="evil.example").status_code == 403
        house.gateway.loopback = False
        assert house.get(path).status_code == 401
        assert house.get("/healthz").status_code == 200


def test_the_document_names_every_door_and_page() -> None:
    found = openapi.document(__version__)["paths"]
    assert {*DOORS, "/v1/messages/count_tokens", "/v1/models", "/ui", "/metrics", "/openapi.json", "/"} <= set(found)
    with before_sandbox() as (house, _):
        assert house.get("/openapi.json").json()["paths"] == found
        for path, methods in found.items():
            if "get" in methods and "{" not in path:
                assert house.get(path).status_code == 200, path
        wrong = house.client.delete(house.url + "/v1/models")
        assert (wrong.status_code, set(wrong.headers["allow"].split(", "))) == (405, {"GET", "HEAD"})
        for path in (*DOORS, "/v1/messages/count_tokens"):
            asked = house.get(path)
            assert (asked.status_code, asked.headers["allow"]) == (405, "POST")
            assert asked.json()["error"]["message"].startswith("hroute: ")
