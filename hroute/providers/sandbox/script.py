"""What the sandbox plays: answers and faults as frozen data, read from a plain mapping.

The mapping is what a YAML or JSON file holds::

    seed: 7                                            # of every probability and latency below
    answers:                                           # the first that fits answers; else a built-in text
      - {message: ["opening hours"], provider: ollama, text: "We open at nine."}
      - {prompt: {matches: ['(?i)weather']}, tools: [{name: get_weather, input: {city: Kyiv}}]}
    faults:                                            # every one that strikes acts
      - {kind: overloaded, provider: claude_sonnet, first: 3}
      - {kind: rate_limit, retry_after: 2s, model: "gpt-*", every: 4}
      - {kind: error, status: 400, code: context_length_exceeded, text: "too many tokens", headers: {x-request-id: "7"}}
      - {kind: latency, median: 800ms, p95: 4s, provider: ollama}
    models: [llama3.1:8b]                              # what the HTTP sandbox lists; without it, it takes any name
    loaded: [{model: llama3.1:8b, context: 8192, size: 6700000000, vram: 5000000000}]    # what Ollama has in memory

Nothing here has state; `hroute.providers.sandbox.play` counts the calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from hroute.terms.pattern import TextMatcher


class FaultKind(StrEnum):
    """What can go wrong, by the name that a script uses."""

    BAD_REQUEST = "bad_request"  # 400
    TOO_LONG = "too_long"  # 400, the prompt does not fit
    UNAUTHORIZED = "unauthorized"  # 401
    NO_CREDIT = "no_credit"  # 402
    FORBIDDEN = "forbidden"  # 403
    MODEL_GONE = "model_gone"  # 404
    RATE_LIMIT = "rate_limit"  # 429
    SERVER_ERROR = "server_error"  # 500
    UNAVAILABLE = "unavailable"  # 503
    OVERLOADED = "overloaded"  # 529
    ERROR = "error"  # any other status, with the vendor's code, words and headers
    DOWN = "down"  # no connection
    SLOW = "slow"  # the first token comes late
    STALL = "stall"  # nothing more comes, the connection stays open
    CUT = "cut"  # the connection breaks in the middle
    EMPTY = "empty"  # a reply without a word
    FENCED_JSON = "fenced_json"  # JSON in a Markdown block with words around it
    BROKEN_JSON = "broken_json"  # JSON that stops half-way
    REFUSAL = "refusal"  # the model declines
    LATENCY = "latency"  # a distribution of waiting times
    CONTEXT = "context"  # the oldest part of the prompt is silently dropped
    LOAD = "load"  # the model is loaded first


STATUS: Final[Mapping[FaultKind, int]] = {
    FaultKind.BAD_REQUEST: 400,
    FaultKind.TOO_LONG: 400,
    FaultKind.UNAUTHORIZED: 401,
    FaultKind.NO_CREDIT: 402,
    FaultKind.FORBIDDEN: 403,
    FaultKind.MODEL_GONE: 404,
    FaultKind.RATE_LIMIT: 429,
    FaultKind.SERVER_ERROR: 500,
    FaultKind.UNAVAILABLE: 503,
    FaultKind.OVERLOADED: 529,
}
"""The HTTP status of the faults that are one. A script may write the number instead of the name."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which calls are meant: who is called, what is said, and which of those calls in turn.

    `providers` and `models` are names, `*` is a glob, empty means all. `message` tests the last user turn, `prompt`
    everything the model sees. Of the calls that fit, the first `after` are let pass, then `first` of them are meant
    (None: all), of these every `every`-th, of these a share of `probability`.
    """

    providers: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    message: TextMatcher | None = None
    prompt: TextMatcher | None = None
    after: int = 0
    first: int | None = None
    every: int = 1
    probability: float = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A scripted reply. Several `texts` are given in turn. `tools` are (name, input) calls that the model asks for."""

    scope: Scope = Scope()
    texts: tuple[str, ...] = ()
    tools: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    thinking: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong. All times are seconds.

    `seconds`: how long `slow`, `stall` and `load` take. `at`: after which share of the reply `cut` and `stall` strike.
    `clean`: a cut that closes properly, only without the terminal event. `retry_after`: what the error asks for.
    `tokens`: the window of `context`. `median` and `p95`, or `values` in turn, are the distribution of `latency`.
    `declared`: a refusal that also bears the vendor's own stop reason. `status`, `code`, `text` and `headers` are those of
    an `error`.
    """

    kind: FaultKind
    scope: Scope = Scope()
    seconds: float = 0.0
    at: float = 0.5
    clean: bool = False
    retry_after: float | None = None
    tokens: int = 0
    text: str = ""
    status: int = 0
    code: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    declared: bool = False
    median: float = 0.0
    p95: float = 0.0
    values: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in the memory of a server: its window in tokens, its size and what of that lies in VRAM in bytes."""

    model: str
    context: int = 4096
    size: int = 0
    vram: int = 0


@dataclass(frozen=True, slots=True)
class Script:
    """Answers and faults. `seed` decides every probability and every latency. `loaded` are the models in memory; None:
    all that are listed."""

    answers: tuple[Answer, ...] = ()
    faults: tuple[Fault, ...] = ()
    models: tuple[str, ...] = field(default=("sandbox",))
    seed: int = 0
    loaded: tuple[Loaded, ...] | None = None

    @property
    def lists(self) -> bool:
        """Whether the script says which models there are."""
        return self.models != ("sandbox",)

    @property
    def in_memory(self) -> tuple[Loaded, ...]:
        return tuple(map(Loaded, self.models)) if self.loaded is None else self.loaded

    @staticmethod
    def from_data(data: Mapping[str, Any] | None) -> Script:
        """The script that `data` describes. Raises UsageError with the place of what is wrong."""
        from hroute.providers.sandbox.reading import read_script

        return read_script(data)
