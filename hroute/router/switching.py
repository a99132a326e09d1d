"""What a prompt cache is worth: a conversation that goes elsewhere has to be read anew there, and to be cached anew if it comes
back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hroute.router.pricing import cost_of
from hroute.schema.policy import Policy, Provider
from hroute.terms.usage import Usage

CACHED_SECONDS: Final = 300.0
"""How long a vendor keeps a prompt cache that nobody asks for longer."""

EXPECTED: Final = 500
"""Output tokens of a turn, where the comparison needs a number."""


@dataclass(frozen=True, slots=True)
class Warm:
    """Who answered last in a conversation, so many seconds ago, and how many tokens of it that provider then had in its
    prompt cache."""

    provider: str
    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Switch:
    """What leaving a warm prompt cache means, in nano-dollars: `saved` by the next turn elsewhere, `lost` by making the
    cache again; None where a price is not known."""

    warm: Warm
    to: str
    saved: int | None
    lost: int | None

    @property
    def pays(self) -> bool:
        """Whether the turn elsewhere saves more than the cache costs."""
        return self.saved is not None and self.lost is not None and self.saved > self.lost


def worth(now: Provider, then: Provider, prompt: int, *, at: datetime | None = None) -> tuple[int | None, int | None]:
    """(what the next turn would save at `then`, what the prompt cache at `now` would cost to make again), nano-dollars."""
    staying = cost_of(now, Usage(cache_read=prompt, output=EXPECTED), at=at)
    leaving = cost_of(then, Usage(input=prompt, output=EXPECTED), at=at)
    anew, read = cost_of(now, Usage(cache_write=prompt), at=at), cost_of(now, Usage(cache_read=prompt), at=at)
    saved = None if staying is None or leaving is None else staying - leaving
    return saved, None if anew is None or read is None else anew - read


def switch(policy: Policy, warm: Warm | None, to: str | None, *, at: datetime | None = None) -> Switch | None:
    """What it means to go `to` another provider than the one that is warm; None where nothing is lost."""
    if warm is None or to is None or to == warm.provider or not warm.tokens or warm.seconds >= CACHED_SECONDS:
        return None
    if warm.provider not in policy.providers or to not in policy.providers:
        return None
    return Switch(warm, to, *worth(policy.providers[warm.provider], policy.providers[to], warm.tokens, at=at))
