"""The page for whoever writes a plugin: its example is whole, and passes the suite that it tells of."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hroute.providers import anthropic, ollama, openai, registry, testing
from hroute.providers.protocol import Plugin
from hroute.router.check import check_text

PAGE = (Path(__file__).resolve().parents[1] / "docs/plugins.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def shown(name: str, text: str) -> ModuleType:
    module = module_from_spec(ModuleSpec(name, None))
    exec(compile(text, f"{name}.py", "exec"), module.__dict__)
    return module


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch) -> Any:
    module = shown("acme", blocks("python")[0])
    monkeypatch.setitem(sys.modules, "acme", module)
    return module


@pytest.mark.parametrize("check", testing.CHECKS, ids=testing.name_of)
def test_the_example_passes_every_check_by_the_test_that_is_shown(
    acme: Any, check: Callable[[Plugin, Any], None]
) -> None:
    shown("test_acme", blocks("python")[1]).test_acme_conforms(check)


def test_its_entry_point_is_one() -> None:
    (text,) = blocks("toml")
    points = tomllib.loads(text)["project"]["entry-points"]
    assert points == {registry.GROUP: {"acme": "acme:AcmePlugin"}}


def test_its_parameters_are_known_to_check(acme: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Announced:
        value, dist = "acme:AcmePlugin", None

        def load(self) -> Any:
            return acme.AcmePlugin

    monkeypatch.setattr(registry, "_announced", lambda: {"acme": Announced()})
    text = "providers: {p: {plugin: acme, model: m, base_url: http://127.0.0.1:9, params: {tone: 1}}}\nrouting_rules: [{name: a, condition: {}, route_to: p}]\n"
    found = [(f.code, f.message) for f in check_text(text).findings if f.code == "HR011"]
    assert found == [("HR011", "`tone` is not a key of `params` of provider `p`")]


def test_the_policies_that_are_shown_have_no_mistake_in_their_parameters() -> None:
    for text in blocks("yaml"):
        policy = f"{text}default: {{route_to: qwen}}\n"
        found = [f.message for f in check_text(policy).findings if f.code.startswith("HR01")]
        assert found == []


@pytest.mark.parametrize("table", [anthropic.PARAMETERS, openai.PARAMETERS, ollama.PARAMETERS], ids=lambda t: t.plugin)
def test_the_table_of_parameters_names_each(table: Any) -> None:
    told = PAGE.partition("## Parameters")[2].partition("## A plugin")[0]
    words = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`[^`]+`", told))))
    left = {name for name in table.names if name not in words}
    assert left <= ({"logprobs"} if table.plugin == "openai" else {"logprobs", *table.own})
