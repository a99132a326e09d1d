"""Signals are read when somebody asks, once; the caller's word wins, except that nobody can lower a taint."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hroute.router.signals import extract as extracting
from hroute.router.signals.extract import BlockCache, Detectors, Extraction
from hroute.router.signals.scanner import Place
from hroute.schema.policy import Policy
from hroute.terms.message import Message, Request, Text, Tool, ToolResult, ToolUse, Unread, prompt
from hroute.terms.signal import ABSENT, SIGNALS, Kind, Value
from tests.router.signals.conftest import POLICY, policy_of

Extract = Callable[..., Extraction]
SSN = "My SSN is 078-05-1120"
TRUSTING = policy_of(POLICY + "signals: {contains_pii: {trust_caller: true}}\n")
BLIND = policy_of(POLICY + "signals: {contains_pii: {unread: false}}\n")
NARROW = policy_of(POLICY + "signals: {pii: {counts: [payment_card], allow: ['@example.com']}}\n")


class Scanner:
    """Says the same of every text, or fails."""

    version = "fake/1"

    def __init__(self, *kinds: str, fails: bool = False) -> None:
        self.kinds = kinds
        self.fails = fails
        self.read: list[str] = []

    def scan(self, text: str) -> tuple[Place, ...]:
        self.read.append(text)
        if self.fails:
            raise RuntimeError(f"cannot read {text}")
        return tuple(Place(kind, 0, 1) for kind in self.kinds)


# laziness


def test_nothing_is_read_before_somebody_asks(policy: Policy) -> None:
    scanner = Scanner("email")
    extraction = Extraction(policy, prompt("hello"), {}, detectors=Detectors(scanner, scanner))
    assert extraction.known() == {}
    assert extraction.ask("turns") == 1
    assert scanner.read == []


def test_each_text_is_scanned_once_however_often_it_is_asked(policy: Policy) -> None:
    scanner = Scanner("email")
    extraction = Extraction(policy, prompt("hello"), {}, detectors=Detectors(pii=scanner))
    for _ in range(3):
        for name in ("pii", "contains_pii", "pii_in"):
            extraction.ask(name)
    assert scanner.read == ["hello"]


def test_each_extractor_runs_at_most_once(extract: Extract, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: dict[str, int] = {}

    def counted(name: str, read: Callable[[Extraction], Value]) -> Callable[[Extraction], Value]:
        def run(extraction: Extraction) -> Value:
            counts[name] = counts.get(name, 0) + 1
            return read(extraction)

        return run

    for name, read in extracting._READ.items():
        monkeypatch.setitem(extracting._READ, name, counted(name, read))
    extraction = extract("Write a Python function")
    extraction.all()
    extraction.all()
    assert {name for name, count in counts.items() if count > 1 and name != "message"} == set()


def test_a_long_conversation_is_scanned_once_and_then_only_its_new_tail(policy: Policy) -> None:
    scanner, cache = Scanner(), BlockCache()
    turns = [Message("user", (Text(f"turn {n} " + "word " * 100),)) for n in range(20)]
    for count in (19, 20):
        request = Request(tuple(turns[:count]))
        Extraction(policy, request, {}, cache=cache, detectors=Detectors(pii=scanner)).ask("pii")
    assert len(scanner.read) == 20


# what the caller says


def test_the_callers_value_wins_over_an_extractor(extract: Extract) -> None:
    extraction = extract("Why is the sky blue?", task_type="translation", score=0.9, turns=7)
    assert [extraction.ask(name) for name in ("task_type", "score", "turns")] == ["translation", 0.9, 7]


def test_a_caller_may_say_that_a_signal_is_absent(extract: Extract) -> None:
    assert extract("Why is the sky blue?", task_type=ABSENT).ask("task_type") is ABSENT
    assert extract("Why is the sky blue?", score=ABSENT).ask("score") == 0.225, "a score is never absent with a text"
    assert extract("x", batch_size=ABSENT).ask("batch_size") == 1


def test_a_caller_may_raise_a_taint(extract: Extract) -> None:
    extraction = extract("hello", contains_pii=True, contains_secret=True)
    assert extraction.ask("pii") == {"unspecified"}
    assert extraction.ask("contains_pii") is True
    assert extraction.ask("contains_secret") is True
    assert extract("hello", pii=frozenset({"email"})).ask("contains_pii") is True


def test_a_caller_cannot_lower_a_taint(extract: Extract) -> None:
    secret = "my password is hunter2"
    extraction = extract(
        f"{SSN}, {secret}", contains_pii=False, pii=frozenset(), contains_secret=False, pii_in=frozenset()
    )
    assert extraction.ask("contains_pii") is True
    assert extraction.ask("pii") == {"us_ssn"}
    assert extraction.ask("pii_in") == {"user"}
    assert extraction.ask("contains_secret") is True


def test_a_lowered_taint_is_not_among_what_is_known(extract: Extract) -> None:
    assert "contains_pii" not in extract(SSN, contains_pii=False).known()


def test_only_a_policy_that_trusts_its_callers_lets_them_lower_personal_data(extract: Extract) -> None:
    extraction = extract(SSN + " my password is hunter2", policy=TRUSTING, contains_pii=False, contains_secret=False)
    assert extraction.ask("contains_pii") is False
    assert extraction.ask("pii") == frozenset()
    assert extraction.ask("contains_secret") is True
    assert extract("hi", policy=TRUSTING, contains_pii=True).ask("pii") == {"unspecified"}
    assert extract(SSN, policy=TRUSTING, pii=frozenset({"url"})).ask("contains_pii") is False


@given(
    text=st.sampled_from([SSN, "hello", "see https://x.org", None]),
    contains=st.sampled_from([None, True, False]),
    kinds=st.sampled_from([None, frozenset[str](), frozenset({"email"}), frozenset({"url"})]),
    policy=st.sampled_from([TRUSTING, BLIND, NARROW]),
)
def test_contains_pii_holds_exactly_when_pii_has_a_kind_that_counts(
    text: str | None, contains: bool | None, kinds: frozenset[str] | None, policy: Policy
) -> None:
    given: dict[str, Value] = {}
    if contains is not None:
        given["contains_pii"] = contains
    if kinds is not None:
        given["pii"] = kinds
    extraction = Extraction(policy, None if text is None else prompt(text), given)
    found = extraction.ask("pii")
    assert isinstance(found, frozenset)
    assert extraction.ask("contains_pii") is not found.isdisjoint(policy.signals.pii.counts | {"unspecified"})


def test_only_the_kinds_that_count_taint(extract: Extract) -> None:
    assert extract(SSN, policy=NARROW).ask("pii") == {"us_ssn"}
    assert extract(SSN, policy=NARROW).ask("contains_pii") is False
    assert extract("a@example.com", policy=NARROW).ask("pii") == frozenset()


# what taints read


@pytest.mark.parametrize(
    ("request_", "where"),
    [
        (prompt("hi", system=SSN), "system"),
        (prompt("hi", files=((SSN, ""),)), "context"),
        (prompt("hi", files=(("a.txt", SSN),)), "context"),
        (
            Request(
                (Message("user", (Text(SSN),)), Message("assistant", (Text("ok"),)), Message("user", (Text("next"),)))
            ),
            "user",
        ),
        (Request((Message("user", (ToolResult("1", SSN),)),)), "tool"),
        (Request((Message("assistant", (ToolUse("1", "f", {"a": [{"b": SSN}]}),)),)), "tool"),
        (Request((Message("user", (Text(SSN),), context=True),)), "context"),
    ],
)
def test_taints_read_everything_that_would_be_sent(extract: Extract, request_: Request, where: str) -> None:
    extraction = extract(request_)
    assert extraction.ask("contains_pii") is True
    assert extraction.ask("pii_in") == {where}
    assert [(f.kind, f.where) for f in extraction.findings] == [("us_ssn", where)]


def test_tool_schemas_are_read_for_secrets_and_not_for_numbers(extract: Extract) -> None:
    def schema(default: object) -> Request:
        return prompt("hi", tools=(Tool("f", "d", {"properties": {"n": {"default": default}}}),))

    assert extract(schema("4111111111111111")).ask("pii") == frozenset()
    assert extract(schema("my password is hunter2")).ask("contains_secret") is True


def test_what_a_tool_is_said_to_do_is_read_as_any_text_and_its_schema_for_what_has_no_number(extract: Extract) -> None:
    def tool(description: str, default: str = "") -> Request:
        return prompt("hi", tools=(Tool("look_up", description, {"properties": {"n": {"default": default}}}),))

    assert extract(tool("Books on card 4111 1111 1111 1111")).ask("pii") == {"payment_card"}
    assert extract(tool("Writes to a customer", "jane@example.org")).ask("pii") == {"email"}
    assert extract(tool("Calls https://api.example from 10.1.2.3 since 2024-02-03")).ask("pii") == frozenset()


@pytest.mark.parametrize("text", ["Today's date is 2026-11-20.", "<current_date>2026-11-20</current_date>"])
def test_the_day_that_a_program_tells_a_model_is_no_personal_data(extract: Extract, text: str) -> None:
    assert extract(text).ask("pii") == frozenset()
    assert extract("The meeting was on 2026-11-20.").ask("pii") == {"date"}


@pytest.mark.parametrize("text", ["id: fco_01a1fa6d-9f0f-74e3-8cd3-5fe62a3bb378", "toolu_01Kx9mQ2vBd7TzR4sWnP8hJc"])
def test_an_id_that_a_program_draws_is_no_secret(extract: Extract, text: str) -> None:
    assert extract(text).ask("contains_secret") is False


def test_findings_name_kind_and_place_and_never_the_text(extract: Extract) -> None:
    (finding,) = extract(SSN + ", fill the form").findings
    assert (finding.kind, finding.start, finding.end, finding.where) == ("us_ssn", 10, 21, "user")
    assert "078" not in repr(finding)


@pytest.mark.parametrize("kind", ["image", "audio", "document"])
def test_a_part_that_nobody_can_read_counts_as_personal_unless_the_policy_says_otherwise(
    extract: Extract, kind: str
) -> None:
    request = Request((Message("user", (Text("look"), Unread(kind, "x/y", "AAAA"))),))  # type: ignore[arg-type]
    extraction = extract(request)
    assert extraction.ask("pii") == {"unspecified"}
    assert extraction.ask("contains_pii") is True
    assert extraction.ask("pii_in") == {"user"}
    assert extract(request, policy=BLIND).ask("contains_pii") is False


def test_a_detector_that_raises_counts_as_true(policy: Policy) -> None:
    broken = Detectors(Scanner(fails=True), Scanner(fails=True))
    extraction = Extraction(policy, prompt("hello"), {}, detectors=broken)
    assert extraction.ask("contains_pii") is True
    assert extraction.ask("pii") == {"unspecified"}
    assert extraction.ask("pii_in") == {"user"}
    assert extraction.ask("contains_secret") is True


# without a text


def test_without_a_text_signals_are_absent_unless_given(extract: Extract) -> None:
    extraction = extract(None, complexity="high", expected_tokens=3000)
    assert extraction.ask("complexity") == "high"
    assert extraction.ask("expected_tokens") == 3000
    for name in (
        "task_type",
        "score",
        "confidence",
        "prompt_tokens",
        "message_tokens",
        "has_code",
        "language",
        "message",
    ):
        assert extraction.ask(name) is ABSENT
    assert extraction.ask("turns") == 1
    assert extraction.ask("purpose") == "turn"
    assert extraction.ask("intent") == frozenset()


def test_without_a_text_taints_are_false_and_said_to_be_assumed(extract: Extract) -> None:
    extraction = extract(None)
    assert extraction.ask("contains_pii") is False
    assert extraction.ask("contains_secret") is False
    assert set(extraction.assumed) == {"contains_pii", "contains_secret"}


def test_what_was_given_is_not_assumed(extract: Extract) -> None:
    extraction = extract(None, contains_pii=True, contains_secret=False)
    assert extraction.ask("contains_pii") is True
    assert extraction.ask("pii") == {"unspecified"}
    assert extraction.ask("contains_secret") is False
    assert extraction.assumed == ()
    assert extract("text").assumed == ()


# the rest of the table


def test_text_tests_are_booleans_by_their_key_and_the_text_is_never_known(extract: Extract, policy: Policy) -> None:
    (sunday,) = (key for key in policy.texts if key.startswith("message~") and "sunday*" in policy.texts[key].any_of)
    (anna,) = (key for key in policy.texts if key.startswith("user~"))
    extraction = extract("Are you open on Sundays?", user="annabel")
    assert extraction.ask(sunday) is True
    assert extraction.ask(anna) is True
    assert extraction.ask("message") == "Are you open on Sundays?"
    assert "Sundays" not in repr(extraction.all())
    assert extract("hi", user="bob").ask(anna) is False
    assert extract("hi").ask(anna) is False
    assert extract(None).ask(sunday) is False
    assert extract(None, **{sunday: True}).ask(sunday) is True


def test_all_holds_every_signal_that_has_a_value(extract: Extract, policy: Policy) -> None:
    values = extract("Why is the sky blue?").all()
    always = {
        name
        for name, signal in SIGNALS.items()
        if (signal.always or signal.default is not ABSENT) and name != "message"
    }
    assert always | set(policy.texts) <= set(values)
    assert ABSENT not in values.values()


def test_tokens_are_ordered_and_expect_an_answer(extract: Extract) -> None:
    request = prompt("Summarize it", system="Be brief.", files=(("a.txt", "word " * 1_000),))
    values = extract(request).all()
    counts = [values[name] for name in ("message_tokens", "context_tokens", "prompt_tokens", "expected_tokens")]
    assert counts == sorted(counts)  # type: ignore[type-var]
    assert counts[3] == counts[2] + 500  # type: ignore[operator]
    assert extract(prompt("hi", max_tokens=20)).ask("expected_tokens") == extract("hi").ask("prompt_tokens") + 20  # type: ignore[operator]


def test_what_the_wire_says_is_read_from_the_request(extract: Extract) -> None:
    request = Request(
        (Message("user", (Text("look"), Unread("image"))),),
        tools=(Tool("t", "", {}),),
        stream=True,
        response_format="json",
    )
    values = extract(request).all()
    assert (values["images"], values["tools"], values["stream"], values["response_format"]) == (1, 1, True, "json")


def test_the_hour_comes_from_outside(policy: Policy) -> None:
    assert Extraction(policy, None, {}, hour=13).ask("arrival_hour") == 13
    assert Extraction(policy, prompt("x"), {"arrival_hour": 7}, hour=13).ask("arrival_hour") == 7
    assert Extraction(policy, prompt("x"), {}).ask("arrival_hour") is ABSENT


def test_a_short_reply_inherits_the_task_that_it_answers(extract: Extract) -> None:
    messages = (
        Message("user", (Text("Write a Python function to parse CSV files"),)),
        Message("assistant", (Text("Shall I?"),)),
        Message("user", (Text("yes"),)),
    )
    extraction = extract(Request(messages))
    assert extraction.ask("task_type") == "code"
    assert extraction.ask("message") == "yes"


def values_fit(values: Mapping[str, Value]) -> bool:
    types: dict[Kind, tuple[type, ...]] = {
        Kind.BOOL: (bool,),
        Kind.INTEGER: (int,),
        Kind.FRACTION: (float,),
        Kind.SET: (frozenset,),
        Kind.ENUM: (str,),
        Kind.STRING: (str,),
    }
    for name, value in values.items():
        if "~" not in name and not isinstance(value, types[SIGNALS[name].kind]):
            return False
        if "~" not in name and SIGNALS[name].kind is Kind.ENUM and value not in SIGNALS[name].values:
            return False
    return True


ANY = st.text(alphabet=st.characters(categories=None), max_size=200)


@given(message=ANY, system=ANY, file=ANY, tool=ANY)
def test_no_request_crashes_an_extractor_and_every_value_fits_its_signal(
    message: str, system: str, file: str, tool: str
) -> None:
    request = Request(
        (
            Message("user", (Text(message),)),
            Message("assistant", (ToolUse(tool, tool, {tool: [file]}),)),
            Message("user", (ToolResult("", tool),)),
        ),
        system=system,
        files=((file, file),),
        tools=(Tool(tool, tool, {tool: tool}),),
    )
    assert values_fit(Extraction(BLIND, request, {}).all())


@pytest.mark.parametrize("unit", ["Lorem ipsum dolor sit amet. ", "x", "```\n(a)=b;{}\n", "日本語。", "\x00", "hi hi "])
def test_ten_megabytes_are_read(policy: Policy, unit: str) -> None:
    text = unit * (10_000_000 // len(unit.encode())) + " 078-05-1120"
    assert Extraction(policy, prompt(text), {}).all()["contains_pii"] is True
