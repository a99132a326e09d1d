"""The library's front door: `Client` and `AsyncClient`, one call and one kind of answer, whatever serves."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final, Self

from hroute.errors import UsageError
from hroute.providers.protocol import Plugin
from hroute.router.answer import Answer as Answer
from hroute.router.attempts import Attempt as Attempt
from hroute.router.attempts import Move as Move
from hroute.router.decision import Decision
from hroute.router.drive import adrive, asender, drive, sender
from hroute.router.engine import Engine, Observer, Run, coerced
from hroute.router.streaming import AsyncStream as AsyncStream
from hroute.router.streaming import Stream as Stream
from hroute.schema.policy import Policy
from hroute.terms.message import Message, Request, Text

if TYPE_CHECKING:
    from hroute.ledger.ledger import Ledger
    from hroute.providers.sandbox.script import Script
    from hroute.router.following import Following
    from hroute.router.reload import Reload

POLICY_NAME: Final = "routing-config.yaml"


@dataclass(frozen=True, slots=True)
class TaskContext:
    """What a program knows about a task, as signals; None is "not known". Taints may be raised, never lowered."""

    task_type: str | None = None
    complexity: str | None = None
    contains_pii: bool | None = None
    expected_tokens: int | None = None
    batch_size: int = 1
    priority: str | None = None
    cost_center: str | None = None
    tenant: str | None = None
    user: str | None = None
    session: str | None = None

    def signals(self) -> dict[str, Any]:
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in given.items() if value is not None}


def policy_path(environ: Mapping[str, str], directory: str = ".") -> str:
    """Where the policy is: `$HROUTE_POLICY`, else `routing-config.yaml` here, else in the XDG config directory.

    Raises UsageError where there is none.
    """
    named = environ.get("HROUTE_POLICY")
    if named:
        return named
    config = environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    places = (os.path.join(directory, POLICY_NAME), os.path.join(config, "hroute", POLICY_NAME))
    for place in places:
        if os.path.isfile(place):
            return os.path.normpath(place)
    raise UsageError(f"no policy found: neither {' nor '.join(places)} exists", help="hroute init writes one")


def engine_of(
    path: str | os.PathLike[str] | None = None,
    *,
    policy: Policy | None = None,
    sandbox: Script | bool | None = None,
    environ: Mapping[str, str] | None = None,
    observe: Observer | None = None,
    ledger: Ledger | str | bool | None = None,
    **parts: Any,
) -> Engine:
    """An engine for a policy or its file. Raises PolicyError with the findings where the policy cannot be loaded.

    `ledger` is where requests are written down (`hroute.router.bookkeeping.books_of`); False: nowhere.
    """
    surroundings = os.environ if environ is None else environ
    if policy is None:
        from hroute.router.check import load

        policy = load(os.fspath(path) if path is not None else policy_path(surroundings))
    if "books" not in parts:
        from hroute.router.bookkeeping import books_of

        parts["books"] = books_of(policy, surroundings, ledger, rehearsal=sandbox not in (None, False))
    if "queue" not in parts:
        from hroute.ledger.queue import Queue, place

        parts["queue"] = Queue(place(surroundings), rehearsal=sandbox not in (None, False))
    return Engine(policy, environ=surroundings, stand_in=_sandbox(sandbox), observe=observe, **parts)


def request_of(
    prompt: str | Request,
    *,
    system: str = "",
    files: Iterable[tuple[str, str]] = (),
    max_tokens: int | None = None,
    json_schema: Mapping[str, Any] | None = None,
    stream: bool = False,
) -> Request:
    """`prompt` as a Request; what is given here goes over what a Request says already.

    Raises UsageError where `json_schema` is no JSON Schema.
    """
    if json_schema is not None:
        _check_schema(json_schema)
    base = prompt if isinstance(prompt, Request) else Request((Message("user", (Text(prompt),)),))
    return replace(
        base,
        system=system or base.system,
        files=(*base.files, *files),
        max_tokens=max_tokens or base.max_tokens,
        json_schema=json_schema if json_schema is not None else base.json_schema,
        response_format="json_schema" if json_schema is not None else base.response_format,
        stream=stream or base.stream,
    )


class _Front:
    """What both clients share: a policy with its engine, and decisions without sending."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._following: Following | None = None

    @classmethod
    def from_policy(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        policy: Policy | None = None,
        sandbox: Script | bool | None = None,
        environ: Mapping[str, str] | None = None,
        observe: Observer | None = None,
        ledger: Ledger | str | bool | None = None,
        reload: bool = True,
        on_reload: Callable[[Reload], None] | None = None,
        **parts: Any,
    ) -> Self:
        """A client for a policy file (looked for as the command line does) or a Policy.

        `sandbox` puts scripted answers under every provider name; `environ` replaces the process's environment;
        `observe` is told every attempt and every move to another provider. `ledger` is where requests are written down: a
        Ledger, a path or a URL; None, where environment and policy say; False, nowhere. Raises PolicyError, UsageError.

        A policy file is followed (`reload`): a good one that passes its own tests takes the place of the last one, a bad
        one changes nothing and is logged under `hroute.policy`; `on_reload` is told of both, in another thread.
        """
        following = None
        if policy is None and reload:
            from hroute.router.following import Following

            place = os.fspath(path) if path is not None else policy_path(os.environ if environ is None else environ)
            following = Following(place, on_reload)
            policy = following.policy
        front = cls(
            engine_of(path, policy=policy, sandbox=sandbox, environ=environ, observe=observe, ledger=ledger, **parts)
        )
        if following is not None:
            front._following = following
            following.start(front, _Front._take)
        return front

    def _take(self, policy: Policy) -> None:
        """Serve under `policy` from now on; what has begun ends under the one that it began with."""
        self.engine = self.engine.under(policy)

    def _unfollow(self) -> None:
        if self._following is not None:
            self._following.stop()

    @property
    def policy(self) -> Policy:
        return self.engine.policy

    def decide(self, prompt: str | Request | None = None, **signals: Any) -> Decision:
        """What the policy decides; nothing is sent. Raises UsageError for a signal that does not fit."""
        request = None if prompt is None else request_of(prompt)
        engine = self.engine
        return engine.decide(request, engine.sessions.enter(engine.policy, request, coerced(signals)))[0]

    def _begin(
        self, prompt: str | Request, options: dict[str, Any], engine: Engine | None = None, *, stream: bool = False
    ) -> Run:
        shape = {k: options.pop(k) for k in ("system", "files", "max_tokens", "json_schema") if k in options}
        down = frozenset(options.pop("down", ()))
        id, queue = options.pop("id", None), options.pop("queue", None)
        request = request_of(prompt, stream=stream, **shape)
        return (engine or self.engine).begin(request, coerced(options), id=id, down=down, stream=stream, queue=queue)


