"""What kind of work a request asks for, what is to be done with code, and whether the message holds code.

Absent where nothing says so.
"""

from __future__ import annotations

from typing import Final

from hroute.router.signals import english, english_code
from hroute.terms.pattern import PatternSet, encode

VERSION: Final = "task/2"
_CODE_READ: Final = 200_000

_PROOFS: Final = (
    # one of these lines is program code
    r"(?m)^\s*(?:async )?def \w+\(.*\)?(?: ?->.*)?:?\s*$",
    r"(?m)^\s*class \w+(?:\(.*\))?\s*[:{]\s*$",
    r"(?m)^\s*#include\s*[<\"]",
    r"(?m)^\s*(?:export |default )*(?:async )?function\s+\w+\s*\(.*\{\s*$",
    r"(?m)^\s*(?:public|private|protected)\s+(?:\w+ ){1,3}\w+\(.*",
    r"(?m)^\s*(?:func|fn|fun) \w+\(.*\{\s*$",
    r"(?m)^@@ -\d+(?:,\d+)? \+\d+|^diff --git |^#!/",
    r"(?m)^Traceback \(most recent call last\)|^\s+at [\w.$]+\(.*:\d+\)",
    r"(?m)^\s*(?:from [\w.]+ )?import [\w.]+(?: as \w+)?;?\s*$",
)
_MARKS: Final = (
    # two of these are
    r"(?m)^\s*(?:from [\w.]+ )?import [\w.{}, *]+;?\s*$",
    r"(?m)^\s*(?:const|let|var) \w+ ?= ?\S.*$",
    r"(?m)^\s*static\s+(?:\w+ ){1,3}\w+\(",
    r"(?m)^\s*(?:if|for|while|elif|else|try|except|with|switch)\b.*[:{]\s*$",
    r"(?m)[;{}]\s*$",
    r"</?(?:html|head|body|div|script|style|table|span|template)\b",
    r"(?im)^\s*(?:select .+ from |insert into |create table |update \w+ set )",
    r"(?m)^\s*(?:\$|>>>) \S+",
    r"\w+\(\w*\)\.\w+\(|\w+ = \w+\(|\w+\[\w+\] ?=|=> ?\{|\breturn \w+;",
    r"(?m)^\s*(?:mov|ldr|push|pop|jmp|call)\s+\w+,",
)

_LINES: Final = PatternSet((*_PROOFS, *_MARKS), fold=False)
_TASKS: Final = tuple(name for name, _, _ in english.TASKS)


def has_code(message: str) -> bool:
    """Whether the message holds program code: a fence, a line that nothing else looks like, or two marks of code."""
    text = message[:_CODE_READ]
    if "```" in text or "diff --git " in text:
        return True
    if len(text) < 12 or not any(sign in text for sign in "(){};=<"):
        return False
    found = _LINES.hits(encode(text))
    return any(line < len(_PROOFS) for line in found) or len(found) >= 2


def task_type(said: frozenset[str], *, code: bool, code_files: bool, intents: frozenset[str]) -> str | None:
    """One of the task types, or None. What the instruction says comes before what it is about."""
    if "starts with code" in said:
        return "code"
    if "text to write" in said and "generation" in intents:
        return "generation"
    named = "code" in said or ("technology" in said and "task analysis" not in said)
    named = named and (code or "maths" not in said)
    if named or (code_files and "on a file" in said):
        return "code"
    if "generation" in intents:
        return "generation"
    for name in _TASKS:
        if f"task {name}" in said:
            return name
    if code:
        return "code"
    if "smalltalk" in intents:
        return "chat"
    return "qa" if "faq" in intents or "question" in said else None


def code_task(said: frozenset[str], *, is_code: bool, message: str, files: int) -> str | None:
    """What is to be done with code: the dearest of what is asked for, None where nothing says so or it is no code.

    Work that touches several files is at least a refactoring, and the text to be completed may be all there is.
    """
    if not is_code:
        return None
    asked = [name for name in _CODE_TASKS if f"code {name}" in said]
    if "starts with code" in said and not asked and message.rstrip().endswith(_OPEN_ENDS):
        return "completion"
    if not asked:
        return None
    return "refactor" if asked[0] in ("edit", "format", "comment") and files > 3 else asked[0]


_OPEN_ENDS: Final = ('"""', "'''", ":", "{", "(", ",", "=", "->")
_CODE_TASKS: Final = tuple(name for name, _, _ in english_code.CODE_TASKS)
