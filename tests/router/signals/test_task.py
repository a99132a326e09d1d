"""The kind of work, from what the instruction says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hroute.router.signals import wording
from hroute.router.signals.intent import built_in
from hroute.router.signals.task import has_code, has_code_files, task_type

DIFF = "diff --git a/x.py b/x.py\n@@ -1 +1 @@\n-a = 1\n+a = f(2)\n"


def kind(text: str, *files: str) -> str | None:
    said = wording.read(text)
    intents = frozenset(built_in(text, said))
    return task_type(said, code=has_code(text), code_files=has_code_files(files), intents=intents)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write a Python function to parse CSV files", "code"),
        ("Fix the bug in this function", "code"),
        ("Why does this fail?\n```\nprint(1)\n```", "code"),
        ("Write a commit message\n\n" + DIFF, "generation"),
        ("Write a poem about rain", "generation"),
        ("Translate 'good morning' to French", "translation"),
        ("Summarize this article for me", "summarization"),
        ("Classify the sentiment of this review", "classification"),
        ("Extract all names from the text below", "extraction"),
        ("Compare PostgreSQL and MySQL", "analysis"),
        ("Why is the sky blue?", "qa"),
        ("Hello!", "chat"),
        ("asdf qwer", None),
        ("", None),
    ],
)
def test_the_instruction_says_what_kind_of_work_it_is(text: str, expected: str | None) -> None:
    assert kind(text) == expected


def test_work_on_a_source_file_is_code() -> None:
    assert kind("Refactor this module", "src/big.py") == "code"
    assert kind("Improve it: add tests", "main.go") == "code"
    assert kind("Summarize it", "notes.txt") == "summarization"


def test_an_instruction_after_a_long_text_is_still_read() -> None:
    assert kind("The cat sat on the mat. " * 2_000 + "Translate this to German.") == "translation"


@pytest.mark.parametrize(
    "text",
    [
        DIFF,
        "import os\n\ndef f(x):\n    return os.path.join(x)\n",
        "int main() {\n  return 0;\n}\nif (a) {\n",
        "```js\nx\n```",
    ],
)
def test_program_code_is_seen(text: str) -> None:
    assert has_code(text)


@pytest.mark.parametrize(
    "text",
    [
        "Why is the sky blue?",
        "I bought milk (two litres); bread; and eggs = 5 things",
        "Dear team,\nif you can, come.\nClass of 2020\n",
        "",
    ],
)
def test_prose_is_no_code(text: str) -> None:
    assert not has_code(text)


@given(st.text(alphabet=st.characters(categories=None)))
def test_no_text_crashes_it(text: str) -> None:
    kind(text)