class Client(_Front):
    """Sends prompts through a policy. A context manager; safe between threads.

    Besides signals by name, every call takes `system`, `files` ((name, text) pairs), `max_tokens`, `json_schema`, `id`,
    `down` (names that count as out of order) and `queue` (True: keep the request where nobody answers, to be asked again
    by `hroute queue run`; the error then has its id as `queued`). Raises Refused, NoCredential, AllFailed, each with `.decision` and
    `.attempts`; UsageError for a signal that does not fit.
    """

    def complete(self, prompt: str | Request, **signals: Any) -> Answer:
        """Send `prompt` where the policy says and wait for the whole answer."""
        engine = self.engine
        run = self._begin(prompt, signals, engine)
        send = sender(engine.plugin)
        answer = engine.settle(run, drive(run.steps, send, engine.clock))
        engine.shadows.cast(run, answer, send, engine.clock)
        return answer

    def route(self, context: TaskContext, prompt: str | Request, **signals: Any) -> Answer:
        """`complete` with what the program knows about the task."""
        return self.complete(prompt, **{**context.signals(), **signals})

    def stream(self, prompt: str | Request, **signals: Any) -> Stream:
        """Send `prompt` and pass the answer on as it is written. Nothing is sent before the first event is asked for."""
        engine = self.engine
        return Stream(engine, self._begin(prompt, signals, engine, stream=True))

    def close(self) -> None:
        self._unfollow()
        self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient(_Front):
    """`Client` for an event loop: the same calls, awaited."""

    async def complete(self, prompt: str | Request, **signals: Any) -> Answer:
        """Send `prompt` where the policy says and wait for the whole answer."""
        engine = self.engine
        run = self._begin(prompt, signals, engine)
        send = asender(engine.plugin)
        answer = engine.settle(run, await adrive(run.steps, send, engine.clock))
        engine.shadows.acast(run, answer, send, engine.clock)
        return answer

    async def route(self, context: TaskContext, prompt: str | Request, **signals: Any) -> Answer:
        """`complete` with what the program knows about the task."""
        return await self.complete(prompt, **{**context.signals(), **signals})

    def stream(self, prompt: str | Request, **signals: Any) -> AsyncStream:
        """Send `prompt` and pass the answer on as it is written. Nothing is sent before the first event is asked for."""
        engine = self.engine
        return AsyncStream(engine, self._begin(prompt, signals, engine, stream=True))

    async def aclose(self) -> None:
        self._unfollow()
        await self.engine.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def _check_schema(schema: Mapping[str, Any]) -> None:
    from hroute.schema.reply_schema import schema_errors

    for problem in schema_errors(dict(schema)):
        raise UsageError(f"the JSON Schema cannot be used: {problem}")


def _sandbox(wanted: Script | bool | None) -> Plugin | None:
    if wanted is None or wanted is False:
        return None
    from hroute.providers.sandbox.provider import SandboxPlugin

    return SandboxPlugin(None if wanted is True else wanted)
