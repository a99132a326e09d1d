"""The kind of work, from what the instruction says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hroute.router.signals import paths, wording
from hroute.router.signals.intent import built_in
from hroute.router.signals.task import code_task, has_code, task_type

DIFF = "diff --git a/x.py b/x.py\n@@ -1 +1 @@\n-a = 1\n+a = f(2)\n"


def kind(text: str, *files: str) -> str | None:
    said = wording.read(text)
    intents = frozenset(built_in(text, said))
    return task_type(said, code=has_code(text), code_files=paths.has_code(files), intents=intents)


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


def deed(text: str, files: int = 0) -> str | None:
    is_code = kind(text) == "code" or has_code(text)
    return code_task(wording.read(text), is_code=is_code, message=text, files=files)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Complete this function:\ndef add(a, b):", "completion"),
        ('def search(rows: list[int]) -> int:\n    """Return the greatest of rows.\n    """', "completion"),
        ("Add docstrings to this function\n```\ndef f(x): return x\n```", "comment"),
        ("Reformat this code with black, 4 spaces", "format"),
        ("What is the syntax for a lambda in Python?", "syntax"),
        ("How do I read a file in Python?", "syntax"),
        ("find all pdf files in the current folder", "command"),
        ("Rename this variable in my code to total", "edit"),
        ("Fix the bug in this function", "debug"),
        ("Traceback (most recent call last):\n  File 'x.py'\nKeyError: 'a'", "debug"),
        ("Refactor this module into two", "refactor"),
        ("Convert this script from Python to Go", "refactor"),
        ("Design the data model for my web app, with an API endpoint for orders", "design"),
        ("Fix the bug and refactor this class, then document the code", "refactor"),
        ("Write a Python function to parse CSV files", None),
        ("Why is the sky blue?", None),
        ("Fix me a drink and rename the cat", None),
    ],
)
def test_what_is_to_be_done_with_code_is_the_dearest_thing_asked_for(text: str, expected: str | None) -> None:
    assert deed(text) == expected


def test_an_edit_across_many_files_is_a_refactoring() -> None:
    assert deed("Rename this function in the code", files=2) == "edit"
    assert deed("Rename this function in the code", files=12) == "refactor"


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
