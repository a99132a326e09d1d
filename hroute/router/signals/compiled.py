"""What a policy's signals need compiled (its intents, its text tests), made once for each policy."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from hroute.router.signals.intent import Intents
from hroute.schema.policy import Policy
from hroute.terms.pattern import TextMatcher

_MOST: Final = 16


class Compiled:
    """The intents and text tests of one policy."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.intents = Intents(policy.intents.values())
        self.texts = {
            key: TextMatcher(test.any_of, test.all_of, test.matches, test.unless, test.glob)
            for key, test in policy.texts.items()
        }


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
