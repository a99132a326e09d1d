"""A detector whose package or model is missing is found when the policy is checked, not when the first request comes."""

from __future__ import annotations

import pytest

from hroute.router import check
from hroute.router.signals import presidio

POLICY = "version: 1\nrouting_rules: []\nsignals: {{pii: {{presidio: {}}}}}\n"


def found(setting: str) -> list[tuple[str, str, int]]:
    findings = check.check_text(POLICY.format(setting), "policy.yaml").findings
    return [(f.code, f.message, f.primary.span.line) for f in findings if f.code == "HR024"]


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presidio, "find_spec", lambda name: None)
    assert found("true") == [("HR024", "`presidio` needs the package `presidio-analyzer`", 3)]


def test_a_pipeline_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {presidio.PACKAGE}
    monkeypatch.setattr(presidio, "find_spec", lambda name: name if name in there else None)
    assert found("{model: en_core_web_none}") == [("HR024", "`presidio` finds no spaCy pipeline `en_core_web_none`", 3)]
    there.add("en_core_web_none")
    assert found("{model: en_core_web_none}") == []
    assert found("{model: blank}") == []


def test_a_policy_that_does_not_ask_for_it_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presidio, "find_spec", lambda name: None)
    assert found("false") == []
