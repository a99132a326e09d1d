"""A provider's references are looked up before a plugin sees them, and its options are what the plugin's schema says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hroute.providers import registry
from hroute.providers.openai import OpenAIPlugin
from hroute.providers.protocol import Capabilities, Target
from hroute.providers.testing import request
from hroute.router.check import check_text
from hroute.router.plan import Skipped
from hroute.router.targets import target_of
from hroute.schema.diagnostic import Diagnostic
from tests.router.stage import KEYED, provider

RULES = "routing_rules:\n  - {name: it, condition: {}, route_to: p}\n"


def errors(provider: str) -> tuple[Diagnostic, ...]:
    return check_text(f"providers:\n  p:\n    {provider}\n{RULES}").errors


def test_references_in_parameters_and_options_are_looked_up() -> None:
    environ = {**KEYED, "REGION": "eu", "KEEP": "10m"}
    settings = {"params": {"keep_alive": "env:KEEP", "n": 1, "deep": [{"x": "env:REGION"}]}, "options": {"region": "env:REGION"}}  # fmt: skip
    found = target_of(provider("a", **settings), Capabilities(), environ)
    assert isinstance(found, Target)
    assert found.params == {"keep_alive": "10m", "n": 1, "deep": [{"x": "eu"}]}
    assert found.options == {"region": "eu"}


def test_a_setting_that_is_not_set_leaves_the_provider_out_and_names_the_variable() -> None:
    found = target_of(provider("a", options={"region": "env:REGION"}), Capabilities(), KEYED)
    assert isinstance(found, Skipped)
    assert "$REGION" in found.detail


def test_an_option_that_a_plugin_does_not_know_is_an_error_at_its_place() -> None:
    (found,) = errors(
        "plugin: openai\n    model: m\n    base_url: http://127.0.0.1:1\n    options: {limit_keys: max_tokens}"
    )
    assert (found.code, found.primary.span.line, found.primary.span.column) == ("HR011", 6, 15)
    assert "limit_key" in found.help


def test_a_value_that_an_option_does_not_take_is_an_error_at_its_place() -> None:
    (found,) = errors(
        "plugin: openai\n    model: m\n    base_url: http://127.0.0.1:1\n    options: {limit_key: max_token}"
    )
    assert (found.code, found.primary.span.line, found.primary.span.column) == ("HR012", 6, 26)
    assert "max_tokens" in found.help


def test_a_plugin_without_options_takes_none() -> None:
    (found,) = errors("plugin: ollama\n    model: m\n    options: {num_ctx: 4096}")
    assert found.code == "HR011"
    assert "takes no options" in found.message
    assert "params" in found.help


def test_options_that_fit_are_no_finding() -> None:
    assert (
        errors("plugin: openai\n    model: m\n    base_url: http://127.0.0.1:1\n    options: {limit_key: max_tokens}")
        == ()
    )
    assert errors("plugin: command\n    command: [claude]\n    options: {billing: flat}") == ()


@pytest.mark.parametrize(
    ("base_url", "options", "key"),
    [
        (None, {}, "max_completion_tokens"),
        ("https://api.openai.com/v1/", {}, "max_completion_tokens"),
        ("https://eu.openai.azure.com/openai/v1/", {}, "max_completion_tokens"),
        ("https://api.deepseek.com", {}, "max_tokens"),
        ("http://127.0.0.1:8000/v1", {}, "max_tokens"),
        ("http://127.0.0.1:8000/v1", {"limit_key": "max_completion_tokens"}, "max_completion_tokens"),
        ("https://openai.azure.com.evil.example", {}, "max_tokens"),
    ],
)
def test_the_limit_on_output_bears_the_name_that_the_server_knows(
    base_url: str | None, options: dict[str, str], key: str
) -> None:
    body = OpenAIPlugin().body(Target("p", "m", base_url, options=options), request(max_tokens=5))
    assert {name: body.get(name) for name in ("max_tokens", "max_completion_tokens") if name in body} == {key: 5}


STRANGER = """
from hroute.providers.protocol import Capabilities
class Plugin:
    name = "mine"
    capabilities = Capabilities(needs_key=False, options=OPTIONS)
    def send(self, target, request, permit): ...
    def stream(self, target, request, permit): ...
    async def asend(self, target, request, permit): ...
    def astream(self, target, request, permit): ...
"""


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages; `install` puts a plugin named `mine` there."""
    monkeypatch.syspath_prepend(str(tmp_path))
    registry._announced.cache_clear()
    yield tmp_path
    registry._announced.cache_clear()


def install(at: Path, module: str, options: object) -> None:
    (at / f"{module}.py").write_text(f"OPTIONS = {options!r}\n{STRANGER}")
    info = at / f"{module}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[hroute.providers]\nmine = {module}:Plugin\n")


def test_a_third_party_s_plugin_is_asked_for_its_own_schema(stranger: Path) -> None:
    weights = {"type": "object", "required": ["weights"], "properties": {"weights": {"type": "string"}}}
    install(stranger, "stranger_one", weights)
    (missing,) = errors("plugin: mine\n    model: m")
    assert missing.code == "HR013"
    assert "weights" in missing.message
    (wrong,) = errors("plugin: mine\n    model: m\n    options: {weights: 3}")
    assert (wrong.code, wrong.primary.span.line) == ("HR010", 5)
    assert errors("plugin: mine\n    model: m\n    options: {weights: a.gguf}") == ()


def test_a_third_party_s_schema_that_is_none_is_told_as_its_maker_s_mistake(stranger: Path) -> None:
    install(stranger, "stranger_two", {"type": "objekt"})
    (found,) = errors("plugin: mine\n    model: m")
    assert "its own JSON Schema is wrong" in found.message
