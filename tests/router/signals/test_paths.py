"""The files of a request are counted once each, wherever they are named."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hroute.router.signals.paths import files, has_code, named
from hroute.terms.message import Message, Request, Text, ToolResult, ToolUse, prompt


def test_files_that_come_along_that_tools_worked_on_and_that_are_named_count_once() -> None:
    request = Request(
        messages=(
            Message("user", (Text("Rename `load` in src/a.py and ./src/b.py, see README.md"),)),
            Message(
                "assistant",
                (
                    ToolUse("1", "Edit", {"file_path": "src/a.py", "old": "x.py"}),
                    ToolUse("2", "Read", {"paths": ["c.go", 7]}),
                ),
            ),
            Message("user", (ToolResult("1", "done, also d.py"),)),
        ),
        files=(("src/b.py", "text"), ("notes", "text")),
    )
    assert files(request) == {"src/a.py", "src/b.py", "README.md", "c.go", "notes"}


def test_sentences_numbers_and_addresses_are_no_files() -> None:
    assert list(named("I met J. Doe at 5.30 p.m. Nice. e.g. this, v1.2.3; www.example.com")) == []
    assert files(prompt("Hello")) == frozenset()


def test_code_is_told_by_its_ending() -> None:
    assert has_code(["a/B.PY"])
    assert has_code(["x.diff"])
    assert not has_code(["notes.txt", "README.md", "py"])


@given(st.text(alphabet=st.characters(categories=None)))
def test_no_text_crashes_it(text: str) -> None:
    files(prompt(text))
