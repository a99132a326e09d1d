"""The form that a request asks its answer to have, as OpenAI's dialect says it, or in words for whoever is told no other way."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final

from hroute.terms.message import Request
from hroute.wire.fields import Json, dumps

FORMS: Final = ("json_schema", "json_object")
"""What a `response_format` may be, besides text."""


def format_in_words(request: Request) -> str:
    """The form that a request asks its answer to have, for whoever is told it in words alone; "" where it asks for none."""
    if request.response_format == "json_schema" and request.json_schema is not None:
        return f"Answer with JSON alone, without a code fence, that satisfies this JSON Schema:\n{dumps(dict(request.json_schema))}"
    return "" if request.response_format == "text" else "Answer with JSON alone, without a code fence."


def response_format(request: Request, forms: Collection[str]) -> dict[str, Any] | None:
    """The `response_format` of a body, of the `forms` that the server knows; None where it knows none for it."""
    if request.json_schema is not None and "json_schema" in forms:
        return {"type": "json_schema", "json_schema": {"name": "reply", "schema": dict(request.json_schema)}}
    return {"type": "json_object"} if request.response_format != "text" and "json_object" in forms else None


def system_message(request: Request, form: Json | None) -> Iterator[dict[str, Any]]:
    """The instructions, with what `form` leaves unsaid of the form of the answer."""
    said = form is not None and (request.json_schema is None or form["type"] == "json_schema")
    told = filter(None, (request.system, "" if said else format_in_words(request)))
    if text := "\n\n".join(told):
        yield {"role": "system", "content": text}
