"""A request as the one text that a command-line client reads on its standard input."""

from __future__ import annotations

from collections.abc import Iterator

from hroute.providers.protocol import ProviderError
from hroute.terms.message import Message, Request, Text, Thinking
from hroute.terms.outcome import Failure, Outcome
from hroute.wire.formats import format_in_words
from hroute.wire.requests import with_files


def whole(request: Request, *, system: bool) -> str:
    """Everything that is to be sent: `system` too, where the client takes it nowhere else.

    A single turn is its own words. Several are told apart by tags, the last one to be answered. Raises ProviderError
    (capability) for what a text cannot carry: images, documents, tools.
    """
    if request.tools:
        raise _lacks("tools", "tools")
    turns = [(message, "\n".join(_words(message))) for message in with_files(request)]
    spoken = [(message, text) for message, text in turns if not message.context and text]
    pieces = [f"<instructions>\n{request.system}\n</instructions>"] if system and request.system else []
    pieces += [text for message, text in turns if message.context]
    if len(spoken) == 1 and spoken[0][0].role == "user" and not _is_command(spoken[0][1]):
        pieces.append(spoken[0][1])
    else:
        pieces += [f"<{message.role}>\n{text}\n</{message.role}>" for message, text in spoken]
        pieces.append("Answer the last user turn above.")
    return "\n\n".join(filter(None, (*pieces, format_in_words(request))))


def _is_command(text: str) -> bool:
    """Whether a client would take the text for a command of its own (`/compact`, `!ls`) instead of asking its model."""
    return text.lstrip().startswith(("/", "!"))


def _words(message: Message) -> Iterator[str]:
    for part in message.parts:
        if isinstance(part, Text):
            yield part.text
        elif not isinstance(part, Thinking):  # a model's own notes are no part of what was said
            raise _lacks("text only", "parts")


def _lacks(what: str, code: str) -> ProviderError:
    said = "takes no tools" if what == "tools" else "takes text only, no images, documents or calls of tools"
    return ProviderError(Failure(Outcome.CAPABILITY, f"a command-line client {said}", code=code))
