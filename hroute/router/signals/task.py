"""What kind of work a request asks for, and whether the message holds program code. Absent where nothing says so."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from hroute.router.signals import english
from hroute.terms.pattern import Prepared, Regexp, TextMatcher, compiled

VERSION: Final = "task/1"
_HEAD: Final = 1_500
"""The instruction stands at the beginning or at the end of a message, not in the middle of what it is about."""
_CODE_READ: Final = 200_000

_ENDINGS: Final = ".py .pyi .js .mjs .ts .tsx .jsx .go .rs .java .kt .scala .c .h .cc .cpp .hpp .cs .rb .php .swift .sh .bash .ps1 .sql .html .css .scss .vue .svelte .r .jl .lua .pl .ex .exs .erl .hs .ml .clj .dart .tf .ipynb .diff .patch"
_SUFFIXES: Final = tuple(_ENDINGS.split())
_LINES: Final = (
    r"(?m)^\s*(?:async )?def \w+\(.*\)(?: ?->.*)?:\s*$",
    r"(?m)^\s*class \w+(?:\(.*\))?:?\s*\{?\s*$",
    r"(?m)^\s*(?:from [\w.]+ )?import [\w.{}, *]+;?\s*$",
    r"(?m)^\s*(?:export |default )*(?:async )?function\s*\w*\(",
    r"(?m)^\s*(?:const|let|var) \w+ ?= ?\S.*$",
    r"(?m)^\s*(?:public|private|protected|static)\s+(?:\w+ ){1,3}\w+\(",
    r"(?m)^\s*#include\s*[<\"]",
    r"(?m)^\s*(?:func|fn|fun) \w+\(",
    r"(?m)^\s*(?:if|for|while|elif|else|try|except|with|switch)\b.*[:{]\s*$",
    r"(?m)[;{}]\s*$",
    r"(?m)^diff --git |^@@ -\d+(?:,\d+)? \+\d+",
    r"(?m)^\s*</?(?:html|head|body|div|script|style|table|span|template)\b",
    r"(?im)^\s*(?:select .+ from |insert into |create table |update \w+ set )",
    r"(?m)^\s*(?:\$|>>>) \S+",
    r"\w+\(\w*\)\.\w+\(|\w+ = \w+\(|\w+\[\w+\] ?=|=> ?\{|\breturn \w+;",
    r"(?m)^Traceback \(most recent call last\)|^\s+at [\w.$]+\(.*:\d+\)",
)

_CODE: Final = TextMatcher(
    any_of=(
        "refactor*", "debug*", "unit test*", "stack trace", "stacktrace", "traceback", "compile error", "compiler error", "syntax error", "segfault", "null pointer", "regex", "regexp", "regular expression", "sql query", "pull request",
        "merge conflict", "code review", "source code", "this code", "my code", "the code", "this function", "this script", "this bug", "the bug", "codebase", "repository", "git rebase", "dockerfile", "kubernetes", "docstring*", "type hints",
        "linter", "pytest", "npm install", "pip install", "javascript", "typescript", "python function", "python script", "in python", "in java", "in rust", "in golang", "in c++", "in c#", "in javascript", "in typescript", "bash script", "shell script",
        "react component", "api endpoint", "rest api", "django", "fastapi", "pandas", "numpy", "leetcode",
    ),
    matches=(
        *english.GENERATION_OF_CODE,
        r"\b(?:fix|implement|rename|optimi[sz]e|port|compile|lint|test)\b.{0,40}\b(?:function|method|class|module|bug|tests?|script|program|code|file|error|exception|component|endpoint|query)\b",
    ),
)  # fmt: skip
_ABOUT_A_FILE: Final = TextMatcher(
    any_of=(
        "refactor*",
        "fix",
        "debug*",
        "implement*",
        "review",
        "optimi*",
        "rename",
        "clean up",
        "add",
        "remove",
        "change",
        "improve",
        "test",
        "tests",
        "module",
        "function",
        "class",
        "method",
        "bug",
        "file",
        "code",
        "edit",
        "update",
        "port",
        "document",
    )
)
_TASKS: Final = (
    ("translation", TextMatcher(any_of=("translate*", "translation"), matches=(r"\bhow do you say\b", r"\bwhat(?:'s| is) .{1,40} in (?:french|german|spanish|italian|japanese|chinese|russian|portuguese|dutch)\b"))),
    ("summarization", TextMatcher(any_of=("summari*", "summary of", "tl;dr", "tldr", "key points", "main points", "in a nutshell", "condense", "boil down"))),
    ("classification", TextMatcher(any_of=("classify", "classification", "categori*", "sentiment", "label each", "label this", "label the", "spam or not", "is this spam", "positive or negative", "which category"))),
    ("extraction", TextMatcher(any_of=("extract*", "pull out", "list all the names", "find all the", "parse the following", "fill the form"))),
    ("analysis", TextMatcher(any_of=("analy*", "compare", "comparison", "evaluate", "assess", "pros and cons", "trade-off*", "tradeoff*", "critique", "root cause", "review this", "design", "investigate", "interpret"))),
)  # fmt: skip
_GENERATION: Final = TextMatcher(matches=english.GENERATION_PATTERNS)
_ASKS: Final = TextMatcher(
    matches=(
        r"^(?:who|what|when|where|why|which|how|is|are|was|were|do|does|did|can|could|will|would|should|has|have|may)\b",
        r"\?\s*$",
    )
)


def has_code(message: str) -> bool:
    """Whether the message holds program code: a fence, or at least two marks of code on its lines."""
    text = message[:_CODE_READ]
    if "```" in text or "diff --git " in text:
        return True
    if len(text) < 12 or not any(sign in text for sign in "(){};=<"):
        return False
    data = text.encode("utf-8", "replace")
    return sum(marker.search(data) is not None for marker in _markers()) >= 2


def has_code_files(names: tuple[str, ...]) -> bool:
    """Whether a file that comes with the request is program code, by its name."""
    return any(name.lower().endswith(_SUFFIXES) for name in names)


def task_type(message: str, *, code: bool, code_files: bool, intents: frozenset[str]) -> str | None:
    """One of the task types, or None. What the instruction says comes before what it is about."""
    if not message:
        return None
    ask = Prepared(message if len(message) <= 2 * _HEAD else message[:_HEAD] + "\n" + message[-_HEAD:])
    if "generation" in intents and _GENERATION.holds(ask):
        return "generation"
    if _CODE.holds(ask) or (code_files and _ABOUT_A_FILE.holds(ask)):
        return "code"
    for name, asks in _TASKS:
        if asks.holds(ask):
            return name
    if code:
        return "code"
    if "smalltalk" in intents:
        return "chat"
    return "qa" if "faq" in intents or _ASKS.holds(ask) else None


@lru_cache(maxsize=1)
def _markers() -> tuple[Regexp, ...]:
    return tuple(compiled(line, fold=False) for line in _LINES)
