"""What the user wants, as a set of names: the policy's own intents and five built-in ones.

A policy's intent holds by its text test, or by its examples. The built-in ones are English phrases; an entry of the same
name in the policy adds to one (its words in another language, say), and its `unless` overrules both. Everything unknown
has no intent, so that a rule which keeps work local always has positive evidence.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hroute.router.signals import english
from hroute.router.signals.examples import Examples
from hroute.schema.policy import Intent
from hroute.terms.pattern import Prepared, TextMatcher
from hroute.terms.text_set import TextSet

VERSION: Final = "intent/2"

_SHORT: Final = 400
"""A question about hours or prices is short; the same words in a long message are its subject, not its question."""
_QUESTION: Final = 160
_REMARK: Final = 90

_ALWAYS: Final[tuple[str, ...]] = ("complaint", "legal")
_SMALLTALK: Final = frozenset(english.SMALLTALK)


class Intents:
    """The intents of one policy, compiled once."""

    def __init__(self, own: Iterable[Intent] = ()) -> None:
        intents = tuple(own)
        tested = [(i.name, i.test) for i in intents if i.test]
        self._names = tuple(name for name, _ in tested)
        self._tests = TextSet([TextMatcher(t.any_of, t.all_of, t.matches, t.unless, t.glob) for _, t in tested])
        self._vetoed = tuple(name for name, test in tested if test.unless)
        self._vetoes = TextSet([TextMatcher(any_of=test.unless) for _, test in tested if test.unless])
        self._examples = Examples((i.name, i.examples) for i in intents)

    def of(self, message: str, said: frozenset[str]) -> frozenset[str]:
        """Every intent that the message holds, of which `wording.read` says `said`."""
        names = built_in(message, said) | self._examples.alike(message)
        if self._names:
            prepared = Prepared(message)
            names -= {self._vetoed[number] for number in self._vetoes.holding(prepared)}
            names |= {self._names[number] for number in self._tests.holding(prepared)}
        return frozenset(names)


def built_in(message: str, said: frozenset[str]) -> set[str]:
    """Which of complaint, legal, generation, faq and smalltalk hold."""
    names: set[str] = {name for name in _ALWAYS if name in said}
    if "generation" in said and ("text to write" in said or not said & {"code to write", "code", "technology"}):
        names.add("generation")
    weighty = bool(names)
    asks = "faq matter" in said and "faq asks" in said and len(message) <= _QUESTION and _numbers(message) < 3
    if asks or ("faq" in said and len(message) <= _SHORT):
        names.add("faq")
    if not weighty and (_is_smalltalk(message) or ("smalltalk" in said and len(message) <= _REMARK)):
        names.add("smalltalk")
    return names


def _numbers(text: str) -> int:
    """How many numbers stand in it: three make a problem to be solved, not a question about a price."""
    return len("".join(c if c.isdigit() else " " for c in text.replace(",", "").replace(".", "")).split())


def _is_smalltalk(text: str) -> bool:
    """Every sentence of it is a greeting, thanks or the like."""
    if len(text) > 80:
        return False
    folded = text.casefold().replace("’", "'")
    for mark in ".!,?;:":
        folded = folded.replace(mark, "\n")
    sentences = [sentence for line in folded.split("\n") if (sentence := line.strip())]
    return bool(sentences) and all(sentence in _SMALLTALK for sentence in sentences)
