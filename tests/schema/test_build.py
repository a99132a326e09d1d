"""A source becomes a policy with everything resolved, and every mistake is found at its place."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hroute.schema.build import build, short_hash
from hroute.schema.catalogue import CATALOGUE
from hroute.schema.condition import ALWAYS, OneOf, Test
from hroute.schema.diagnostic import Diagnostic, Level
from hroute.schema.dump import dump
from hroute.schema.load import load_text
from hroute.schema.policy import Limits, Policy, Timeout
from hroute.schema.region import EVERYTHING, admits
from hroute.schema.source import read_text
from hroute.terms.money import Price
from hroute.terms.signal import PERSONAL_KINDS, UNSPECIFIED
from tests.schema.whole import WHOLE

SHARED = Path(__file__).parents[2] / ".." / "shared" / "cases"
RULE = "routing_rules: [{name: a, condition: {}, route_to: gpt4o}]\n"


def policy_of(text: str, environ: dict[str, str] | None = None) -> Policy:
    policy, findings = build(read_text(text, "policy.yaml"), environ or {})
    assert policy is not None, [f.message for f in findings]
    return policy


def errors(text: str) -> list[Diagnostic]:
    policy, findings = build(read_text(text, "policy.yaml"), {})
    assert policy is None
    return [f for f in findings if f.level is Level.ERROR]


def error(text: str) -> Diagnostic:
    (found,) = errors(text)
    return found


def blamed(text: str, finding: Diagnostic) -> str:
    span = finding.primary.span
    return text.split("\n")[span.line - 1][span.column - 1 : span.end_column - 1]


def rule_with(more: str, before: str = "") -> str:
    return f"{before}routing_rules:\n  - {{name: a, condition: {{}}, {more}}}\n"


def test_the_articles_policy_is_built_unchanged() -> None:
    path = SHARED / "article-policy.yaml"
    if not path.exists():
        pytest.skip("the shared cases are not beside this checkout")
    policy = policy_of(path.read_text())
    assert [rule.name for rule in policy.rules] == [
        "privacy_sensitive", "code_generation", "batch_processing", "simple_tasks", "complex_reasoning",
    ]  # fmt: skip
    assert [rule.route.chain for rule in policy.rules if rule.route] == [
        ("ollama",), ("claude_sonnet", "gpt4o"), ("deepseek", "ollama"), ("deepseek", "ollama"), ("claude_opus", "gpt4o"),
    ]  # fmt: skip
    assert policy.default.route is not None
    assert policy.default.route.chain == ("claude_sonnet",)
    assert set(policy.providers) == set(CATALOGUE)


def test_the_whole_language_is_built() -> None:
    policy = policy_of(WHOLE)
    assert [rule.name for rule in policy.rules][-1] == "strange"  # the disabled rule does not exist
    assert list(policy.providers)[:5] == ["ollama", "claude_sonnet", "deepseek", "gemma", "mine"]


# providers


def test_a_provider_of_the_catalogue_is_overridden_field_by_field() -> None:
    policy = policy_of(RULE + "providers: {ollama: {model: mistral:7b}, gpt4o: {api_key: null}}")
    ollama = policy.providers["ollama"]
    assert (ollama.model, ollama.plugin, ollama.local) == ("mistral:7b", "ollama", True)
    assert (ollama.base_url, ollama.catalogued) == ("http://127.0.0.1:11434", False)
    assert policy.providers["gpt4o"].api_key is None
    assert policy.providers["claude_opus"].catalogued


def test_what_a_provider_says_goes_over_the_policys_defaults_and_those_over_ours() -> None:
    text = (
        RULE + "timeout: {total: 1m, idle: 2s}\nlimits: {concurrency: 4}\nproviders: {gpt4o: {timeout: {idle: 500ms}}}"
    )
    policy = policy_of(text)
    assert policy.providers["gpt4o"].timeout == Timeout(connect=5, first_token=30, idle=0.5, total=60)
    assert policy.providers["deepseek"].timeout == Timeout(connect=5, first_token=30, idle=2, total=60)
    assert policy.providers["gpt4o"].limits == Limits(concurrency=4)


def test_prices_are_nano_dollars_a_million_tokens() -> None:
    price = policy_of(WHOLE).providers["mine"].price
    band = Price(6_000_000_000, 22_500_000_000)
    assert price == Price(3_000_000_000, 15_000_000_000, 300_000_000, 3_750_000_000, ((200_000, band),))


def test_references_stay_references_and_numbers_are_looked_up() -> None:
    text = (
        RULE
        + "providers: {ollama: {base_url: env:URL, model: env:MODEL, context_window: env:SIZE, timeout: {idle: env:IDLE}}}"
    )
    ollama = policy_of(text, {"SIZE": "4096", "IDLE": "7s", "URL": "http://secret"}).providers["ollama"]
    assert (ollama.base_url, ollama.model, ollama.context_window, ollama.timeout.idle) == (
        "env:URL",
        "env:MODEL",
        4096,
        7.0,
    )
    assert [f.code for f in errors(text)] == ["HR012", "HR012"]


@pytest.mark.parametrize(
    "provider",
    [
        "{api_key: sk-ant-REDACTED}",
        "{api_key: hunter2}",
        "{params: {extra: [{token: sk-proj-REDACTED}]}}",
        "{options: {header: 'Bearer sk-or-v1-0123456789abcdef0123456789'}}",
    ],
)
def test_a_secret_in_clear_is_found_and_shown_nowhere(provider: str) -> None:
    finding = error(RULE + f"providers:\n  gpt4o: {provider}")
    assert finding.code == "HR307"
    assert finding.primary.masked
    said = f"{finding.message} {finding.help} {finding.primary.text} {finding.others}"
    assert "sk-" not in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("providers: {gpt4o: {base_url: 'https://me:hunter2@example.com/v1'}}", None),
        ("providers: {gpt4o: {base_url: 'https://example.com/v1?key=AIzaSyA0123456789abcdefghijk'}}", None),
        ("alerts: {slack: 'https://hooks.slack.com/services/T0/B0/a1b2c3d4e5f6g7h8i9j0k1l2'}", None),
        ("default: {route_to: gpt4o, params: {token: sk-proj-0123456789abcdefghij}}", None),
        ("providers: {gpt4o: {base_url: 'https://example.com/v1/accounts/023e105f4ecef8ad9ca31a8372d0c353'}}", "kept"),
        ("providers: {gpt4o: {model: 'ft:gpt-4o-2024-08-06:org::9aBcDeFgHiJkLmNoPqRs1'}}", "kept"),
    ],
)
def test_a_secret_inside_an_address_is_found_and_an_ordinary_address_is_not(text: str, shown: str | None) -> None:
    if shown:
        assert policy_of(RULE + text)
    else:
        assert error(RULE + text).code == "HR307"


def test_the_key_that_signs_alerts_is_named_and_never_given() -> None:
    found = error(RULE + "alerts: {webhook: 'env:HOOK', signing_key: hunter2}")
    assert (found.code, found.primary.masked) == ("HR307", True)
    assert policy_of(RULE + "alerts: {webhook: 'env:HOOK', signing_key: 'env:HOOK_KEY'}").alerts["signing_key"]


def test_quiet_hours_are_in_a_zone_that_exists() -> None:
    found = error(RULE + "alerts: {quiet_hours: {from: '22:00', to: '07:00', timezone: Europe/Berln}}")
    assert (found.code, found.message) == ("HR012", "`Europe/Berln` is not a time zone")


def test_a_key_by_reference_or_of_the_caller_is_no_secret() -> None:
    policy = policy_of(RULE + "providers: {gpt4o: {api_key: client}, deepseek: {api_key: keyring:deepseek}}")
    assert policy.providers["gpt4o"].api_key == "client"


def test_a_provider_with_a_mistake_is_blamed_once_and_not_where_it_is_used() -> None:
    text = "providers: {mine: {model: m}}\n" + rule_with("route_to: mine")
    assert [(f.code, blamed(text, f)) for f in errors(text)] == [("HR013", "mine")]


# names


@pytest.mark.parametrize(
    ("text", "at", "help"),
    [
        (rule_with("route_to: claude_sonet"), "claude_sonet", "did you mean `claude_sonnet`?"),
        (rule_with("route_to: stronk", "tiers: {strong: [gpt4o]}\n"), "stronk", "did you mean `strong`?"),
        (rule_with("route_to: gpt4o, fallback: [ollama, olama]"), "olama", "did you mean `ollama`?"),
        (rule_with("route_to: gpt4o, shadow: {to: olama}"), "olama", "did you mean `ollama`?"),
        (rule_with("route_to: gpt4o, validate: {judge: olama}"), "olama", "did you mean `ollama`?"),
        (rule_with("route_to: gpt4o, validate: {agree: {with: olama}}"), "olama", "did you mean `ollama`?"),
        (rule_with("split: {gpt4o: 50, olama: 50}"), "olama", "did you mean `ollama`?"),
        (RULE + "baseline: claude", "claude", None),
        (RULE + "default: {route_to: gpt4}", "gpt4", "did you mean `gpt4o`?"),
        (RULE + "default: gpt4", "gpt4", "did you mean `gpt4o`?"),
        (RULE + "tiers: {strong: [gpt4o, claude_opsu]}", "claude_opsu", "did you mean `claude_opus`?"),
        (RULE + "guarantees: [{name: g, only: {name: olama}}]", "olama", "did you mean `ollama`?"),
        (RULE + "guarantees: [{name: g, only: {tier: [cheap]}}]", "cheap", None),
        (RULE + "guarantees: [{name: g, only: {loca: true}}]", "loca", "did you mean `local`?"),
        (
            RULE + "budgets: [{name: b, limit_usd: 1, per: day, at: {100%: {reroute_to: olama}}}]",
            "olama",
            "did you mean `ollama`?",
        ),
        (RULE + "budgets: [{name: b, limit_usd: 1, per: day, where: {rule: aa}}]", "aa", "did you mean `a`?"),
        (rule_with("route_to: gpt4o").replace("{}", "{is: nobody}"), "nobody", None),
    ],
)
def test_an_unknown_name_is_said_where_it_stands_with_the_one_that_was_meant(
    text: str, at: str, help: str | None
) -> None:
    finding = error(text)
    assert (finding.code, blamed(text, finding)) == ("HR021", at)
    if help is not None:
        assert finding.help == help


def test_the_message_for_an_unknown_provider_names_the_rule() -> None:
    finding = error("routing_rules:\n  - {name: complaint, condition: {}, route_to: claude_sonet}")
    assert finding.message == "rule `complaint` routes to unknown provider `claude_sonet`"


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("routing_rules: [{name: a, condition: {}, route_to: gpt4o}, {name: a, condition: {}, refuse: closed}]", "a"),
        ("routing_rules: [{name: default, condition: {}, route_to: gpt4o}]", "default"),
        ("routing_rules: [{name: requested, condition: {}, route_to: gpt4o}]", "requested"),
        (RULE + "tiers: {gpt4o: [ollama]}", "gpt4o"),
        (RULE + "providers: {x: {plugin: ollama, model: m}}\ntiers: {x: [ollama]}", "x"),
        (RULE + "guarantees: [{name: g, only: {local: true}}, {name: g, only: {local: true}}]", "g"),
        (RULE + "budgets: [{name: b, limit_usd: 1, per: day}, {name: b, limit_usd: 2, per: day}]", "b"),
    ],
)
def test_a_name_is_used_once(text: str, at: str) -> None:
    finding = error(text)
    assert (finding.code, blamed(text, finding)) == ("HR022", at)


# routes


@pytest.mark.parametrize(
    ("route", "chain"),
    [
        ("route_to: gpt4o", ["gpt4o"]),
        ("route_to: gpt4o, fallback: null", ["gpt4o"]),
        ("route_to: gpt4o, fallback: ollama", ["gpt4o", "ollama"]),
        ("route_to: gpt4o, fallback: cheap", ["gpt4o", "claude_haiku", "deepseek"]),
        ("route_to: gpt4o, fallback: [cheap, ollama]", ["gpt4o", "claude_haiku", "deepseek", "ollama"]),
        ("route_to: strong", ["claude_sonnet", "gpt4o"]),
        ("route_to: strong, fallback: null", ["claude_sonnet"]),
        ("route_to: strong, fallback: ollama", ["claude_sonnet", "ollama"]),
        ("route_to: strong, fallback: strong", ["claude_sonnet", "gpt4o"]),
        ("split: {gpt4o: 10, claude_sonnet: 90}, fallback: ollama", ["claude_sonnet", "ollama"]),
    ],
)
def test_the_chain_is_the_route_then_the_fallbacks(route: str, chain: list[str]) -> None:
    tiers = "tiers: {strong: [claude_sonnet, gpt4o], cheap: [claude_haiku, deepseek]}\n"
    found = policy_of(rule_with(route, tiers)).rules[0].route
    assert found is not None
    assert list(found.chain) == chain


def test_a_fallback_that_repeats_a_provider_by_name_is_an_error() -> None:
    text = rule_with("route_to: gpt4o, fallback: [ollama, gpt4o]")
    finding = error(text)
    assert (finding.code, blamed(text, finding), finding.others[0].text) == ("HR302", "gpt4o", "already here")


def test_a_split_adds_up_to_a_hundred() -> None:
    assert error(rule_with("split: {gpt4o: 10, ollama: 80}")).code == "HR012"
    route = policy_of(rule_with("split: {gpt4o: 10, ollama: 90%}")).rules[0].route
    assert route is not None
    assert route.split == (("ollama", 90.0), ("gpt4o", 10.0))


def test_every_part_of_a_chain_is_found_in_the_file() -> None:
    text = rule_with("route_to: gpt4o, fallback: [cheap, ollama]", "tiers: {cheap: [claude_haiku, deepseek]}\n")
    spans = policy_of(text).rules[0].spans
    line = text.split("\n")[2]
    places = {key: line[s.column - 1 : s.end_column - 1] for key, s in spans.items()}
    assert places["name"] == "a"
    assert (places["chain.0"], places["chain.1"], places["chain.2"], places["chain.3"]) == (
        "gpt4o",
        "cheap",
        "cheap",
        "ollama",
    )
    assert (places["fallback.0"], places["fallback.1"]) == ("cheap", "ollama")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (rule_with("description: none"), "HR013"),
        (rule_with("route_to: null"), "HR012"),
        (rule_with("route_to: gpt4o, refuse: closed"), "HR012"),
        (rule_with("route_to: gpt4o, rollout: 10%"), "HR013"),
        (rule_with("route_to: gpt4o, holdout: 10%"), "HR013"),
        (rule_with("route_to: gpt4o, deadline: 5"), "HR012"),
        (rule_with("route_to: gpt4o, validate: {matches: '(a'}"), "HR012"),
        (RULE + "mode: observe", "HR013"),
    ],
)
def test_a_rule_that_cannot_work_is_an_error(text: str, code: str) -> None:
    assert error(text).code == code


def test_rollout_and_holdout_are_fractions() -> None:
    rule = policy_of(rule_with("route_to: gpt4o, rollout: 12.5%, holdout: 5%", "baseline: ollama\n")).rules[0]
    assert (rule.rollout, rule.holdout) == (0.125, 0.05)


def test_a_held_rule_also_takes_the_sessions_that_it_holds() -> None:
    text = "routing_rules: [{name: a, condition: {task_type: code}, route_to: gpt4o, hold: session}]"
    rule = policy_of(text).rules[0]
    assert rule.condition == Test("task_type", OneOf(("code",)))
    assert any(set(box) == {"held_rule"} and admits(box["held_rule"], "held_rule", "a") for box in rule.region)


def test_a_condition_with_too_many_combinations_is_an_error() -> None:
    pairs = [{"tenant": f"t{n}", "user": f"u{n}"} for n in range(300)]
    text = json.dumps({"routing_rules": [{"name": "a", "condition": {"any": pairs}, "route_to": "gpt4o"}]})
    assert error(text).code == "HR206"


def test_the_default_may_be_a_name_a_tier_or_a_refusal() -> None:
    tiers = "tiers: {strong: [claude_sonnet, gpt4o]}\n"
    for default in ("default: strong", "default: {route_to: strong}"):
        policy = policy_of(RULE + tiers + default)
        assert policy.default.route is not None
        assert policy.default.route.chain == ("claude_sonnet", "gpt4o")
    refusing = policy_of(RULE + "default: {refuse: not here}").default
    assert (refusing.refuse, refusing.route, refusing.condition, refusing.region) == (
        "not here",
        None,
        ALWAYS,
        EVERYTHING,
    )


# guarantees and budgets


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("only: {local: true}", {"ollama"}),
        ("only: {local: [true, network]}", {"ollama", "gemma"}),
        ("only: {local: network}", {"gemma"}),
        ("only: {plugin: [ollama, command]}", {"ollama", "gemma", "mine"}),
        ("only: {tier: strong}", {"claude_sonnet", "gpt4o"}),
        ("only: {tier: strong, plugin: openai}", {"gpt4o"}),
        ("only: {name: [ollama, mine]}", {"ollama", "mine"}),
        ("only: {region: [us, eu]}", {"claude_sonnet"}),
        ("only: {plugin: openai}, never: {region: cn}", {"gpt4o"}),
        ("never: {local: false}", {"ollama", "gemma"}),
    ],
)
def test_a_selector_permits_exactly_the_providers_that_fit(selector: str, names: set[str]) -> None:
    text = WHOLE.replace("only: {local: [true, network]}", selector)
    assert policy_of(text).guarantees[0].permitted == names


def test_a_guarantee_covers_when_and_not_unless() -> None:
    guarantee = policy_of(WHOLE).guarantees[1]
    (box,) = guarantee.region[:1]
    assert admits(box["intent"], "intent", frozenset({"legal"}))
    assert "contains_secret" in box
    assert guarantee.spans["only"].line == guarantee.spans["name"].line


def test_budgets_are_in_nano_dollars_with_their_thresholds_in_order() -> None:
    daily, bot = policy_of(WHOLE).budgets
    assert (daily.limit, daily.timezone) == (20_000_000_000, "Europe/Berlin")
    assert [(t.share, t.action) for t in daily.at] == [(0.5, "alert"), (1.0, "only")]
    assert (bot.limit, bot.where) == (50_123_456_789, {"cost_center": ("telegram-bot",)})
    assert [(t.share, t.action, t.permitted) for t in bot.at] == [
        (0.9, "only", frozenset({"claude_haiku", "deepseek"})),
        (1.0, "refuse", frozenset()),
    ]


def test_an_unknown_time_zone_is_an_error() -> None:
    finding = error(RULE + "budgets: [{name: b, limit_usd: 1, per: day, timezone: Europe/Berlun}]")
    assert (finding.code, finding.help) == ("HR012", "did you mean `Europe/Berlin`?")


# signals, files, hash


def test_every_personal_kind_counts_and_so_do_kinds_of_ones_own() -> None:
    pii = policy_of(WHOLE).signals.pii
    assert pii.counts == {*PERSONAL_KINDS, UNSPECIFIED, "employee_id"}
    assert pii.kinds >= {"url", "ip"}


def test_a_taint_without_a_kind_counts_whatever_else_does() -> None:
    pii = policy_of(RULE + "signals: {pii: {counts: [iban]}}").signals.pii
    assert pii.counts == {"iban", UNSPECIFIED}


def test_files_are_read_beside_the_policy_and_their_content_is_part_of_its_hash(tmp_path: Path) -> None:
    text = rule_with("route_to: gpt4o, validate: {schema: reply.json}", "intents: {hours: {examples: hours.txt}}\n")
    (tmp_path / "reply.json").write_text('{"type": "object"}')
    (tmp_path / "hours.txt").write_text("# what people write\nare you open\n\nwhen do you close\n")
    name = str(tmp_path / "policy.yaml")
    policy, findings = build(read_text(text, name))
    assert policy is not None, findings
    assert policy.rules[0].validate is not None
    assert policy.rules[0].validate.schema == {"type": "object"}
    assert policy.intents["hours"].examples == ("are you open", "when do you close")
    assert sorted(os.path.basename(file) for file in policy.sources) == ["hours.txt", "reply.json"]
    (tmp_path / "reply.json").write_text('{"type": "array"}')
    other, _ = build(read_text(text, name))
    assert other is not None
    assert other.hash != policy.hash


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"[1, 2]", b"{a: "])
def test_a_schema_that_cannot_be_read_is_an_error_where_it_is_named(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "reply.json").write_bytes(content)
    text = rule_with("route_to: gpt4o, validate: {schema: reply.json}")
    policy, (finding,) = build(read_text(text, str(tmp_path / "policy.yaml")))
    assert policy is None
    assert (finding.code, blamed(text, finding)) == ("HR012", "reply.json")


def test_the_hash_is_of_what_the_policy_means_not_of_how_it_is_written() -> None:
    plain = policy_of(
        "routing_rules:\n  - {name: a, condition: {task_type: code, tools: 1}, route_to: gpt4o}\n  - {name: b, condition: {}, refuse: closed}\n"
    )
    same = policy_of(
        '# a comment\n"routing_rules":\n- condition: {tools: 1, task_type: "code"}\n  name: a\n  route_to: gpt4o\n'
        '- name: "b"\n  refuse: "closed"\n  condition: {}\ndefault: {route_to: claude_sonnet}\n'
    )
    swapped = policy_of(
        "routing_rules:\n  - {name: b, condition: {}, refuse: closed}\n  - {name: a, condition: {task_type: code, tools: 1}, route_to: gpt4o}\n"
    )
    assert same.hash == plain.hash
    assert swapped.hash != plain.hash
    assert len(plain.hash) == 64
    assert short_hash(plain.hash) == plain.hash[:7]


def test_many_mistakes_are_found_at_once() -> None:
    text = (
        "tiers: {strong: [claude_sonnet, nobody]}\ndefine: {x: {task_typ: a}}\n"
        "routing_rules:\n  - {name: a, condition: {tenant: 5}, route_to: strong}\n"
        "  - {name: a, condition: {}, route_to: nowhere}\n"
        "guarantees: [{name: g, when: {intent: complint}, only: {local: maybe}}]\n"
        "budgets: [{name: b, limit_usd: -1, per: year, at: {half: alert}}]\n"
    )
    assert sorted(f.code for f in errors(text)) == sorted(
        ["HR021", "HR011", "HR010", "HR022", "HR021", "HR012", "HR012", "HR012", "HR012", "HR012"]
    )


_JUNK: list[Any] = [
    None, True, 0, -1, 3.5, 10**30, "", "x", "env:X", "100%", "5s", [], {}, [None], [[]], [{}], {"a": 1}, ["a", "a"], "*", "!=", ">", "..",
]  # fmt: skip


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [place for key, item in steps for place in _places(item, (*path, key))]


_DATA: dict[str, Any] = read_text(WHOLE, "whole.yaml").data


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(_places(_DATA)), st.sampled_from(_JUNK)), min_size=1, max_size=3))
def test_a_policy_with_anything_anywhere_gives_findings_or_a_policy_that_survives_a_dump(changes: list) -> None:
    data = copy.deepcopy(_DATA)
    for path, junk in changes:
        above: Any = data
        try:
            for step in path[:-1]:
                above = above[step]
            above[path[-1]] = junk
        except (LookupError, TypeError):
            continue  # an earlier change took this place away
    text = json.dumps(data)
    policy, findings, source = load_text(text)
    last = source.text.count("\n") + 1
    assert all(1 <= f.primary.span.line <= f.primary.span.end_line <= last for f in findings)
    if policy is None:
        assert any(f.level is Level.ERROR for f in findings)
    else:
        again, more, _ = load_text(dump(policy))
        assert again == policy, more
        assert again.hash == policy.hash


def test_a_ledgers_time_zone_exists() -> None:
    from hroute.schema.load import load_text

    _, findings, _ = load_text("version: 1\nrouting_rules: []\nledger: {timezone: Europe/Berln, sync: full}\n")
    assert [f.code for f in findings if f.level == "error"] == ["HR012"]
    policy, _, _ = load_text("version: 1\nrouting_rules: []\nledger: {timezone: Europe/Berlin, sync: full}\n")
    assert policy is not None
    assert policy.ledger["sync"] == "full"
