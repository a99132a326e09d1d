"""What a message says by known words: every built-in intent, kind of work and mark of difficulty, in one pass.

Whatever is looked for here has a name; intents, kinds of work and the score are made of these names. A long message is
read at its beginning and its end: there the instruction stands, and what lies between is what it is about.
"""

from __future__ import annotations

from typing import Final

from hroute.router.signals import english, english_code
from hroute.terms.pattern import Prepared, TextMatcher
from hroute.terms.text_set import TextSet

END: Final = 2_000
"""Characters that are read at each end of a message."""

TESTS: Final[dict[str, TextMatcher]] = {
    "complaint": TextMatcher(any_of=english.COMPLAINT, matches=english.COMPLAINT_PATTERNS),
    "legal": TextMatcher(any_of=english.LEGAL),
    "generation": TextMatcher(matches=english.GENERATION_PATTERNS),
    "text to write": TextMatcher(matches=english.TEXT_PATTERNS),
    "code to write": TextMatcher(matches=english_code.WRITE_CODE, unless=english_code.NOT_CODE),
    "faq": TextMatcher(any_of=english.FAQ, matches=english.FAQ_PATTERNS, unless=english.FAQ_UNLESS),
    "faq matter": TextMatcher(any_of=english.FAQ_MATTERS, unless=english.FAQ_UNLESS),
    "faq asks": TextMatcher(matches=english.FAQ_ASKS),
    "smalltalk": TextMatcher(matches=english.SMALLTALK_PATTERNS, unless=english.NOT_SMALLTALK),
    "code": TextMatcher(any_of=english_code.CODE, matches=english_code.CODE_PATTERNS, unless=english_code.NOT_CODE),
    "technology": TextMatcher(any_of=english_code.TECHNOLOGY, unless=english_code.NOT_CODE),
    "starts with code": TextMatcher(matches=english_code.STARTS_WITH_CODE),
    "maths": TextMatcher(matches=english_code.MATHS),
    "on a file": TextMatcher(any_of=english_code.ON_A_FILE),
    "question": TextMatcher(matches=english.QUESTIONS),
    "plain question": TextMatcher(matches=english.PLAIN_QUESTIONS),
    **{f"task {name}": TextMatcher(any_of=phrases, matches=patterns) for name, phrases, patterns in english.TASKS},
    **{f"code {name}": TextMatcher(any_of=phrases, matches=p) for name, phrases, p in english_code.CODE_TASKS},
    **{f"reasoning {number}": TextMatcher(matches=(group,)) for number, group in enumerate(english.REASONING)},
    **{f"format {number}": TextMatcher(matches=(group,)) for number, group in enumerate(english.FORMAT)},
}

CHOICES: Final = "choices"
"""Not looked for by a pattern: that would cost more than all the others."""

_NAMES: Final = tuple(TESTS)
_SET: Final = TextSet(tuple(TESTS.values()))


def read(message: str) -> frozenset[str]:
    """The names of TESTS that hold for `message`."""
    if not message:
        return frozenset()
    ends = message if len(message) <= 2 * END else f"{message[:END]}\n{message[-END:]}"
    said = frozenset(_NAMES[number] for number in _SET.holding(Prepared(ends)))
    return said | {CHOICES} if _lists_answers(message) else said


def _lists_answers(message: str) -> bool:
    """Whether answers are listed to choose from, each on a line of its own: `A. ...`, `B. ...`, `C. ...`."""
    return ("\nB" in message or "\n(B" in message) and any(
        all(f"\n{before}{letter}{sign} " in message for letter in "BC") and f"{before}A{sign} " in message
        for before, sign in (("", "."), ("", ")"), ("(", ")"), ("", ":"))
    )


def count(said: frozenset[str], group: str) -> int:
    """How many of the numbered marks of `group` were found."""
    return sum(name.startswith(group) for name in said)
