"""Intents by example messages: a linear model over words, made when the policy is loaded.

From `_ENOUGH` examples on, a word that at least two of them hold is *known* to the intent, with the weight

    w = log (share of its examples that hold the word) - log (share of the other intents' examples that do)

(shares smoothed by half a count). A short message holds the intent where most of its telling words are known to it and
their weights add up to more than nothing: words that were never seen speak against it, so what is unlike every example has
no intent. With fewer examples there is nothing to learn, and a message must share most words with one of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import log
from typing import Final

from hroute.router.signals import english

_ENOUGH: Final = 20
_ALIKE: Final = 0.6
_KNOWN: Final = 0.6
_LONGEST: Final = 240
_READ: Final = 4_000
_SIGNS: Final = "".join(chr(n) if chr(n).isalnum() else " " for n in range(128))
"""What becomes of each ASCII character where only words count."""


class Examples:
    """The example messages of some intents."""

    def __init__(self, given: Iterable[tuple[str, tuple[str, ...]]]) -> None:
        self._few = _Few()
        many: dict[str, list[frozenset[str]]] = {}
        for name, examples in given:
            if len(examples) < _ENOUGH:
                self._few.add(name, examples)
            else:
                many[name] = [telling_words(example) for example in examples]
        self._many = {name: _weights(name, many) for name in many}

    def alike(self, text: str) -> set[str]:
        """Names of the intents whose examples `text` is like."""
        names = self._few.alike(text) if self._few else set()
        if self._many and len(text) <= _LONGEST:
            words = telling_words(text)
            names |= {name for name, weights in self._many.items() if _holds(words, weights)}
        return names


def telling_words(text: str) -> frozenset[str]:
    """The words of a text that say what it is about, and not merely that something is asked for."""
    return frozenset(_words(text)) - english.LITTLE_WORDS - english.ASKING


def content_words(text: str) -> frozenset[str]:
    """The words of a text (of its first 4,000 characters) that carry meaning, case-folded."""
    return frozenset(_words(text)) - english.LITTLE_WORDS


def _words(text: str) -> list[str]:
    folded = text[:_READ].casefold()
    if folded.isascii():
        return folded.translate(_SIGNS).split()
    return "".join(c if c.isalnum() else " " for c in folded).split()


def _weights(name: str, many: dict[str, list[frozenset[str]]]) -> dict[str, float]:
    """Weights of the words known to one intent."""
    own, others = many[name], [words for other, each in many.items() if other != name for words in each]
    held, elsewhere = Counter(w for words in own for w in words), Counter(w for words in others for w in words)

    def share(count: int, of: int) -> float:
        return log((count + 0.5) / (of + 1))

    return {
        word: share(count, len(own)) - (share(elsewhere[word], len(others)) if others else share(0, len(own)))
        for word, count in held.items()
        if count >= 2
    }


def _holds(words: frozenset[str], weights: dict[str, float]) -> bool:
    known = [weights[word] for word in words if word in weights]
    return bool(known) and len(known) >= _KNOWN * len(words) and sum(known) > 0


class _Few:
    """Examples too few to learn from, by their words."""

    def __init__(self) -> None:
        self._by_word: dict[str, list[int]] = {}
        self._sizes: list[tuple[str, int]] = []

    def __bool__(self) -> bool:
        return bool(self._sizes)

    def add(self, name: str, examples: tuple[str, ...]) -> None:
        for words in map(content_words, examples):
            for word in words:
                self._by_word.setdefault(word, []).append(len(self._sizes))
            self._sizes.append((name, len(words)))

    def alike(self, text: str) -> set[str]:
        """Names of intents of which one example shares at least `_ALIKE` of all words with `text` (Jaccard)."""
        words = content_words(text)
        shared: dict[int, int] = {}
        for word in words:
            for example in self._by_word.get(word, ()):
                shared[example] = shared.get(example, 0) + 1
        return {self._sizes[e][0] for e, n in shared.items() if n / (len(words) + self._sizes[e][1] - n) >= _ALIKE}
