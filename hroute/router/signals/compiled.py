"""What a policy's signals need compiled (its intents, its text tests), made once for each policy."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from hroute.router.signals.intent import Intents
from hroute.schema.policy import Policy
from hroute.terms.pattern import Prepared, TextMatcher
from hroute.terms.text_set import TextSet

_MOST: Final = 16


class Compiled:
    """The intents and text tests of one policy."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.intents = Intents(policy.intents.values())
        self._keys: dict[str, list[str]] = {}
        for key, test in policy.texts.items():
            self._keys.setdefault(test.signal, []).append(key)
        self._sets = {signal: TextSet([_matcher(policy, key) for key in keys]) for signal, keys in self._keys.items()}

    def texts(self, signal: str, text: Prepared) -> dict[str, bool]:
        """Every text test on `signal` by its key, and whether it holds for `text`."""
        holding = self._sets[signal].holding(text)
        return {key: number in holding for number, key in enumerate(self._keys[signal])}


def _matcher(policy: Policy, key: str) -> TextMatcher:
    test = policy.texts[key]
    return TextMatcher(test.any_of, test.all_of, test.matches, test.unless, test.glob)


_BY_POLICY: Final[OrderedDict[int, Compiled]] = OrderedDict()
_LOCK: Final = threading.Lock()


def compiled(policy: Policy) -> Compiled:
    """What was compiled of this very policy; the policy is held with it, so that its id stays its own."""
    with _LOCK:
        known = _BY_POLICY.get(id(policy))
        if known is None:
            known = _BY_POLICY[id(policy)] = Compiled(policy)
            while len(_BY_POLICY) > _MOST:
                _BY_POLICY.popitem(last=False)
    return known
