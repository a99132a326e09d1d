"""From plain signals to features: defaults filled in, text tests answered.

A feature is what a test looks at: a signal by name, or the key of a text test (`message~3f2a9c01`), whose boolean is
either recorded or computed from the signal's text here, once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from hroute.router.decision import Signals
from hroute.schema.condition import Ask, TextTest
from hroute.schema.policy import Policy
from hroute.terms.pattern import TextMatcher
from hroute.terms.signal import ABSENT, SIGNALS, Value

DEFAULTS: Mapping[str, Value] = {name: signal.default for name, signal in SIGNALS.items()}


def asker(policy: Policy, signals: Signals) -> Ask:
    """A function that gives each feature of a request whose signals are all known."""
    texts = policy.texts

    def ask(feature: str) -> Value:
        value = signals.get(feature, ABSENT)
        if value is not ABSENT:
            return value
        test = texts.get(feature)
        if test is not None:
            return text_holds(test, signals.get(test.signal, ABSENT))
        return DEFAULTS[feature]

    return ask


def text_holds(test: TextTest, value: Value) -> bool:
    """Whether a text test holds for a signal's value; false on absence."""
    return isinstance(value, str) and matcher(test)(value)


@lru_cache(maxsize=4096)
def matcher(test: TextTest) -> Callable[[str], bool]:
    """The compiled form of a text test."""
    return TextMatcher(test.any_of, test.all_of, test.matches, test.unless, test.glob).holds
