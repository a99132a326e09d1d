"""A request as the one text that a command-line client reads on its standard input."""

from __future__ import annotations

from collections.abc import Iterator

from hroute.providers.protocol import ProviderError
from hroute.terms.message import Message, Request, Text, Thinking
from hroute.terms.outcome import Failure, Outcome
from hroute.wire.fields import dumps
from hroute.wire.requests import with_files


def whole(request: Request, *, system: bool) -> str:
    """Everything that is to be sent: `system` too, where the client takes it nowhere else.

    A single turn is its own words. Several are told apart by tags, the last one to be answered. Raises ProviderError
    (capability) for what a text cannot carry: images, documents, tools.
    """
    if request.tools:
        raise ProviderError(Failure(Outcome.CAPABILITY, "a command-line client takes no tools", code="tools"))
    turns = [(message, "\n".join(_words(message))) for message in with_files(request)]
    pieces = [f"<instructions>\n{request.system}\n</instructions>"] if system and request.system else []
    context = [text for message, text in turns if message.context]
    spoken = [(message, text) for message, text in turns if not message.context and text]
    pieces += context
    if len(spoken) == 1 and spoken[0][0].role == "user":
        pieces.append(spoken[0][1])
    else:
        pieces += [f"<{message.role}>\n{text}\n</{message.role}>" for message, text in spoken]
        pieces.append("The conversation so far stands above. Answer its last user turn.")
    return "\n\n".join((*pieces, *_format(request)))


def _words(message: Message) -> Iterator[str]:
    for part in message.parts:
        if isinstance(part, Text):
            yield part.text
        elif not isinstance(part, Thinking):  # a model's own notes are no part of what was said
            what = type(part).__name__
            raise ProviderError(
                Failure(Outcome.CAPABILITY, f"a command-line client takes text only ({what})", code="parts")
            )


def _format(request: Request) -> Iterator[str]:
    if request.response_format == "json_schema" and request.json_schema is not None:
        yield f"Answer with JSON alone, without a code fence, that satisfies this JSON Schema:\n{dumps(dict(request.json_schema))}"
    elif request.response_format != "text":
        yield "Answer with JSON alone, without a code fence."
