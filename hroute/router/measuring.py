"""How well a local model does what an agent asks of it: does a long prompt fit, how fast is it read, are tools called.

The prompts are ours and say nothing; only local providers are asked, so nothing is paid for and nothing leaves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import Final

from hroute.errors import HrouteError
from hroute.providers import registry
from hroute.providers.protocol import Permit, Plugin, ProviderError, Target
from hroute.router import egress
from hroute.router.egress import Forbidden, Guard
from hroute.router.engine import Engine
from hroute.router.plan import Skipped
from hroute.router.reference import asker
from hroute.schema.policy import Policy, Provider
from hroute.terms.message import Reply, Request, TextDelta, ThinkingDelta, Tool, ToolUse, ToolUseDelta, prompt
from hroute.terms.outcome import Failure, Outcome

SAMPLE: Final = 1_000
"""Words of the prompt by which the speed of reading is measured."""
_WORD: Final = "stone "  # a token in every tokenizer that knows words
_READ: Final = Tool(
    "read_file",
    "Read a file of this machine and return its text.",
    {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
)


@dataclass(frozen=True, slots=True)
class Speed:
    """What came of asking one model. `tokens` of prompt were read in `seconds`, as the server counts them and our clock
    tells; `problem` says why there is no measurement ("" there is one). `too_large`: the server refused a prompt of the
    size that was asked for, None where that was not tried. `calls_tools`: whether it called a tool that it was told to."""

    provider: str
    problem: str = ""
    tokens: int = 0
    seconds: float = 0.0
    too_large: bool | None = None
    calls_tools: bool | None = None

    @property
    def per_second(self) -> float | None:
        return self.tokens / self.seconds if self.tokens and self.seconds > 0 else None

    def reading(self, tokens: int) -> float | None:
        """Seconds to read so many."""
        return tokens / self.per_second if self.per_second else None


def measure(
    policy: Policy,
    provider: Provider,
    environ: Mapping[str, str],
    size: int,
    load: Callable[[str], Plugin] = registry.load,
    now: Callable[[], float] = time.monotonic,
) -> Speed:
    """Ask `provider`, which must be local, three or four times; `size` is the prompt that it should hold, in tokens. The
    prompt of that size is only sent where reading it should take no longer than the provider's `first_token`."""
    engine = Engine(policy, environ=environ, load=load)
    try:
        target = engine.target(provider)
        if isinstance(target, Skipped):
            return Speed(provider.name, target.detail)
        where = engine.surroundings().locate(provider, target)
        if where == "cloud":
            return Speed(provider.name, "it is not on this machine or network")
        guard = Guard(policy, asker(policy, {}))
        asking = _Asking(load(provider.plugin), target, lambda: egress.permit(guard, provider, where), now)
        return _measured(asking, size)
    except Forbidden as forbidden:
        return Speed(provider.name, f"not asked: {forbidden}")
    except HrouteError as error:
        return Speed(provider.name, error.message)
    finally:
        engine.close()


@dataclass(frozen=True, slots=True)
class _Asking:
    plugin: Plugin
    target: Target
    leave: Callable[[], Permit]
    now: Callable[[], float]

    def reply(self, request: Request, *, first_token: float) -> tuple[Reply | Failure, float]:
        """The whole reply, and the seconds to its first word."""
        target = replace(self.target, first_token=first_token, total=max(first_token, self.target.total))
        started = self.now()
        first = 0.0
        last: Reply | None = None
        try:
            for event in self.plugin.stream(target, request, self.leave()):
                if not first and isinstance(event, TextDelta | ThinkingDelta | ToolUseDelta):
                    first = self.now() - started
                last = getattr(event, "reply", last)
        except ProviderError as error:
            return error.failure, self.now() - started
        if last is None:
            return Failure(Outcome.BAD_CONTENT, "it answered nothing"), self.now() - started
        return last, first or self.now() - started


def _measured(asking: _Asking, size: int) -> Speed:
    name = asking.target.name
    if (warm := getattr(asking.plugin, "warm", None)) is not None:
        warm()
    patience = asking.target.total  # the first call may have to load the model, which is no fault of its reading
    loading, _ = asking.reply(_words(1), first_token=patience)
    if isinstance(loading, Failure):
        return Speed(name, loading.message)
    read, seconds = asking.reply(_words(SAMPLE), first_token=patience)
    if isinstance(read, Failure):
        return Speed(name, "" if _full(read) else read.message, too_large=True if _full(read) else None)
    tokens = read.usage.input + read.usage.cache_read + read.usage.cache_write or SAMPLE
    speed = Speed(name, "", tokens, seconds)
    expected = speed.reading(size)
    if expected is not None and expected <= asking.target.first_token:
        whole, _ = asking.reply(_words(size * SAMPLE // tokens), first_token=patience)
        speed = replace(speed, too_large=isinstance(whole, Failure) and _full(whole))
    return replace(speed, calls_tools=_calls(asking, patience))


def _calls(asking: _Asking, patience: float) -> bool | None:
    told = replace(
        prompt("Read the file notes.txt with the tool read_file. Do not answer without it."),
        tools=(_READ,),
        max_tokens=200,
        stream=True,
    )
    reply, _ = asking.reply(told, first_token=patience)
    if isinstance(reply, Failure):
        return False
    return any(isinstance(part, ToolUse) and part.name == _READ.name for part in reply.parts)


def _words(count: int) -> Request:
    """A prompt of about so many tokens that no cache knows, answered by one word."""
    return replace(prompt(f"{token_hex(4)} {_WORD * count}"), max_tokens=1, stream=True)


def _full(failure: Failure) -> bool:
    return failure.outcome is Outcome.CAPABILITY
