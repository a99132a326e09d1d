"""The condition language: every form means what SEMANTICS 1 says, every mistake is found at its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings

from hroute.schema.condition import ALWAYS, All, Condition, Missing, Not, OneOf, Range, Test, holds
from hroute.schema.condition import tests as every_test
from hroute.schema.diagnostic import Diagnostic
from hroute.schema.parse import Vocabulary, definitions_of, parse_condition, parse_definitions, plain
from hroute.schema.source import read_text
from hroute.terms.signal import ABSENT, BUILT_IN_INTENTS, PII_KINDS
from tests.router.policies import conditions as written_conditions


def parsed(text: str, vocabulary: Vocabulary | None = None) -> tuple[Condition, list[Diagnostic], Vocabulary]:
    source = read_text(text, "policy.yaml")
    assert not source.findings
    findings: list[Diagnostic] = []
    vocabulary = vocabulary or Vocabulary(("opening_hours", *BUILT_IN_INTENTS), (*PII_KINDS, "employee_id"))
    definitions = definitions_of(source)
    parse_definitions(source, definitions, vocabulary, findings)
    condition = parse_condition(
        source, ("condition",), definitions=definitions, vocabulary=vocabulary, findings=findings
    )
    return condition, findings, vocabulary


def meaning(written: Any) -> Condition:
    condition, findings, _ = parsed(json.dumps({"condition": written}))
    assert findings == []
    return condition


def mistake(text: str) -> Diagnostic:
    _, findings, _ = parsed(text)
    (finding,) = findings
    return finding


def place(text: str, finding: Diagnostic) -> str:
    """What stands in the file where the finding points."""
    span = finding.primary.span
    assert span.line == span.end_line
    return text.split("\n")[span.line - 1][span.column - 1 : span.end_column - 1]


def test_the_empty_condition_always_holds() -> None:
    assert meaning({}) == ALWAYS


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (100, OneOf((100,))),
        ("100", OneOf((100,))),
        (">100", Range(101, None)),
        ("> 100", Range(101, None)),
        (">=100", Range(100, None)),
        ("<500", Range(None, 499)),
        ("<= 500", Range(None, 500)),
        ("100..500", Range(100, 500)),
        ("100 .. 500", Range(100, 500)),
        ([1, 2, "3"], OneOf((1, 2, 3))),
        ([], OneOf(())),
        (None, Missing()),
    ],
)
def test_numbers_compare_in_every_form(value: Any, want: Any) -> None:
    assert meaning({"batch_size": value}) == Test("batch_size", want)


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (">0.35", Range(350_001, None)),
        (">=0.5", Range(500_000, None)),
        ("<0.6", Range(None, 599_999)),
        ("0.25..0.5", Range(250_000, 500_000)),
        (0.3500001, OneOf((0.35,))),
        (1, OneOf((1.0,))),
    ],
)
def test_fractions_are_read_on_a_grid_of_millionths(value: Any, want: Any) -> None:
    assert meaning({"score": value}) == Test("score", want)


def test_unequal_is_the_same_as_not() -> None:
    for signal, value in (("tenant", "x"), ("batch_size", "7"), ("intent", "legal"), ("task_type", "code")):
        assert meaning({signal: f"!={value}"}) == meaning({"not": {signal: value}})
    assert meaning({"not": {"tenant": "!=x"}}) == meaning({"tenant": "x"})


def test_unequal_holds_where_the_signal_is_absent() -> None:
    assert holds(meaning({"tenant": "!=x"}), lambda _: ABSENT)


def test_sets_hold_a_name_or_meet_a_list_or_are_empty() -> None:
    assert meaning({"intent": "legal"}) == Test("intent", OneOf(("legal",)))
    assert meaning({"pii": ["iban", "employee_id"]}) == Test("pii", OneOf(("iban", "employee_id")))
    assert meaning({"pii": None}) == Test("pii", Missing())


def test_a_glob_on_an_enum_is_its_values() -> None:
    assert meaning({"task_type": "c*"}) == Test("task_type", OneOf(("code", "classification", "chat")))
    assert meaning({"task_type": "!=*tion"}) == meaning(
        {"not": {"task_type": ["classification", "extraction", "summarization", "translation", "generation"]}}
    )


def test_a_glob_on_a_text_is_one_text_test() -> None:
    condition, findings, vocabulary = parsed('condition: {tenant: "acme-*"}')
    assert findings == []
    assert isinstance(condition, Test)
    assert condition.signal == "tenant"
    assert vocabulary.texts[condition.feature].glob == "acme-*"


def test_a_compound_text_test_is_one_boolean() -> None:
    condition, findings, vocabulary = parsed("condition: {message: {any_of: [a, b], matches: ['x+'], unless: c}}")
    assert findings == []
    assert isinstance(condition, Test)
    key = condition.feature
    assert key.startswith("message~")
    assert len(key) == len("message~") + 8
    assert set(key.partition("~")[2]) <= set("0123456789abcdef")
    assert condition == Test(key, OneOf((True,)))
    assert vocabulary.texts[key].any_of == ("a", "b")
    assert vocabulary.texts[key].unless == ("c",)


def test_equal_text_tests_have_one_key_whatever_their_order() -> None:
    text = "condition: {any: [{message: {any_of: [a, b]}}, {message: {any_of: [b, a, b]}}, {user: {any_of: [a, b]}}]}"
    condition, _, vocabulary = parsed(text)
    first, second, third = every_test(condition)
    assert first.feature == second.feature
    assert first.feature != third.feature
    assert len(vocabulary.texts) == 2


def test_operators_stand_beside_other_keys() -> None:
    condition = meaning(
        {"task_type": "code", "any": [{"tools": 0}, {"stream": True}], "not": {"has_code": False, "tools": 1}}
    )
    assert isinstance(condition, All)
    assert len(condition.items) == 3
    assert isinstance(condition.items[2], Not)


def test_definitions_are_inlined_and_may_use_each_other() -> None:
    text = "define:\n  a: {is: b}\n  b: {tenant: x}\ncondition: {is: a, task_type: code}"
    condition, findings, _ = parsed(text)
    assert findings == []
    assert condition == All((Test("tenant", OneOf(("x",))), Test("task_type", OneOf(("code",)))))


def test_a_test_keeps_what_its_author_wrote_and_where() -> None:
    text = 'condition:\n  batch_size: ">100"\n  intent: [legal, faq]\n  task_type: null\n  stream: true'
    condition, _, _ = parsed(text)
    found = list(every_test(condition))
    assert [test.source for test in found] == [">100", "legal, faq", "null", "true"]
    assert [(test.span.line, test.span.column) for test in found if test.span] == [(2, 15), (3, 11), (4, 14), (5, 11)]


@pytest.mark.parametrize(
    ("written", "code", "blamed", "help"),
    [
        ("{task_type: chta}", "HR012", "chta", "did you mean `chat`?"),
        ("{task_type: [code, chta]}", "HR012", "chta", "did you mean `chat`?"),
        ("{task_typ: code}", "HR011", "task_typ", "did you mean `task_type`?"),
        ("{tenant: 5}", "HR010", "5", 'quote it: "5"'),
        ("{tenant: [a, 5]}", "HR010", "5", 'quote it: "5"'),
        ("{task_type: true}", "HR010", "true", 'quote it: "true"'),
        ("{contains_pii: 'true'}", "HR010", "'true'", "write true or false, without quotes"),
        ("{contains_pii: 1}", "HR010", "1", "write true or false, without quotes"),
        ("{batch_size: true}", "HR010", "true", ""),
        ("{batch_size: -5}", "HR012", "-5", ""),
        ("{batch_size: '>-5'}", "HR012", "'>-5'", ""),
        ("{batch_size: 1.5}", "HR012", "1.5", ""),
        ("{batch_size: '500..100'}", "HR012", "'500..100'", 'the smaller end comes first: "100..500"'),
        ("{batch_size: many}", "HR012", "many", 'comparisons read ">100", "<=0.5", "100..500", "!=3"'),
        ("{batch_size: ['>5']}", "HR012", "'>5'", "use `any: [...]`"),
        ("{score: 35}", "HR012", "35", "35 % is 0.35"),
        ("{score: '>1.5'}", "HR012", "'>1.5'", "1.5 % is 0.015"),
        ("{arrival_hour: 24}", "HR012", "24", ""),
        ("{tenant: '<5'}", "HR012", "'<5'", "write the text itself, a list, or a glob"),
        ("{tenant: 'a..b'}", "HR012", "'a..b'", "write the text itself, a list, or a glob"),
        ("{tenant: ['a*']}", "HR012", "'a*'", "use `any: [...]` or `not`"),
        ("{intent: opening_hour}", "HR012", "opening_hour", "did you mean `opening_hours`?"),
        ("{pii: ibn}", "HR012", "ibn", "did you mean `iban`?"),
        ("{pii: [iban, null]}", "HR010", "null", "use `any: [...]` to join tests"),
        ("{is: sensitiv}", "HR021", "sensitiv", "did you mean `sensitive`?"),
        ("{session: {any_of: [a]}}", "HR010", "{any_of: [a]}", None),
        ("{message: {any: [a]}}", "HR011", "any", "did you mean `any_of`?"),
        ("{message: {}}", "HR012", "{}", None),
        ("{message: {any_of: [a, 5]}}", "HR010", "5", 'quote it: "5"'),
        ("{message: hello}", "HR010", "hello", None),
        ("{all: {tools: 1}}", "HR010", "{tools: 1}", None),
        ("{any: [5]}", "HR010", "5", None),
        ("{not: null}", "HR010", "null", None),
        ("[]", "HR010", "[]", None),
    ],
)
def test_a_mistake_is_one_finding_at_its_place(written: str, code: str, blamed: str, help: str | None) -> None:
    text = f"define: {{sensitive: {{tenant: x}}}}\ncondition: {written}"
    finding = mistake(text)
    assert (finding.code, place(text, finding)) == (code, blamed)
    if help is not None:
        assert finding.help == help


@pytest.mark.parametrize(("quoted", "letter"), [("'(a|b'", "("), ('"x[a"', "["), ("'a**'", "*")])
def test_a_bad_pattern_is_pointed_at_inside_the_pattern(quoted: str, letter: str) -> None:
    text = f"condition: {{message: {{matches: [ok, {quoted}]}}}}"
    finding = mistake(text)
    assert finding.code == "HR012"
    assert place(text, finding) in (letter, quoted)
    assert "column" in finding.message or place(text, finding) == quoted


def test_every_mistake_of_a_condition_is_found_at_once() -> None:
    _, findings, _ = parsed("condition: {task_typ: a, tenant: 5, any: [{score: 2}, {stream: yess}], is: nobody}")
    assert [f.code for f in findings] == ["HR011", "HR010", "HR012", "HR010", "HR021"]


def test_a_definition_made_of_itself_is_said_with_its_circle() -> None:
    _, findings, _ = parsed("define:\n  a: {is: b}\n  b: {not: {is: a}}\ncondition: {}")
    assert [(f.code, f.message) for f in findings] == [("HR021", "definition `a` is made of itself: a -> b -> a")]


def test_definitions_that_multiply_without_end_are_refused_in_time() -> None:
    lines = [f"  d{n}: {{any: [{{is: d{n + 1}}}, {{is: d{n + 1}}}]}}" for n in range(40)]
    _, findings, _ = parsed("define:\n" + "\n".join(lines) + "\n  d40: {tenant: x}\ncondition: {is: d0}")
    assert {f.code for f in findings} == {"HR206"}


def test_a_long_chain_of_definitions_is_refused_and_not_a_crash() -> None:
    lines = [f"  d{n}: {{is: d{n + 1}}}" for n in range(3000)]
    _, findings, _ = parsed("define:\n" + "\n".join(lines) + "\n  d3000: {tenant: x}\ncondition: {is: d0}")
    assert {f.code for f in findings} == {"HR206"}


@settings(max_examples=300, deadline=None)
@given(written_conditions)
def test_a_condition_written_back_is_read_as_the_same_condition(written: dict[str, Any]) -> None:
    condition, findings, vocabulary = parsed(json.dumps({"condition": written}))
    assert findings == []
    again, findings, second = parsed(json.dumps({"condition": plain(condition, vocabulary.texts)}))
    assert findings == []
    assert again == condition
    assert second.texts == vocabulary.texts
