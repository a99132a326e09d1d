"""A parameter that nobody carries is found when a policy is checked, at its place."""

from __future__ import annotations

import pytest

from hroute.router.check import check_text


def findings(providers: str, rules: str = "[{name: a, condition: {}, route_to: mine}]") -> list[tuple[str, str]]:
    found = check_text(f"providers: {{{providers}}}\nrouting_rules: {rules}\n").findings
    return [(f.code, f.message) for f in found if f.code in ("HR010", "HR011", "HR012")]


@pytest.mark.parametrize(
    ("plugin", "params"),
    [
        ("ollama", "{temperature: 0.2, num_ctx: 8192, keep_alive: 10m, repeat_penalty: 1.1, think: false, stop: END}"),
        (
            "openai",
            "{reasoning_effort: low, verbosity: low, seed: env:SEED, extra_body: {min_p: 0.1}, max_tokens: 100}",
        ),
        ("anthropic", "{thinking: {type: adaptive}, cache_control: {type: ephemeral}, stop_sequences: [END]}"),
        ("command, command: [claude, -p]", "{effort: low}"),
    ],
)
def test_parameters_that_are_carried_are_silent(plugin: str, params: str) -> None:
    assert findings(f"mine: {{plugin: {plugin}, model: m, params: {params}}}") == []


@pytest.mark.parametrize(
    ("plugin", "params", "code", "said"),
    [
        ("ollama", "{temprature: 1}", "HR011", "`temprature` is not a key of `params` of provider `mine`"),
        ("ollama", "{num_predict: 1}", "HR011", "plugin `ollama` does not take the parameter `num_predict`"),
        ("openai", "{n: 2}", "HR011", "plugin `openai` does not take the parameter `n`"),
        ("openai", "{temperature: hot}", "HR010", "`temperature` takes a number, 0 or more, not the text `hot`"),
        ("openai", "{extra_body: {model: x}}", "HR012", "`model` is not a key that hroute leaves to a policy"),
        ("anthropic", "{seed: 4}", "HR011", "`seed` is not a key of `params` of provider `mine`"),
    ],
)
def test_what_a_provider_s_plugin_does_not_carry_is_a_finding(plugin: str, params: str, code: str, said: str) -> None:
    assert findings(f"mine: {{plugin: {plugin}, model: m, params: {params}}}") == [(code, said)]


TWO = "mine: {plugin: anthropic, model: m}, other: {plugin: openai, model: m}"


def test_a_parameter_of_a_rule_needs_one_in_its_chain_who_carries_it() -> None:
    rule = "[{name: a, condition: {}, route_to: mine, fallback: FALLBACK, params: {seed: 1}}]"
    assert findings(TWO, rule.replace("FALLBACK", "other")) == []
    assert findings(TWO, rule.replace("FALLBACK", "null")) == [("HR011", "`seed` is not a key of `params` of rule `a`")]


def test_a_value_of_a_rule_s_parameter_has_to_fit_whoever_carries_it() -> None:
    rule = "[{name: a, condition: {}, route_to: mine, fallback: other, params: {seed: one, temperature: 0}}]"
    assert [code for code, _ in findings(TWO, rule)] == ["HR010"]


def test_the_default_s_parameters_are_looked_at_too() -> None:
    found = check_text(
        "providers: {mine: {plugin: ollama, model: m}}\ndefault: {route_to: mine, params: {max_tokens: 0}}\n"
    ).findings
    assert [f.code for f in found if f.code.startswith("HR01")] == ["HR012"]
