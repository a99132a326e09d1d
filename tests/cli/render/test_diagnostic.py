"""Findings are drawn as UX.md shows them, whatever stands in the line that they point at."""

from __future__ import annotations

import json
from collections.abc import Callable

from hroute.cli.render import diagnostic
from hroute.cli.render.excerpt import Files
from hroute.schema.diagnostic import Diagnostic, Label, Level, Span

KEY = "sk-" + "ant-" + "api03-" + "abcdefgh" * 3

POLICY = f"""\
version: 1
# comment
version: 1
routing_rules:
  - name: complaint
    condition: {{intent: complaint}}
    route_to: claude_sonet
  - {{name: 長い名前, condition: {{tenant: "東京"}}, route_to: "oll"}}
  - {{name: tabbed,\tcondition:\t{{tenant: x}}}}
  - {{name: k, api_key: {KEY}}}
"""
FILES = Files({"policy.yaml": POLICY})


def place(line: int, column: int, end: int, end_line: int = 0) -> Span:
    return Span("policy.yaml", line, column, end_line or line, end)


def at(line: int, text: str) -> Span:
    column = POLICY.splitlines()[line - 1].index(text) + 1
    return place(line, column, column + len(text))


def found(
    code: str, message: str, primary: Label, *others: Label, level: Level = Level.ERROR, **more: object
) -> Diagnostic:
    return Diagnostic(code, level, message, primary, others, **more)  # type: ignore[arg-type]


UNKNOWN = found(
    "HR021",
    "rule `complaint` routes to unknown provider `claude_sonet`",
    Label(place(7, 15, 27)),
    help="did you mean `claude_sonnet`?",
)
TWICE = found("HR002", "key `version` is given twice", Label(place(3, 1, 8)), Label(place(1, 1, 8), "first given here"))
LEAK = found(
    "HR301",
    "guarantee `g` is broken by the route of rule `complaint`",
    Label(place(7, 15, 27), "`claude_sonet` is not local"),
    Label(place(6, 16, 35), "required here"),
    witness={"contains_pii": True, "task_type": "chat", "score": 0.35, "pii": frozenset({"iban", "phone"})},
    level=Level.WARNING,
)
WIDE = found("HR012", "wide", Label(at(8, '"oll"'), "here"), Label(at(8, "長い名前"), "名前"))
TABBED = found("HR012", "tabs", Label(at(9, "{tenant: x}"), "after two tabs"))
SECRET = found("HR307", "`api_key` holds a key in clear", Label(at(10, KEY)), level=Level.ERROR)


def test_the_pictures_of_the_design(golden: Callable[[str, str], None]) -> None:
    drawn = [diagnostic.full(finding, FILES) for finding in (UNKNOWN, TWICE, LEAK, WIDE, TABBED)]
    golden("diagnostic", "\n\n".join(drawn) + "\n")


def test_a_finding_on_one_line() -> None:
    assert diagnostic.concise(UNKNOWN) == (
        "policy.yaml:7:15: error[HR021] rule `complaint` routes to unknown provider `claude_sonet`"
    )


def test_a_finding_for_github_keeps_its_lines_together() -> None:
    shown = diagnostic.github(LEAK)
    assert shown.startswith("::warning file=policy.yaml,line=7,endLine=7,col=15,title=HR301::guarantee `g` is broken")
    assert "\n" not in shown
    assert "%0Afor example: contains_pii=true, task_type=chat, score=0.35, pii=iban+phone" in shown


def test_a_finding_for_a_program() -> None:
    shown = json.loads(json.dumps(diagnostic.as_json(LEAK)))
    assert {k: shown[k] for k in ("code", "level", "file", "line", "column")} == {
        "code": "HR301",
        "level": "warning",
        "file": "policy.yaml",
        "line": 7,
        "column": 15,
    }
    assert shown["witness"] == {"contains_pii": True, "task_type": "chat", "score": 0.35, "pii": ["iban", "phone"]}


def test_a_secret_is_never_drawn_also_not_by_another_finding_on_its_line() -> None:
    other = found("HR011", "unknown key", Label(at(10, "api_key")))
    for finding in (SECRET, other):
        for files in (FILES, FILES.hiding([SECRET])):
            drawn = diagnostic.full(finding, files)
            assert "abcdefgh" not in drawn
            assert "*" * len(KEY) in drawn


def test_a_short_secret_that_looks_like_nothing_is_masked_where_the_finding_says_so() -> None:
    finding = found("HR307", "a key in clear", Label(Span("p", 1, 10, 1, 16)))
    files = Files({"p": "api_key: hunter more"}).hiding([finding])
    assert "1 | api_key: ****** more" in diagnostic.full(finding, files)


def test_a_secret_in_a_message_is_redacted() -> None:
    finding = found("HR012", f"`{KEY}` is not allowed", Label(place(1, 1, 8)))
    for drawn in (
        diagnostic.full(finding, FILES),
        diagnostic.concise(finding),
        diagnostic.github(finding),
        str(diagnostic.as_json(finding)),
    ):
        assert "abcdefgh" not in drawn


def test_nothing_that_a_terminal_obeys_is_drawn() -> None:
    files = Files({"p": "name: \x1b]0;owned\x07\x9b31m \u202egnp.exe"})
    finding = found("HR012", "\x1b[2J is not allowed", Label(Span("p", 1, 7, 1, 10), "\x07"), help="\u202e")
    for drawn in (diagnostic.full(finding, files), diagnostic.concise(finding)):
        assert all(c.isprintable() or c == "\n" for c in drawn)
        assert "␛[2J" in drawn


def test_a_long_line_is_drawn_through_a_window() -> None:
    text = "x: [" + ", ".join(f"item_{n}" for n in range(5000)) + "]"
    column = text.index("item_4000") + 1
    finding = found("HR012", "m", Label(Span("p", 1, column, 1, column + 9), "here"))
    *_, source, marker = diagnostic.full(finding, Files({"p": text})).splitlines()
    assert len(source) < 200
    assert source[marker.index("^") :].startswith("item_4000")


def test_a_finding_that_spans_lines_is_underlined_to_the_end_of_the_first() -> None:
    finding = found("HR202", "m", Label(place(5, 5, 30, end_line=7)))
    assert diagnostic.full(finding, FILES).splitlines()[-1] == "  |     ^^^^^^^^^^^^^^^"


def test_a_finding_in_a_file_that_is_gone_keeps_its_place() -> None:
    finding = found("HR001", "cannot be read", Label(Span("no/such.yaml", 1, 1, 1, 1)))
    assert diagnostic.full(finding, Files()) == "error[HR001]: cannot be read\n --> no/such.yaml:1:1"


def test_labels_in_two_files_are_drawn_apart() -> None:
    files = Files({"a.yaml": "one: 1", "b.yaml": "two: 2"})
    finding = found("HR301", "m", Label(Span("a.yaml", 1, 1, 1, 4)), Label(Span("b.yaml", 1, 1, 1, 4), "there"))
    assert " ::: b.yaml:1:1" in diagnostic.full(finding, files).splitlines()
