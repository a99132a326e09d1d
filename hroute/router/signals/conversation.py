"""The state of a conversation: the user's own last words, how often they spoke, and whether they ask again.

Text that a harness adds (system reminders, command output, environment notes) is not the user's message. A short reply
("yes", "go on") stands for the turn that it answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hroute.router.signals import english
from hroute.router.signals.examples import content_words
from hroute.terms.message import Message, Request, Text
from hroute.terms.pattern import TextMatcher, normalise

VERSION: Final = "conversation/1"

HARNESS: Final = (
    "system-reminder", "system_reminder", "command-name", "command-message", "command-args", "local-command-stdout", "local-command-stderr", "local-command-caveat",
    "environment_context", "environment_details", "user_instructions", "permissions instructions", "ide_opened_file", "ide_selection", "ide_diagnostics", "task-notification",
)  # fmt: skip
"""Elements that known clients put into user turns."""

_AGAIN: Final = TextMatcher(any_of=english.ASKS_AGAIN)
_GO_ON: Final = frozenset(english.GO_ON)
_OVERLAP: Final = 0.6


@dataclass(frozen=True, slots=True)
class Conversation:
    """`message` is the last user turn; `subject` what it is about: itself, or the turn that a short reply answers; `said`
    are all of them."""

    message: str = ""
    subject: str = ""
    said: tuple[str, ...] = ()

    @property
    def turns(self) -> int:
        return len(self.said)

    @property
    def clarifying_turns(self) -> int:
        """How many turns at the end ask again; worked out anew each time."""
        return _clarifying(self.said)


def read(request: Request) -> Conversation:
    """The state of the conversation that `request` carries."""
    said = tuple(text for text in map(_said, request.messages) if text)
    return Conversation(said[-1], _subject(said), said) if said else Conversation()


def without_harness(text: str) -> str:
    """`text` without the elements that a harness adds; an element that is never closed is the user's own text."""
    if "</" not in text:
        return text.strip()
    for name in HARNESS:
        opening, closing = f"<{name}>", f"</{name.split(' ')[0]}>"
        if opening not in text:
            continue
        pieces, at = [], 0
        while (start := text.find(opening, at)) >= 0 and (end := text.find(closing, start)) >= 0:
            pieces.append(text[at:start])
            at = end + len(closing)
        text = "".join([*pieces, text[at:]])
    return text.strip()


def _said(message: Message) -> str:
    if message.role != "user" or message.context:
        return ""
    return without_harness("\n".join(part.text for part in message.parts if isinstance(part, Text)))


def _subject(said: tuple[str, ...]) -> str:
    """The last turn that is more than "go on"; the last one where all are."""
    for text in reversed(said):
        if not is_short_reply(text):
            return text
    return said[-1]


def is_short_reply(text: str) -> bool:
    """Whether `text` says no more than "go on"."""
    return len(text) <= 40 and normalise(text).casefold().strip(" .,!?") in _GO_ON


def _clarifying(said: tuple[str, ...]) -> int:
    """How many turns at the end ask again: they say so, or repeat the words of the turn before."""
    count, now = 0, frozenset[str]()
    for earlier, text in zip(reversed(said[:-1]), reversed(said), strict=False):
        before, now = content_words(earlier), now or content_words(text)
        if is_short_reply(text) or not (_AGAIN.holds(text[:2_000]) or _repeats(before, now)):
            break
        count, now = count + 1, before
    return count


def _repeats(before: frozenset[str], now: frozenset[str]) -> bool:
    return len(now) >= 2 and len(before) >= 2 and len(before & now) / len(before | now) >= _OVERLAP
