"""Shapes: one finding for each mistake, at its place, with what was probably meant; the schema that editors use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from hroute.schema import validate, vocabulary
from hroute.schema.diagnostic import Diagnostic
from hroute.schema.source import read, read_text
from hroute.schema.validate import json_errors, schema_errors, shape, shape_of_cases
from hroute.terms.signal import SIGNALS, TEXT_TESTABLE, Kind

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
RULE = "routing_rules: [{name: a, condition: {}, route_to: x}]\n"
POLICIES = [ROOT / "routing-config.yaml", *sorted(ROOT.glob("examples/*/routing-config.yaml"))]
TESTS = [ROOT / "routing-config.test.yaml", *sorted(ROOT.glob("examples/*/routing-config.test.yaml"))]


def found(text: str) -> list[Diagnostic]:
    source = read_text(text, "p.yaml")
    assert source.findings == ()
    return shape(source)


def short(text: str) -> list[tuple[str, str]]:
    return [(f.code, f"{f.primary.span.line}:{f.primary.span.column}") for f in found(text)]


def only(text: str) -> Diagnostic:
    (one,) = found(text)
    return one


def test_the_article_s_policy_has_the_right_shape() -> None:
    path = SHARED / "cases" / "article-policy.yaml"
    if not path.exists():
        pytest.skip("the article's policy lies outside of the repository and is not there")
    assert shape(read(str(path))) == []


@pytest.mark.parametrize("path", POLICIES, ids=str)
def test_every_shipped_policy_has_the_right_shape_for_us_and_for_an_editor(path: Path) -> None:
    source = read(str(path))
    assert (source.findings, shape(source)) == ((), [])
    assert list(Draft202012Validator(vocabulary.policy_schema()).iter_errors(source.data)) == []


@pytest.mark.parametrize("path", TESTS, ids=str)
def test_every_shipped_test_file_has_the_right_shape_for_us_and_for_an_editor(path: Path) -> None:
    source = read(str(path))
    assert (source.findings, shape_of_cases(source)) == ((), [])
    assert list(Draft202012Validator(vocabulary.case_schema()).iter_errors(source.data)) == []


def test_a_misspelt_key_is_named_with_the_one_that_was_meant() -> None:
    one = only("routing_rules:\n  - name: code\n    condition: {}\n    route_to: x\n    falback: z\n")
    assert (one.code, one.message, one.help) == (
        "HR011",
        "`falback` is not a key of rule `code`",
        "did you mean `fallback`?",
    )
    assert (str(one.primary.span), one.primary.span.end_column) == ("p.yaml:5:5", 12)


@pytest.mark.parametrize(
    ("text", "key", "meant"),
    [
        ("rules: []\ndefault: x", "rules", "routing_rules"),
        (RULE + "providers: {x: {plugin: openai, model: m, apikey: env:A}}", "apikey", "api_key"),
        (RULE + "providers: {x: {plugin: openai, model: m, url: 'http://x'}}", "url", "base_url"),
        ("routing_rules: [{name: a, condition: {}, route_to: x, backup: z}]", "backup", "fallback"),
        (RULE + "budgets: [{name: a, limit_usd: 1, per: day, tz: UTC}]", "tz", "timezone"),
        (RULE + "budgets: [{name: a, limit_usd: 1, per: day, at: {50%: {onyl: {local: true}}}}]", "onyl", "only"),
    ],
)
def test_what_other_programs_call_it_is_understood(text: str, key: str, meant: str) -> None:
    one = next(f for f in found(text) if f.code == "HR011")
    assert f"`{key}` is not a key" in one.message
    assert one.help == f"did you mean `{meant}`?"


def test_a_signal_or_a_model_parameter_in_the_wrong_place_is_sent_to_the_right_one() -> None:
    text = "routing_rules: [{name: a, condition: {}, route_to: x, task_type: code, temperature: 0}]"
    assert [f.help for f in found(text)] == [
        "`task_type` is tested by a condition: condition: {task_type: ...}",
        "parameters of the model stand in `params`: params: {temperature: ...}",
    ]


def test_a_blank_that_is_missing_after_a_colon_is_noticed() -> None:
    assert (
        only(RULE + "providers: {x: {plugin:openai, model: m}}").help
        == "a blank is missing after the `:` in `plugin:openai`"
    )


@pytest.mark.parametrize(
    ("line", "code", "column", "words", "help"),
    [
        ("mode: enforced", "HR012", 7, "`enforced` is not an allowed value of `mode`", "did you mean `enforce`?"),
        ("log_text: everything", "HR012", 11, "`everything` is not", "one of none, redacted, full"),
        ("deadline: 60", "HR010", 11, "`deadline` takes a duration such as 200ms, 8s", "60s"),
        ("deadline: soon", "HR012", 11, "`deadline` takes a duration", ""),
        ("baseline: [x]", "HR010", 11, "takes the name of a provider, not a list", ""),
        ("baseline: 5", "HR010", 11, "not the number 5", 'quote it: "5"'),
        ("baseline:", "HR010", 1, "nothing stands here", ""),
        ("tiers: {t: x}", "HR010", 12, "`t` takes a list of providers", "[x]"),
        ("tiers: {t: []}", "HR012", 12, "`t` is empty", "delete it"),
        ("tiers: {t: [a, 1]}", "HR010", 16, "`t` is a list, and item 2 takes the name of a provider, not the number 1", '"1"'),
        ("define: {a: b}", "HR010", 13, "a mapping of signals", ""),
        ("scoring: {low: 3}", "HR012", 16, "a number from 0 to 1", ""),
        ("ledger: {pth: x}", "HR011", 10, "`pth` is not a key of `ledger`", "did you mean `path`?"),
        ("ledger: 5", "HR010", 9, "a path, env:NAME, or a mapping", ""),
        ("on_all_open: wait", "HR012", 14, "fail, probe_best, or wait <= DURATION", ""),
        ("gateway: {port: 99999}", "HR012", 17, "1 to 65535", ""),
        ("default: {fallback: x}", "HR013", 10, "`route_to` or `refuse` or `split`", "default: {route_to: claude_sonnet}"),
        ("providers: {x: 5}", "HR010", 16, "a mapping of provider settings", ""),
        ("providers: {x: {context_window: '300'}}", "HR012", 33, "a whole number of tokens", "without quotes: 300"),
        ("providers: {x: {local: maybe}}", "HR012", 24, "not an allowed value of `local`", "true, false, network"),
        ("providers: {x: {price: {input: 1}}}", "HR013", 24, "`price` of provider `x` has no `output`", "USD per million"),
        ("providers: {x: {labels: {tier: a}}}", "HR012", 26, "a name other than", ""),
        ("providers: {x: {labels: {a: 1}}}", "HR010", 29, "`a` takes a text, not the number 1", 'quote it: "1"'),
        ("guarantees: [{name: g}]", "HR013", 14, "guarantee `g` has no `only` or `never`", "only: {local: true}"),
        ("guarantees: [{name: g, only: 5}]", "HR010", 30, "provider properties", ""),
        ("budgets: [{name: b, limit_usd: 20, per: dy}]", "HR012", 41, "`dy`", "did you mean `day`?"),
        ("budgets: [{name: b, limit_usd: 20, per: day, at: {50: alert}}]", "HR012", 51, "`50` is not a share", ""),
        ("budgets: [{name: b, limit_usd: 20, per: day, at: {50%: alrt}}]", "HR012", 56, "`alrt`", "did you mean `alert`?"),
        ("budgets: [{name: b, limit_usd: -1, per: day}]", "HR012", 32, "an amount in US dollars", ""),
        ("intents: {a: {any_of: []}}", "HR012", 23, "`any_of` is empty", ""),
        ("signals: {contains_pii: {trust_caller: 1}}", "HR010", 40, "true or false", ""),
        ("breaker: {latency: {p95: 8}}", "HR010", 26, "a duration", "8s"),
    ],
)  # fmt: skip
def test_one_mistake_is_one_finding_at_its_place(line: str, code: str, column: int, words: str, help: str) -> None:
    one = only(RULE + line)
    assert (one.code, str(one.primary.span)) == (code, f"p.yaml:2:{column}")
    assert words in one.message
    assert help in one.help


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("5", ["HR010"]),
        ("{}", ["HR013"]),
        ("{name: a, condition: {}}", ["HR013"]),
        ("{name: a, condition: {}, route_to: x, refuse: 'no'}", ["HR012"]),
        ("{name: '', condition: {}, route_to: x}", ["HR012"]),
        ("{name: a, condition: 5, route_to: x}", ["HR010"]),
        ("{name: a, condition: {}, route_to: 5}", ["HR010"]),
        ("{name: a, condition: {}, route_to: x, fallback: 5}", ["HR010"]),
        ("{name: a, condition: {}, route_to: x, fallback: [b, {}]}", ["HR010"]),
        ("{name: a, condition: {}, route_to: x, fallback: null}", []),
        ("{name: a, condition: {}, route_to: x, fallback: [b, c], rollout: 10%, holdout: 2.5 %, hold: session}", []),
        ("{name: a, condition: {}, route_to: x, rollout: 0.1}", ["HR010"]),
        ("{name: a, condition: {}, route_to: x, rollout: 101%}", ["HR012"]),
        ("{name: a, condition: {}, split: {x: 90, z: 10%}}", []),
        ("{name: a, condition: {}, split: {x: ninety}}", ["HR012"]),
        ("{name: a, condition: {}, route_to: x, validate: {attempts: 0}}", ["HR012"]),
        ("{name: a, condition: {}, route_to: x, validate: {format: yaml, agree: {}}}", ["HR012", "HR013"]),
        ("{name: a, condition: {}, route_to: x, shadow: {sample: 5%}}", ["HR013"]),
        ("{name: a, condition: {anything: [goes, {here: x}]}, route_to: x}", []),
        ("{name: a, condition: {}, route_to: x, params: {anything: {goes: 1}}, enabled: false}", []),
    ],
)  # fmt: skip
def test_a_rule_has_the_right_shape_or_says_what_is_wrong(rule: str, expected: list[str]) -> None:
    assert [f.code for f in found(f"routing_rules: [{rule}]")] == expected


def test_what_is_missing_in_one_entry_is_said_once() -> None:
    one = only("routing_rules: [{}]")
    assert one.message == "rule 1 has no `name` and no `condition` and no `route_to` or `refuse` or `split`"


def test_mistakes_of_equal_rules_are_each_reported_and_rules_after_a_good_one_too() -> None:
    bad = "{name: a, condition: {}, route_to: x, falback: z}"
    assert short(f"routing_rules:\n- {bad}\n- {bad}\n- {{name: b, condition: {{}}, route_to: x}}\n- {bad}\n") == [
        ("HR011", "2:41"), ("HR011", "3:41"), ("HR011", "5:41"),
    ]  # fmt: skip


@pytest.mark.parametrize("written", ["2", "0", "'1'", "1.5", "true", "null", "[1]"])
def test_another_version_of_the_language_is_refused_as_such(written: str) -> None:
    one = only(f"version: {written}\n{RULE}")
    assert (one.code, str(one.primary.span)) == ("HR014", "p.yaml:1:10")


@pytest.mark.parametrize(
    "text", [RULE, "version: 1\n" + RULE, "default: x", "default: {route_to: x}", "routing_rules: []"]
)
def test_a_policy_may_be_small(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    "section", ["providers", "tiers", "define", "guarantees", "budgets", "intents", "scoring", "signals", "default"]
)
def test_an_empty_section_is_no_mistake(section: str) -> None:
    assert found(f"{RULE}{section}:\n") == []


@pytest.mark.parametrize("text", ["5", "- a", "just text"])
def test_what_is_no_mapping_is_no_policy(text: str) -> None:
    assert only(text).code == "HR010"
    assert [f.code for f in shape_of_cases(read_text(text, "p"))] == ["HR010"]


def test_a_mapping_without_rules_and_default_is_no_policy() -> None:
    assert short("{}") == [("HR013", "1:1")]
    assert short("version: 1") == [("HR013", "1:1")]


def test_nothing_is_said_twice_about_a_place_of_which_the_reader_complains() -> None:
    source = read_text(RULE + "signals: {contains_pii: {trust_caller: yes}}", "p")
    assert [f.code for f in source.findings] == ["HR003"]
    assert shape(source) == []


def test_a_file_that_cannot_be_read_has_no_shape() -> None:
    assert shape(read_text("a: [", "p")) == []
    assert shape_of_cases(read_text("a: [", "p")) == []


def test_a_pasted_key_is_never_in_a_message() -> None:
    text = (
        RULE
        + "log_text: sk-ant-api03-abcdefgh12345678\nmode: [sk-ant-api03-abcdefgh12345678]\ndeadline: ghp_abcdefgh12345678abcdefgh12345678"
    )
    for finding in found(text):
        assert "abcdefgh" not in finding.message + finding.help


def test_a_label_mistaken_for_another_key_points_at_the_key() -> None:
    source = read_text(RULE + "providers:\n  x:\n    modle: m\n    plugin: openai\n", "p.yaml")
    (one,) = shape(source)
    assert (one.primary.span.line, one.primary.span.column, one.primary.span.end_column) == (4, 5, 10)


def written(name: str, generated: dict[str, Any]) -> dict[str, Any]:
    """The definitions of that schema; HROUTE_UPDATE_GOLDEN=1 first writes the generated ones into the file."""
    path = ROOT / "hroute/schema" / name
    schema = json.loads(path.read_text(encoding="utf-8"))
    if os.environ.get("HROUTE_UPDATE_GOLDEN"):
        for key, value in generated.items():
            schema["$defs"][key] = {**schema["$defs"].get(key, {}), **value}
        path.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    definitions: dict[str, Any] = schema["$defs"]
    return definitions


def test_the_schema_s_signals_are_those_of_the_table() -> None:
    generated = vocabulary.condition_definitions()
    definitions = written("policy.schema.json", generated)
    assert {name: definitions.get(name) for name in generated} == generated
    properties = definitions["condition"]["properties"]
    assert [name for name in properties if name not in ("all", "any", "not", "is")] == list(SIGNALS)
    for name, signal in SIGNALS.items():
        assert definitions[f"signal_{name}"]["description"].startswith(signal.doc)
        enums = [form["enum"] for form in definitions[f"signal_{name}"]["anyOf"] if "enum" in form]
        if signal.kind is Kind.ENUM:
            assert enums == [list(signal.values)]


def test_the_schema_of_tests_knows_every_signal() -> None:
    signals = vocabulary.given_properties()
    parts = {part: vocabulary.case_schema()["$defs"][part] for part in ("given", "expect")}
    update = {part: {"properties": {**whole["properties"], **signals}} for part, whole in parts.items()}
    definitions = written("case.schema.json", update)
    for part in parts:
        assert {name: definitions[part]["properties"].get(name) for name in signals} == signals


def schemas(schema: Any) -> list[dict[str, Any]]:
    below = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    mine = [schema] if isinstance(schema, dict) else []
    return mine + [inner for item in below for inner in schemas(item)]


@pytest.mark.parametrize("schema", [vocabulary.policy_schema(), vocabulary.case_schema()], ids=["policy", "case"])
def test_every_key_is_explained_and_every_object_is_closed_or_open_on_purpose(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    definitions = schema["$defs"]

    def description(entry: dict[str, Any]) -> str:
        target = definitions.get(entry.get("$ref", "").removeprefix("#/$defs/"), {})
        return str(entry.get("description") or target.get("description") or "")

    for inner in schemas(schema):
        for key, entry in inner.get("properties", {}).items() if inner.get("type") != "property" else ():
            if isinstance(entry, dict) and isinstance(inner.get("additionalProperties", True), (bool, dict)):
                assert description(entry), key
                assert description(entry)[-1] in ".`)", key
        if "properties" in inner and "type" in inner:
            assert "additionalProperties" in inner


def test_the_editor_s_schema_admits_conditions_and_refuses_unknown_signals() -> None:
    validator = Draft202012Validator(vocabulary.policy_schema())

    def fits(condition: dict[str, Any]) -> bool:
        return validator.is_valid({"routing_rules": [{"name": "a", "condition": condition, "route_to": "x"}]})

    good: list[dict[str, Any]] = [
        {}, {"batch_size": ">100"}, {"batch_size": "100..500"}, {"batch_size": [1, 2]}, {"batch_size": None}, {"score": 0.5}, {"score": "!=0.5"},
        {"task_type": "code"}, {"task_type": ["code", "chat"]}, {"task_type": "!=code"}, {"task_type": "c*"}, {"contains_pii": True},
        {"intent": "my_own"}, {"intent": ["faq", "my_own"]}, {"pii": "!=iban"}, {"tenant": "eu-*"}, {"is": "sensitive"},
        {"message": {"any_of": ["a"], "unless": "b"}}, {"requested_model": {"matches": "x"}},
        {"all": [{"any": [{"not": {"stream": True}}]}]}, {"arrival_hour": 23},
    ]  # fmt: skip
    bad: list[dict[str, Any]] = [
        {"batch_sise": 1}, {"batch_size": True}, {"batch_size": ">many"}, {"task_type": "chta"}, {"contains_pii": "yes"}, {"score": 2},
        {"message": "hello"}, {"all": {}}, {"arrival_hour": 24}, {"session": {"any_of": ["a"]}}, {"message": {"anyof": ["a"]}},
    ]  # fmt: skip
    assert [condition for condition in good if not fits(condition)] == []
    assert [condition for condition in bad if fits(condition)] == []
    assert {name for name in TEXT_TESTABLE if fits({name: {"any_of": ["a"]}})} == set(TEXT_TESTABLE)


def test_the_schema_beside_a_policy_offers_its_own_names_and_forbids_no_other() -> None:
    schema = vocabulary.editor_schema(["ollama", "mine"], ["strong"], ["sensitive"], ["opening_hours", "faq"])
    definitions = schema["$defs"]
    assert definitions["target_name"]["anyOf"][0] == {"enum": ["strong", "ollama", "mine"]}
    assert definitions["definition_name"]["anyOf"][0] == {"enum": ["sensitive"]}
    assert definitions["intent_name"]["anyOf"][0]["enum"][:3] == ["opening_hours", "faq", "complaint"]
    policy = {
        "routing_rules": [
            {"name": "a", "condition": {"intent": "new"}, "route_to": "new", "fallback": ["mine", "other"]}
        ]
    }
    assert Draft202012Validator(schema).is_valid(policy)
    assert "anyOf" not in vocabulary.policy_schema()["$defs"]["target_name"]
    assert "anyOf" not in vocabulary.editor_schema([], [], [], [])["$defs"]["tier_name"]


CASES = """\
cases:
  - name: with everything
    given: {prompt: hello, system: be kind, files: {a.txt: text}, down: [ollama], session: s1, batch_size: 5, intent: [faq, legal], score: 0.5}
    expect: {rule: faq, route_to: ollama, fallback: [], tries: [], chain: [ollama], refused: false, contains_pii: false, task_type: chat}
  - given: {messages: [{role: user, content: hi}], language: null}
    each:
      - {given: {stream: true}, expect: {route_to: null}}
      - {expect: {fallback: null}}
