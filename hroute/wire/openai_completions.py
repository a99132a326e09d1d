"""OpenAI's older completions: a text is continued, or its middle is filled in. The stream machine is in
`openai_completions_stream`.

A request is read as one user turn that a chat model can answer: the instruction to continue is its system text, and where
a text has an end (`suffix`), a mark stands between the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from hroute.terms.message import Message, Part, Reply, Request, StopReason, Text, Unread
from hroute.wire.fields import Json, Malformed, limit, mapping, required, stops, without, word
from hroute.wire.openai_chat import STOPS, usage_body, usage_of

CURSOR: Final = "<|cursor|>"
"""Stands where a text is to be filled in."""
CONTINUE: Final = (
    "Continue the text that the user sends, exactly from where it ends. Reply with the continuation only: no comment, no "
    "quotes, no code fence, and nothing of the text again."
)
FILL: Final = (
    f"The user sends a text with {CURSOR} in it. Reply with what belongs in the place of {CURSOR} only: no comment, no "
    "quotes, no code fence, and nothing of the text before or after it again."
)
STOP_NAMES: Final = {
    StopReason.END: "stop",
    StopReason.STOP_SEQUENCE: "stop",
    StopReason.TOOL_USE: "stop",
    StopReason.LENGTH: "length",
    StopReason.TRUNCATED: "length",
    StopReason.REFUSAL: "content_filter",
}
_SAME: Final = ("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty")
_LARGEST: Final = 10**7  # no vocabulary is larger
_MARKS: Final = ("<|fim_prefix|>", "<|fim_begin|>", "<fim_prefix>", "<PRE>", "[PREFIX]", "[SUFFIX]", "<｜fim▁begin｜>")
"""Tokens with which known models are told of a text with a gap; a client that writes them has an editor's cursor."""


def parse_request(body: Json) -> Request:
    """A body of POST /v1/completions. Raises Malformed."""
    mapping(body, "body")
    suffix = body.get("suffix")
    if suffix is not None and not isinstance(suffix, str):
        raise Malformed("suffix: a text is wanted here")
    parts = tuple(_prompts(body.get("prompt")))
    if suffix and len(parts) == 1 and isinstance(parts[0], Text):
        parts = (Text(f"{parts[0].text}{CURSOR}{suffix}"),)
    elif suffix:
        parts = (*parts, Text(suffix))
    params = {name: body[name] for name in _SAME if body.get(name) is not None}
    if stop := stops(body.get("stop")):
        params["stop"] = stop
    return Request(
        (Message("user", parts),),
        system=FILL if suffix else CONTINUE,
        max_tokens=limit(body, "max_tokens"),
        stream=body.get("stream") is True,
        params=params,
    )


def emit_request(request: Request, model: str) -> dict[str, Any]:
    """The body that asks for `request`, which `parse_request` made."""
    prompt, mark, suffix = request.last_user_text.partition(CURSOR)
    params = request.params
    return without(
        model=model,
        prompt=prompt,
        suffix=suffix if mark else None,
        max_tokens=request.max_tokens,
        stop=list(params["stop"]) if params.get("stop") else None,
        stream=True if request.stream else None,
        stream_options={"include_usage": True} if request.stream else None,
        **{name: params[name] for name in _SAME if name in params},
    )


def parse_reply(body: Json) -> Reply:
    """A completion as the API returns it; its first choice counts. Raises Malformed."""
    choices = required(mapping(body, "body").get("choices"), "choices")
    first = choices[0] if choices else {}
    text = word(first, "text")
    usage = body.get("usage")
    return Reply(
        (Text(text),) if text else (),
        word(body, "model"),
        STOPS.get(word(first, "finish_reason"), StopReason.END),
        usage_of(usage if isinstance(usage, dict) else {}),
    )


def emit_reply(reply: Reply, *, id: str = "cmpl-hroute", created: int = 0) -> dict[str, Any]:
    """`created` is Unix time in seconds."""
    choice = {"text": reply.text, "index": 0, "logprobs": None, "finish_reason": STOP_NAMES[reply.stop]}
    return {
        "id": id,
        "object": "text_completion",
        "created": created,
        "model": reply.model,
        "choices": [choice],
        "usage": usage_body(reply.usage),
    }


def fills_in(body: Json) -> bool:
    """Whether a gap is to be filled, as editors ask at every keystroke."""
    prompt = body.get("prompt")
    return bool(body.get("suffix")) or (isinstance(prompt, str) and any(mark in prompt for mark in _MARKS))


def beyond_chat(body: Json) -> tuple[str, ...]:
    """What `body` asks for that no chat can give, by name."""
    prompt = body.get("prompt")
    several = isinstance(prompt, list) and (len(prompt) != 1 or not isinstance(prompt[0], str))
    asked = {
        "n": body.get("n") not in (None, 1),
        "best_of": body.get("best_of") not in (None, 1),
        "echo": body.get("echo") not in (None, False),
        "logprobs": body.get("logprobs") is not None and body.get("logprobs") is not False,
        "logit_bias": bool(body.get("logit_bias")),
        "a prompt of tokens, or several of them": several,
    }
    return tuple(name for name, wanted in asked.items() if wanted)


def _prompts(raw: object) -> Iterator[Part]:
    """One text, several, or tokens, which nobody can read who has not the model's tokenizer."""
    items = [raw] if isinstance(raw, str) else raw
    if not isinstance(items, list) or not items:
        raise Malformed("prompt: a text, or a list of them, is wanted here")
    said = [item for item in items if isinstance(item, str)]
    if len(said) == len(items):
        yield from map(Text, said)
    elif all(_is_token(item) for item in items) or all(
        isinstance(item, list) and item and all(map(_is_token, item)) for item in items
    ):
        yield Unread("document", "application/x-tokens", name="tokens")
    else:
        raise Malformed("prompt: a text, or a list of them, is wanted here")


def _is_token(item: Any) -> bool:
    number = isinstance(item, (int, float)) and not isinstance(item, bool)
    return number and 0 <= item <= _LARGEST and item == int(item)
