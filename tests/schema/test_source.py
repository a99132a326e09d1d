"""The reader: values with their places, complaints in plain words, and bounds that nothing gets past."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hroute.schema.codes import finding
from hroute.schema.diagnostic import Diagnostic, Span
from hroute.schema.source import Ignore, Source, read, read_text

POLICY = """\
# a comment
version: 1
routing_rules:
  - name: "a b"   # the first
    condition: {batch_size: ">100", intent: [x, z]}
    text: |
      one
      two


  - name: c
    fallback:
"""


def cut(source: Source, span: Span) -> str:
    """What the file shows at a span."""
    lines = source.text.split("\n")[span.line - 1 : span.end_line]
    if len(lines) == 1:
        return lines[0][span.column - 1 : span.end_column - 1]
    return "\n".join((lines[0][span.column - 1 :], *lines[1:-1], lines[-1][: span.end_column - 1]))


def only(text: str | bytes) -> Diagnostic:
    (found,) = read_text(text, "p.yaml").findings
    return found


def test_every_value_and_every_key_has_its_place() -> None:
    source = read_text(POLICY, "p.yaml")
    rule = ("routing_rules", 0)
    assert str(source.span((*rule, "name"))) == "p.yaml:4:11"
    assert cut(source, source.span((*rule, "name"))) == '"a b"'
    assert cut(source, source.span((*rule, "condition", "batch_size"))) == '">100"'
    assert cut(source, source.key_span((*rule, "condition", "intent"))) == "intent"
    assert cut(source, source.span((*rule, "condition", "intent"))) == "[x, z]"
    assert cut(source, source.span((*rule, "condition", "intent", 1))) == "z"
    assert cut(source, source.span((*rule, "condition"))) == '{batch_size: ">100", intent: [x, z]}'


def test_a_block_ends_with_its_last_value_and_not_after_the_blank_lines_below() -> None:
    source = read_text(POLICY, "p.yaml")
    assert cut(source, source.span(("routing_rules", 0, "text"))) == "|\n      one\n      two"
    assert cut(source, source.span(("routing_rules", 0))).endswith("      two")
    assert source.span(("routing_rules",)).end_line == 12


def test_a_value_that_is_missing_stands_right_after_its_key() -> None:
    source = read_text(POLICY, "p.yaml")
    assert source.data["routing_rules"][1]["fallback"] is None
    assert str(source.span(("routing_rules", 1, "fallback"))) == "p.yaml:12:14"


def test_a_path_that_leads_nowhere_gives_the_nearest_place_above() -> None:
    source = read_text(POLICY, "p.yaml")
    assert source.span(("routing_rules", 1, "name", "x", 3)) == source.span(("routing_rules", 1, "name"))
    assert source.key_span(("routing_rules", 0, "condition", "no")) == source.key_span(
        ("routing_rules", 0, "condition")
    )
    assert source.key_span(("routing_rules", 7)) == source.key_span(("routing_rules",))


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (b"\xef\xbb\xbfa: 1\nb: x\n", "p.yaml:2:4"),
        (b"a: 1\r\nb: x\r\n", "p.yaml:2:4"),
        (b"a: 1\rb: x\r", "p.yaml:2:4"),
        ("a: '\u00e4\U0001f600'\nb: x".encode(), "p.yaml:2:4"),
        ("{'\u00e4\U0001f600': 1, b: x}".encode(), "p.yaml:1:14"),
    ],
)
def test_places_do_not_depend_on_byte_order_marks_line_ends_or_wide_characters(raw: bytes, place: str) -> None:
    source = read_text(raw, "p.yaml")
    assert source.findings == ()
    assert str(source.span(("b",))) == place
    assert cut(source, source.span(("b",))) == "x"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True), ("False", False), ("null", None), ("~", None), ("", None), ("5", 5), ("-3", -3), ("+4", 4), ("0x1f", 31),
        ("1.5", 1.5), (".5", 0.5), ("1e3", 1000.0), ("5.", 5.0), ("'5'", "5"), ("100..500", "100..500"), ("a", "a"), ("<5", "<5"),
        ("8s", "8s"), ("50%", "50%"), ("1.2.3", "1.2.3"), ("-", None),
    ],
)  # fmt: skip
def test_plain_scalars_mean_what_yaml_1_2_says(written: str, value: Any) -> None:
    if written == "-":
        assert read_text("a: [b-c]", "p").data == {"a": ["b-c"]}
        return
    source = read_text(f"a: {written}", "p")
    assert source.findings == ()
    assert source.data == {"a": value}
    assert type(source.data["a"]) is type(value)


@pytest.mark.parametrize(
    "written",
    [
        "yes", "No", "ON", "off", "y", "N", "12:30", "12:30:00", "190:20:30.15", "010", "0o17", "0b11", "1_000", "2026-01-31",
        "2026-01-31T10:00:00Z", ".inf", "-.Inf", ".nan", "1e999", "1234567890123456789",
    ],
)  # fmt: skip
def test_what_yaml_1_1_reads_otherwise_is_an_error_at_its_place_with_the_mend(written: str) -> None:
    source = read_text(f"key: {written}  # c\n", "p.yaml")
    (found,) = source.findings
    assert found.code == "HR003"
    assert cut(source, found.primary.span) == written
    assert "quote it" in found.help or "write `" in found.help
    assert source.data == {"key": written}
    if found.edit is not None:
        mended = read_text(f"key: {found.edit.text}\n", "p.yaml")
        assert mended.findings == ()


def test_quoted_and_as_keys_the_same_words_are_plain_text() -> None:
    source = read_text("agree: {with: x, on: 'yes'}\nyes: {010: a, null: b, 2026-01-01: c}", "p")
    assert source.findings == ()
    assert source.data == {"agree": {"with": "x", "on": "yes"}, "yes": {"010": "a", "null": "b", "2026-01-01": "c"}}


def test_a_comparison_that_yaml_would_fold_away_is_noticed() -> None:
    found = only("score: >5\nx: 1\n")
    assert (found.code, str(found.primary.span), found.help) == ("HR003", "p.yaml:1:8", 'quote it: ">5"')


def test_a_key_given_twice_points_at_both_places_and_the_first_counts() -> None:
    source = read_text("version: 1\nx: z\nversion: 2\n", "p.yaml")
    (found,) = source.findings
    assert found.code == "HR002"
    assert found.message == "key `version` is given twice"
    assert str(found.primary.span) == "p.yaml:3:1"
    assert [(str(label.span), label.text) for label in found.others] == [("p.yaml:1:1", "first given here")]
    assert source.data["version"] == 1


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: >100", "1:4", "several lines"),
        ("a: @b", "1:4", "cannot begin with `@`"),
        ("a:\n\tb: 1", "2:1", "a tab"),
        ("a: b: c", "1:5", "second `:`"),
        ("a: [1, 2\nb: 1", "1:4", "`[` is not closed"),
        ("a: {b: 1\n", "1:4", "`{` is not closed"),
        ('a: "x\nb: 1\n', "1:4", "not closed"),
        ("a: *opus*", "1:4", "alias"),
        ("y: *foo", "1:4", "refers to no anchor"),
        ("x: !=code", "1:4", "read as a YAML tag"),
        ("x: !!python/object:os.system ''", "1:4", "tags are not part"),
        ("x: !custom {a: 1}", "1:4", "tags are not part"),
        ('a: "\\d"', "1:5", "no escape"),
        ("a: b\n---\nc: d", "2:1", "second document"),
        ("{{x}}: 1", "1:1", "cannot be a key"),
        ("[a]: 1", "1:1", "cannot be a key"),
        ("a: &x b\n*x : 1", "2:1", "alias cannot be a key"),
        ("a: {b: c}}", "1:10", "closes nothing"),
        ("a:\n   b: 1\n  c: 2", "3:3", "indented differently"),
        ("routing_rules\n  - name: x", "2:3", "cannot stand here"),
        ("- a\nb: 1", "2:1", "no item of it"),
        ('"a": 1\n"b" 2', "2:1", "neither `key: value`"),
        ("a: [1,,2]", "1:7", "a value is missing"),
        ("a: 'it's'", "1:8", "after the end of this value"),
        ("<<: {a: 1}", "1:1", "merge key"),
        (": 1", "1:1", "key is missing"),
        ("a: &x [*x]", "1:8", "stands inside itself"),
        ("a: - b", "1:4", "cannot stand here"),
        ("a: \0", "1:4", "NUL"),
        ("a: \x07", "1:4", "control character U+0007"),
        ("a: x\ufeffy", "1:5", "U+FEFF"),
        ("a: x\u2028y", "1:5", "U+2028"),
        ("a: \ud800", "1:4", "surrogate"),
        (b"a: \xff\n", "1:4", "not UTF-8"),
        (b"\xff\xfea\0", "1:1", "UTF-16"),
        (b"a: 1\nb: \xc3\xa4\xff", "2:5", "not UTF-8"),
    ],
)
def test_what_cannot_be_read_is_said_in_plain_words_at_the_exact_place(
    text: str | bytes, place: str, words: str
) -> None:
    found = only(text)
    assert found.code == "HR001"
    assert words in found.message
    assert str(found.primary.span) == f"p.yaml:{place}"


def test_tags_never_make_objects() -> None:
    source = read_text("a: !!python/object/apply:os.getcwd []\nb: !!binary aGk=\nc: !!int '5'", "p")
    assert [found.code for found in source.findings] == ["HR001"] * 3
    assert source.data == {"a": [], "b": "aGk=", "c": "5"}


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "~\n"])
def test_an_empty_file_says_what_a_smallest_policy_looks_like(text: str) -> None:
    source = read_text(text, "p.yaml")
    (found,) = source.findings
    assert (source.data, found.code) == (None, "HR013")
    smallest = found.help.partition(": ")[2]
    assert read_text(smallest, "p").data["routing_rules"][0]["route_to"] == "claude_sonnet"


def test_json_is_yaml() -> None:
    value = {
        "routing_rules": [{"name": "a", "condition": {"batch_size": ">100"}, "route_to": "x\ty/\u00e9"}],
        "n": [1, 1.5e2, None],
    }
    for indent in (None, 2, "\t"):
        source = read_text(json.dumps(value, indent=indent, ensure_ascii=False), "p.json")
        assert source.findings == ()
        assert source.data == value


def test_an_alias_is_its_anchor_and_its_place_is_its_own() -> None:
    source = read_text("a: &x {k: [1, 2]}\nb: *x\nc: *x\n", "p.yaml")
    assert source.data == {"a": {"k": [1, 2]}, "b": {"k": [1, 2]}, "c": {"k": [1, 2]}}
    assert str(source.span(("b",))) == "p.yaml:2:4"
    assert str(source.span(("c", "k", 1))) == "p.yaml:1:15"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 5000, "levels deep"),
        ("- " * 5000 + "a", "levels deep"),
        ("a: " + "{a: " * 200 + "1" + "}" * 200, "levels deep"),
        (
            "a0: &a0 [x]\n" + "".join(f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 9)}]\n" for i in range(12)),
            "values",
        ),
        ("a: &a " + "x" * 100_000 + "\nb: [" + ", ".join(["*a"] * 3000) + "]", "values"),
        ("a0: &a0 [x]\n" + "".join(f"a{i + 1}: &a{i + 1} [*a{i}]\n" for i in range(120)), "levels deep"),
        ("x" * (16 * 1024 * 1024 + 1), "larger than 16 MiB"),
    ],
    ids=["brackets", "dashes", "braces", "bomb", "long text bomb", "alias ladder", "size"],
)
def test_depth_nodes_and_size_are_bounded(text: str, words: str) -> None:
    found = only(text)
    assert found.code == "HR001"
    assert words in found.message


def test_a_hundred_levels_and_a_long_line_are_still_read() -> None:
    assert read_text("[" * 100 + "]" * 100, "p").findings == ()
    assert read_text("a: " + "word " * 200_000, "p").findings == ()


def test_a_file_with_a_thousand_surprises_names_a_hundred() -> None:
    assert len(read_text("a:\n" + "- yes\n" * 1000, "p").findings) == 100


def test_a_file_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        source = read(str(path))
        (found,) = source.findings
        assert (source.data, found.code) == (None, "HR001")
        assert str(path) in found.message
        assert (found.primary.span.line, found.primary.span.column) == (1, 1)


def test_a_policy_that_cannot_be_read_never_shows_the_credential_in_it() -> None:
    for text in (
        "api_key: @sk-ant-api03-aaaabbbbccccdddd1111",
        "api_key: !sk-ant-api03-aaaabbbbccccdddd1111",
        "k: *sk-ant-api03-aaaabbbbccccdddd1111",
    ):
        for found in read_text(text, "p.yaml").findings:
            assert "aaaabbbb" not in found.message + found.help + str(found.edit.text if found.edit else "")


def warning(source: Source, line: int, code: str = "HR205") -> Diagnostic:
    return finding(code, "w", Span(source.name, line, 5, line, 6))


def test_a_comment_with_a_reason_keeps_a_warning_on_its_line_or_in_the_entry_below_it() -> None:
    source = read_text(
        "rules:\n"
        "  - name: a\n"
        "    when: 5   # hroute: ignore HR205 exactly-5 is our canary\n"
        "  # hroute: ignore HR309 every client key sets it\n"
        "  # (see the contract)\n"
        "  - name: b\n"
        "    when: 6\n"
        "  - name: c\n",
        "p",
    )
    assert source.findings == ()
    assert source.ignores == (
        Ignore("HR205", "exactly-5 is our canary", 3),
        Ignore("HR309", "every client key sets it", 4),
    )
    assert source.kept(warning(source, 3)) == source.ignores[0]
    assert source.kept(warning(source, 2)) is None
    assert source.kept(warning(source, 3, "HR203")) is None
    assert [line for line in range(1, 9) if source.kept(warning(source, line, "HR309"))] == [6, 7]


def test_an_error_cannot_be_kept() -> None:
    source = read_text("a: 1   # hroute: ignore HR305 x", "p")
    from hroute.schema.diagnostic import Level

    assert source.kept(warning(source, 1, "HR305")) is not None
    assert source.kept(finding("HR305", "w", Span("p", 1, 1, 1, 2), level=Level.ERROR)) is None


@pytest.mark.parametrize(
    ("comment", "code"),
    [
        ("# hroute: ignore HR205", "HR013"),
        ("# hroute: ignore HR205   ", "HR013"),
        ("# hroute: ignore HR999 because", "HR012"),
        ("# hroute: ignore", "HR012"),
        ("# hroute: ignore HR301 because", "HR012"),
        ("# hroute: silence HR205 because", "HR012"),
    ],
)
def test_a_comment_that_keeps_nothing_is_itself_a_finding(comment: str, code: str) -> None:
    source = read_text(f"a: 1\nb: 2  {comment}\n", "p")
    assert [found.code for found in source.findings] == [code]
    assert source.findings[0].primary.span.line == 2
    assert source.ignores == ()


def test_words_inside_a_text_are_no_comment() -> None:
    source = read_text('a: "x # hroute: ignore HR205"\nb: |\n  # hroute: ignore HR205\n  z\n', "p")
    assert (source.findings, source.ignores) == ((), ())


def test_a_source_comes_back_from_the_cache_as_it_was_and_without_yaml() -> None:
    source = read_text(POLICY + "x: &a [1, {k: v}]\ny: *a\n# hroute: ignore HR205 why\nz: 1\n", "p.yaml")
    kept = json.dumps(source.to_json())
    again = Source.from_json(json.loads(kept))
    assert (again.name, again.text, again.data, again.ignores) == (
        source.name,
        source.text,
        source.data,
        source.ignores,
    )
    for path in (("routing_rules", 0, "condition", "intent", 1), ("y", 1, "k"), ("z",), ()):
        assert again.span(path) == source.span(path)
        assert again.key_span(path) == source.key_span(path)
    program = (
        "import sys, json; from hroute.schema.source import Source; s = Source.from_json(json.loads(sys.stdin.read()));"
        "print(s.span(('z',))); print(sorted({'yaml', 'jsonschema', 're2'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", program], input=kept, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == [str(source.span(("z",))), "[]"]


def test_a_source_with_findings_is_not_cached() -> None:
    with pytest.raises(ValueError, match="findings"):
        read_text("a: yes", "p").to_json()


def inside(source: Source, span: Span) -> bool:
    lines = source.text.split("\n")
    ordered = (span.line, span.column) <= (span.end_line, span.end_column)
    return ordered and all(
        1 <= line <= len(lines) and 1 <= column <= len(lines[line - 1]) + 1
        for line, column in ((span.line, span.column), (span.end_line, span.end_column))
    )


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(inner for key, item in below for inner in paths(item, (*path, key)))]


pieces = st.sampled_from(
    ["a", "b: ", "- ", "\n", "  ", "    ", "{", "}", "[", "]", ", ", ": ", '"', "'", "#", "|", ">", ">5", "&x ", "*x", "!t ", "?", "yes", "010",
     "\t", "\r\n", "\r", "\ufeff", "\x85", "\u2028", "\U0001f600", "---", "...", "%YAML 1.2", "\\", "\\d", "@", "`", "é", "1.5", "null", "<<: ",
     "# hroute: ignore HR205 x", "# hroute: ", "\0", "\x07"]
)  # fmt: skip


@settings(max_examples=1500, deadline=None)
@given(st.one_of(st.lists(pieces, max_size=30).map("".join), st.text(max_size=40), st.binary(max_size=60)))
@example("a: |\n  x\n\n\n")
@example("? a\n: b\n")
@example("- - - a\n    - b\n")
@example("\ufeff\ufeff")
def test_whatever_the_bytes_are_the_answer_is_a_source_whose_places_lie_inside_of_it(raw: str | bytes) -> None:
    source = read_text(raw, "p.yaml")
    assert source.data is not None or source.findings
    for found in source.findings:
        for label in (found.primary, *found.others):
            assert inside(source, label.span)
    for path in paths(source.data):
        for span in (source.span(path), source.key_span(path)):
            assert inside(source, span)
            assert cut(source, span) == cut(source, span).rstrip("\n ")
    if not source.findings:
        again = Source.from_json(json.loads(json.dumps(source.to_json())))
        assert again.data == source.data
        assert all(again.span(path) == source.span(path) for path in paths(source.data))


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.text(max_size=6), json_values, min_size=1, max_size=4), st.booleans())
@example(
    {"a\\": "\U0001f600\U0001f600\\", "\ud83d".encode("utf-16", "surrogatepass").decode("utf-16", "replace"): 1}, True
)
def test_json_written_by_a_program_is_read_back_as_it_was(value: dict[str, Any], escaped: bool) -> None:
    text = json.dumps(value, ensure_ascii=escaped)
    source = read_text(text, "p")
    if not source.findings:
        assert source.data == value
    elif escaped:
        assert all("names no character" in found.message for found in source.findings)
        assert "\\ue" in text
    else:
        assert all("U+" in found.message for found in source.findings)


def test_escaped_surrogate_pairs_of_json_are_characters_and_move_no_place() -> None:
    source = read_text('{"a": "\\ud83d\\uDE00 \\\\ud83d\\\\ude00", "b": 7}', "p")
    assert source.data == {"a": "\U0001f600 \\ud83d\\ude00", "b": 7}
    assert cut(source, source.span(("b",))) == "7"
