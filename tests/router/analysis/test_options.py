"""What belongs to one plugin alone is checked by that plugin's own schema, at its place."""

from __future__ import annotations

import pytest

from hroute.providers import registry
from hroute.providers.protocol import Capabilities
from hroute.router.check import check_text

RULE = "routing_rules: [{name: a, condition: {}, route_to: mine}]\n"


def findings(provider: str) -> list[tuple[str, str, int]]:
    found = check_text(f"providers:\n  mine: {{{provider}}}\n{RULE}").findings
    return [
        (f.code, f.message, f.primary.span.column)
        for f in found
        if f.code in ("HR010", "HR011", "HR012", "HR013", "HR020")
    ]


def test_options_that_fit_are_silent() -> None:
    assert (
        findings(
            "plugin: command, command: [claude, -p], options: {profile: claude, billing: flat, env: [HTTPS_PROXY]}"
        )
        == []
    )


@pytest.mark.parametrize(
    ("options", "code", "at"),
    [
        ("{profil: claude}", "HR011", "profil"),
        ("{profile: gemini}", "HR012", "gemini"),
        ("{billing: free}", "HR012", "free"),
        ("{env: HTTPS_PROXY}", "HR010", "HTTPS_PROXY"),
        ("{env: [A-B]}", "HR012", "A-B"),
        ("{key_env: 7}", "HR010", "7"),
    ],
)
def test_options_that_do_not_fit_are_findings_at_their_place(options: str, code: str, at: str) -> None:
    written = f"plugin: command, command: [claude, -p], options: {options}"
    ((found, _, column),) = findings(written)
    assert found == code
    assert f"  mine: {{{written}"[column - 1 :].startswith(at)


@pytest.mark.parametrize("plugin", ["anthropic", "ollama"])
def test_a_plugin_without_options_takes_none(plugin: str) -> None:
    ((code, message, _),) = findings(f"plugin: {plugin}, model: m, options: {{keep_alive: 5m}}")
    assert code == "HR011"
    assert f"`{plugin}` takes no options" in message


def test_a_third_partys_schema_is_used_with_patterns_in_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = {"type": "object", "required": ["path"], "properties": {"path": {"type": "string", "pattern": "^(a+)+$"}}}
    known = registry._BUILT_IN | {"ollama": ("x:Y", Capabilities(options=schema))}
    monkeypatch.setattr(registry, "_BUILT_IN", known)
    assert [code for code, *_ in findings("plugin: ollama, model: m, options: {other: 1}")] == ["HR013"]
    assert [code for code, *_ in findings(f"plugin: ollama, model: m, options: {{path: {'a' * 5_000}b}}")] == ["HR012"]


def test_a_command_without_a_command_is_a_finding() -> None:
    assert [code for code, *_ in findings("plugin: command, model: m")] == ["HR013"]


def test_a_commands_keys_at_another_plugin_are_findings() -> None:
    found = findings("plugin: ollama, model: m, command: [x], vouched: why")
    assert [message.split("`")[1] for _, message, _ in found] == ["command", "vouched"]


def test_the_options_of_an_unknown_plugin_are_not_looked_at() -> None:
    assert [code for code, *_ in findings("plugin: olama, model: m, options: {x: 1}")] == ["HR020"]
