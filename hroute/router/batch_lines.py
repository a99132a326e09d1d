"""The lines of a batch: what each asks, under which name, and why some cannot be asked.

A line is a JSON object with `prompt` or `messages` (as Anthropic's or OpenAI's APIs take them) and, as in a log
(SEMANTICS 5), `id`, `system`, any signal by name or in `signals{}`; `tools`, `max_tokens`, `json_schema` and the vendors' own
parameters go along. A line of the vendors' batch files (`custom_id`, `body` or `params`) is read too.
"""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NoReturn

from hroute.errors import UsageError
from hroute.terms.message import Request
from hroute.terms.signal import SIGNALS, Kind, Value, coerce
from hroute.wire import anthropic, openai_chat
from hroute.wire.fields import Malformed

LONGEST: Final = 64 << 20
"""Bytes of the longest line that is read: what is longer fits no model."""

_OF_THE_BATCH: Final = ("batch_size", "stream")
"""Signals that the batch knows better than a line, which may come from a log."""

_ANTHROPIC: Final = frozenset(("tool_use", "tool_result", "thinking", "redacted_thinking", "image", "document"))
_BOM: Final = b"\xef\xbb\xbf"


class Unusable(ValueError):
    """A line that cannot be asked; its text says why and quotes nothing."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One line: its request, the signals that it gives, and the JSON Schema that its answer must fit (if any)."""

    request: Request
    signals: Mapping[str, Value]
    json_schema: Mapping[str, Any] | None = None


class Lines:
    """A file of lines, read once for the names and then one line at a time. Blank lines are none.

    A line without an `id` is called by its number. Raises UsageError where the file cannot be read, holds nothing, or
    has two lines of one name: whose result a result is must be certain.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.numbers = array("Q")
        self._offsets = array("Q")
        self.places: dict[str, int] = {}
        try:
            self._file = open(path, "rb")  # noqa: SIM115 - read line by line until `close`
        except (OSError, ValueError) as error:
            raise UsageError(f"`{path}` cannot be read: {getattr(error, 'strerror', None) or error}") from None
        if not os.path.isfile(path):
            raise UsageError(
                f"`{path}` is no file", help="a batch is counted first and can be resumed: save it as a file"
            )
        offset = 0
        for number, line in enumerate(self._file, 1):
            if line.strip():
                self._add(number, offset, _name(line) or str(number))
            offset += len(line)
        if not self.places:
            raise UsageError(
                f"`{path}` holds no line", help='write one JSON object a line: {"id": "a", "prompt": "..."}'
            )

    def __len__(self) -> int:
        return len(self._offsets)

    def names(self) -> Iterator[str]:
        """The names, in the order of the file."""
        return iter(self.places)

    def read(self, name: str) -> Asked:
        """What the line of that name asks. Raises Unusable."""
        place = self.places[name]
        self._file.seek(self._offsets[place])
        line = self._file.readline(LONGEST + 1)
        if len(line) > LONGEST:
            raise Unusable(f"the line is longer than {LONGEST >> 20} MiB")
        return asked(_object(line))

    def close(self) -> None:
        self._file.close()

    def _add(self, number: int, offset: int, name: str) -> None:
        if name in self.places:
            earlier = self.numbers[self.places[name]]
            raise UsageError(
                f"{self.path}: lines {earlier} and {number} have the same id", help="give each line an id of its own"
            )
        self.places[name] = len(self._offsets)
        self.numbers.append(number)
        self._offsets.append(offset)


def asked(data: Mapping[str, Any]) -> Asked:
    """What one decoded line asks. Raises Unusable."""
    inside = data.get("body", data.get("params"))
    data = {**inside, **data} if isinstance(inside, dict) else data
    body = {**data, "messages": _messages(data), "stream": False}
    try:
        request = anthropic.parse_request(body) if _is_anthropic(body) else _openai(body)
    except Malformed as error:
        raise Unusable(str(error)) from None
    if not any(message.parts for message in request.messages):
        raise Unusable("there is no text to send")
    schema = data.get("json_schema")
    if schema is not None and not isinstance(schema, dict):
        raise Unusable("json_schema: an object is wanted here")
    return Asked(request, _signals(data), schema)


def _messages(data: Mapping[str, Any]) -> Any:
    prompt, messages = data.get("prompt"), data.get("messages")
    if (prompt is None) == (messages is None):
        raise Unusable("either `prompt` or `messages` is wanted" + ("" if prompt is None else ", not both"))
    if messages is not None:
        return messages
    if not isinstance(prompt, str) or not prompt.strip():
        raise Unusable("prompt: a text is wanted here")
    return [{"role": "user", "content": prompt}]


def _is_anthropic(body: Mapping[str, Any]) -> bool:
    """Whether the messages are written as Anthropic's API takes them; plain texts are the same in both."""
    tools = body.get("tools")
    if isinstance(body.get("system"), list) or any("input_schema" in t for t in tools or () if isinstance(t, dict)):
        return True
    messages = body["messages"] if isinstance(body["messages"], list) else ()
    contents = (m.get("content") for m in messages if isinstance(m, dict))
    blocks = (block for content in contents if isinstance(content, list) for block in content)
    return any(isinstance(block, dict) and block.get("type") in _ANTHROPIC for block in blocks)


def _openai(body: Mapping[str, Any]) -> Request:
    request = openai_chat.parse_request(body)
    system = body.get("system")
    if system is None:
        return request
    if not isinstance(system, str):
        raise Unusable("system: a text is wanted here")
    return replace(request, system="\n\n".join(filter(None, (system, request.system))))


def _signals(data: Mapping[str, Any]) -> dict[str, Value]:
    """Signals beside the prompt and in `signals{}`, which win. What has the name of a signal but is a part of a request
    (a list of tools, a form of answer) is none; in `signals{}` everything has to be one."""
    recorded = data.get("signals", {})
    if not isinstance(recorded, dict):
        raise Unusable("signals: an object is wanted here")
    beside = {n: v for n, v in data.items() if n in SIGNALS and not isinstance(v, dict) and not _is_part(n, v)}
    found: dict[str, Value] = {}
    for name, value in {**beside, **{n: v for n, v in recorded.items() if "~" not in n}}.items():
        if value is None or name in _OF_THE_BATCH or name == "message":
            continue
        try:
            found[name] = coerce(name, value)
        except UsageError as error:
            raise Unusable(error.message) from None
    return found


def _is_part(name: str, value: Any) -> bool:
    return isinstance(value, list) and SIGNALS[name].kind is not Kind.SET


def _name(line: bytes) -> str:
    """The `id` of a line; empty where it has none, or is no JSON."""
    try:
        data = _object(line)
    except Unusable:
        return ""
    for key in ("id", "custom_id"):
        value = data.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str) and value.strip():
            return value
    return ""


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line.removeprefix(_BOM).decode("utf-8"), parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode() if rb"\ud" in line.lower() else b""
    except UnicodeDecodeError as error:
        raise Unusable(f"not UTF-8 at byte {error.start + 1}") from None
    except UnicodeEncodeError:
        raise Unusable("it holds half a character: a surrogate without its other half") from None
    except json.JSONDecodeError as error:
        raise Unusable(f"not JSON: {error.msg} at character {error.pos + 1}") from None
    except (ValueError, RecursionError):
        raise Unusable("not JSON that can be read") from None
    if not isinstance(value, dict):
        raise Unusable("not a JSON object")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