"""


def test_a_test_file_with_everything_in_it_has_the_right_shape() -> None:
    source = read_text(CASES, "p.test.yaml")
    assert (source.findings, shape_of_cases(source)) == ((), [])


@pytest.mark.parametrize(
    ("case", "code", "words", "help"),
    [
        ("{given: {task_tpe: code}, expect: {rule: a}}", "HR011", "`task_tpe` is not a key of `given` of case 1", "did you mean `task_type`?"),
        ("{given: {task_type: cde}, expect: {rule: a}}", "HR012", "signal `task_type` takes one of code, ", ""),
        ("{given: {batch_size: many}, expect: {rule: a}}", "HR012", "signal `batch_size` takes a whole number, 0 or more, not the text `many`", ""),
        ("{given: {contains_pii: 5}, expect: {rule: a}}", "HR010", "signal `contains_pii` takes true or false, not the number 5", ""),
        ("{given: {}, expect: {rle: a}}", "HR011", "`rle`", "did you mean `rule`?"),
        ("{given: {}, expect: {}}", "HR012", "`expect` is empty", ""),
        ("{given: {}}", "HR013", "case 1 expects nothing", ""),
        ("{name: x, each: [{given: {}}]}", "HR013", "case `x` expects nothing of variation 1", ""),
        ("{input: {}, expect: {rule: a}}", "HR011", "`input`", "did you mean `given`?"),
        ("{given: {message: hi}, expect: {rule: a}}", "HR011", "`message`", "did you mean"),
        ("5", "HR010", "item 1 takes a case", ""),
    ],
)  # fmt: skip
def test_one_mistake_in_a_case_is_one_finding(case: str, code: str, words: str, help: str) -> None:
    source = read_text(f"cases: [{case}]", "p.test.yaml")
    assert source.findings == ()
    (one,) = shape_of_cases(source)
    assert one.code == code
    assert words in one.message
    assert help in one.help


def test_a_reply_is_held_to_its_schema_without_being_quoted() -> None:
    schema = {
        "type": "object", "required": ["label"], "additionalProperties": False,
        "properties": {"label": {"enum": ["a", "b"]}, "items": {"items": {"type": "integer", "minimum": 1}}, "id": {"pattern": "^x+$"}},
    }  # fmt: skip
    assert json_errors({"label": "a", "items": [1], "id": "xx"}, schema) == []
    told = json_errors({"items": ["secret-text", 0], "id": "secret-text", "secret-key": 1}, schema)
    assert sorted(told) == [
        "$.id: must match the pattern ^x+$",
        "$.items[0]: must be of type integer",
        "$.items[1]: must be at least 1",
        "$: has a key that is not allowed",
        "$: lacks `label`",
    ]
    assert "secret" not in "".join(told)


def test_the_patterns_of_a_reply_s_schema_take_linear_time() -> None:
    schema = {"patternProperties": {"^(a+)+$": {"pattern": "^(b+)+$"}}, "additionalProperties": False}
    assert json_errors({"a" * 40: "b" * 5000 + "!"}, schema) == ["$." + "a" * 40 + ": must match the pattern ^(b+)+$"]
    assert json_errors({"a" * 40 + "!": 1}, schema) == ["$: has a key that is not allowed"]


def test_a_schema_that_refers_elsewhere_fetches_nothing() -> None:
    assert json_errors(1, {"$ref": "http://127.0.0.1:9/schema.json"}) == [
        "the schema refers to `http://127.0.0.1:9/schema.json`, which is not in it"
    ]
    assert json_errors("x", {"$defs": {"n": {"type": "integer"}}, "$ref": "#/$defs/n"}) == [
        "$: must be of type integer"
    ]


def test_a_schema_without_end_ends() -> None:
    assert json_errors([[]], {"$ref": "#"}) == ["the schema or the reply is nested too deeply"]


@pytest.mark.parametrize(
    ("schema", "words"),
    [({"type": "txt"}, "at #/type"), ({"pattern": "(?=a)"}, "RE2"), ({"properties": {"a": {"patternProperties": {"(": {}}}}}, "RE2"), ([], "is an object")],
)  # fmt: skip
def test_a_schema_that_cannot_be_used_says_why(schema: Any, words: str) -> None:
    assert any(words in error for error in schema_errors(schema))
    assert schema_errors({"type": "object"}) == []


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "https://example.com/person.json"},
        {"$ref": "#/$defs/a"},
        {"$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#/$defs/b"}}}},
        {"$ref": "#/x/y", "x": {"y": {"$ref": "#/z"}}},
        {"$id": "http://e/x", "properties": {"q": {"$ref": "a"}}},
    ],
)
def test_a_reference_that_leads_nowhere_is_found_before_any_reply_is(schema: Any) -> None:
    assert any("which is not in it" in error for error in schema_errors(schema))


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$defs": {"a": {"type": "string"}}, "$ref": "#/$defs/a"},
        {"$id": "http://e/x", "$defs": {"a": {"$id": "a", "type": "integer"}}, "properties": {"q": {"$ref": "a"}}},
        {"items": {"$ref": "#foo"}, "$defs": {"x": {"$anchor": "foo"}}},
        {"properties": {"$ref": {"type": "string"}}},
        {"const": {"$ref": "nowhere"}},
    ],
)
def test_a_reference_that_leads_somewhere_is_none(schema: Any) -> None:
    assert schema_errors(schema) == []


def test_an_error_tells_at_most_twenty_things() -> None:
    assert len(json_errors([0] * 500, {"items": {"type": "string"}})) == 20


def test_five_thousand_rules_are_looked_at_once_a_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Any] = []
    validator = validate._validator("rule")

    class Spy:
        def iter_errors(self, rule: Any) -> Any:
            looked.append(rule)
            return validator.iter_errors(rule)

    monkeypatch.setattr(validate, "_validator", lambda of: Spy() if of == "rule" else validator)
    rules = "".join(
        f"  - {{name: r{i}, condition: {{batch_size: '>{i}'}}, route_to: p{i}, fallback: [x, q{i}], rollout: {i % 7}%}}\n"
        for i in range(5000)
    )
    validate.shape(read_text("routing_rules:\n" + rules, "p"))
    assert len(looked) == 7


def test_a_file_that_is_wrong_everywhere_names_a_thousand_places() -> None:
    rules = "- {name: a, condition: {}, route_to: x, falback: z}\n" * 1200
    assert len(found("routing_rules:\n" + rules)) == 1000


def test_a_list_as_a_name_is_no_shape_that_was_seen_before() -> None:
    good, bad = "{name: a, condition: {}, route_to: x}", "{name: a, condition: {}, route_to: [x]}"
    other = "{name: a, condition: {}, route_to: x, fallback: [b, '']}"
    assert short(f"routing_rules:\n- {good}\n- {bad}\n- {other}\n- {other}\n") == [
        ("HR010", "3:38"),
        ("HR012", "4:55"),
        ("HR012", "5:55"),
    ]


def test_the_weights_are_those_of_the_score() -> None:
    from hroute.router.signals.score import WEIGHTS

    assert set(vocabulary.policy_schema()["properties"]["scoring"]["properties"]["weights"]["properties"]) == set(
        WEIGHTS
    )


def test_reading_imports_no_schema_library_until_a_shape_is_looked_at() -> None:
    program = "import sys, hroute.schema.validate, hroute.schema.source; print(sorted({'jsonschema', 'yaml', 're2', 'difflib'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stdout == "[]\n"


def test_the_schemas_are_plain_json() -> None:
    for name in ("policy.schema.json", "case.schema.json"):
        text = (ROOT / "hroute/schema" / name).read_text(encoding="utf-8")
        assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("signals: {contains_pii: {trust_caller: yes}}", ["HR003"]),
        ("routing_rules: [{name: a, condition: {contains_pii: yes}, route_to: ollama}]", ["HR003"]),
        ("tiers: {t: [ollama, 1]}", ["HR010"]),
        ("default: {fallback: ollama}", ["HR013"]),
        ("default: {route_to: ollama, refuse: closed}", ["HR012"]),
        ("providers: {ollama: {price: {input: 1}}}", ["HR013"]),
        ("providers: {ollama: {context_window: 1_000}}", ["HR003"]),
        ("baseline: 5", ["HR010"]),
        ("", ["HR013"]),
    ],
)
def test_reader_shape_and_builder_blame_a_place_once(text: str, codes: list[str]) -> None:
    from hroute.schema.load import load_text

    whole = text if "default" in text or "rules" in text or not text else f"{text}\ndefault: claude_sonnet"
    assert [f.code for f in load_text(whole)[1]] == codes
