"""What the issue's figures ask of the signals holds on the labelled data that lies beside the checkout."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hroute.router.decide import compile, decide_lazy
from hroute.router.signals.extract import Extraction
from hroute.router.signals.pii import pii_scanner
from hroute.router.signals.secrets import SECRETS
from hroute.schema.load import load
from hroute.schema.policy import Policy
from hroute.terms.message import prompt
from hroute.terms.signal import PII_KINDS

ROOT = Path(__file__).parents[3]
DATA = ROOT / ".." / "shared" / "data"
STRUCTURED = frozenset(
    (
        "EMAIL", "PHONE", "CREDIT_CARD", "IBAN", "SSN", "NATIONAL_ID", "PASSPORT", "DRIVER_LICENSE", "BANK_ACCOUNT", "MRN", "IP", "MAC", "DOB", "API_KEY", "PASSWORD", "ADDRESS",
    )
)  # fmt: skip

Row = dict[str, Any]


def rows(name: str) -> list[Row]:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"the labelled data is not beside this checkout: ../shared/data/{name}")
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def documents() -> list[Row]:
    return rows("pii/pii_dev.jsonl")


@pytest.fixture(scope="module")
def utterances() -> list[Row]:
    return rows("intents/intents_dev.jsonl")


@pytest.fixture(scope="module")
def starter() -> Policy:
    policy, findings, _ = load(str(ROOT / "routing-config.yaml"))
    assert policy is not None, findings
    return policy


@pytest.mark.parametrize(
    ("source", "least"),
    [("presidio", 0.95), ("piianon", 0.99), ("secrets_kingfisher", 0.90), ("secrets_credsweeper", 0.78)],
)
def test_documents_with_something_in_them_are_flagged(documents: list[Row], source: str, least: float) -> None:
    scanner = pii_scanner(PII_KINDS)
    asked = [
        r for r in documents if r["source"].startswith(source) and any(s["type"] in STRUCTURED for s in r["spans"])
    ]
    flagged = sum(bool(scanner.scan(row["text"]) or SECRETS.scan(row["text"])) for row in asked)
    assert flagged / len(asked) >= least


def test_clean_utterances_are_seldom_flagged(utterances: list[Row]) -> None:
    scanner = pii_scanner(PII_KINDS)
    assert sum(bool(scanner.scan(row["text"])) for row in utterances) <= 0.01 * len(utterances)
    assert sum(bool(SECRETS.scan(row["text"])) for row in utterances) <= 0.005 * len(utterances)


def test_local_gets_questions_about_the_house_and_no_complaint_and_no_legal_matter(
    utterances: list[Row], starter: Policy
) -> None:
    compiled, local, every = compile(starter), Counter[str](), Counter[str]()
    for row in utterances:
        if row["route"] in ("faq", "complaint", "legal"):
            extraction = Extraction(starter, prompt(row["text"]), {})
            decision = decide_lazy(compiled, extraction.ask, extraction.known, request_id=row["id"])
            every[row["route"]] += 1
            local[row["route"]] += decision.route_to == "ollama"
    assert local["faq"] / every["faq"] >= 0.60
    assert local["complaint"] / every["complaint"] <= 0.01
    assert local["legal"] / every["legal"] <= 0.01


def test_code_is_told_from_everything_else(utterances: list[Row], starter: Policy) -> None:
    said = [Extraction(starter, prompt(row["text"]), {}).ask("task_type") == "code" for row in utterances]
    meant = [row["route"] == "code" for row in utterances]
    right = sum(a and b for a, b in zip(said, meant, strict=True))
    assert 2 * right / (sum(said) + sum(meant)) >= 0.93
