"""`hroute queue`: requests that nobody answered, kept on this machine, and asked again when it is time."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from hroute.cli import exits, policies, running, streams
from hroute.cli.render.table import rows
from hroute.cli.render.text import count, visible
from hroute.errors import UsageError
from hroute.terms import money
from hroute.terms.ids import short

if TYPE_CHECKING:
    from hroute.ledger.queue import Item, Queue
    from hroute.router.client import AsyncClient
    from hroute.router.queue import Terms, Tried

HELP = """Requests that nobody answered, kept to be asked again.

hroute ask --queue, a rule with `on_all_failed: queue`, and a program's `queue=True` put them here. Their text lies in files
that only you can read; what binds them when they are kept binds them for ever, whatever the policy says later.
"""
LIST_HELP = "List what is kept; never its text."
SHOW_HELP = "Show one request: what binds it, what was tried; with --text also what was asked, and the answer."
RETRY_HELP = "Make requests due now, also those that were given up. `hroute queue run` asks them."
DROP_HELP = "Remove requests with their text and their answers."
RUN_HELP = """Ask what is due once more, under the policy of today, and keep the answers: `hroute queue show ID --text`.

Safe to kill and safe to run twice: each request has one result. From cron: */5 * * * * hroute queue run
"""

_UNITS: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"))

IdsArgument = Annotated[list[str] | None, typer.Argument(metavar="[ID...]", help="Which: any unique end of its id.")]
LinesOption = Annotated[bool, typer.Option("--json", help="One JSON object a request.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help=HELP, rich_markup_mode=None, no_args_is_help=True)
    group.callback()(_group)
    group.command("list", help=LIST_HELP)(list_)
    group.command("show", help=SHOW_HELP)(show)
    group.command("retry", help=RETRY_HELP)(retry)
    group.command("drop", help=DROP_HELP)(drop)
    group.command("run", help=RUN_HELP)(run)
    app.add_typer(group, name="queue")


def _group() -> None:
    """Commands of the retry queue."""


def list_(
    state: Annotated[
        str | None, typer.Option("--state", metavar="STATE", help="Only waiting, running, done or failed ones.")
    ] = None,
    as_json: LinesOption = False,
) -> int:
    """What is kept, the oldest first."""
    from hroute.ledger.queue import STATES

    if state is not None and state not in STATES:
        raise UsageError(f"`{state}` is no state", help=f"one of {', '.join(STATES)}")
    items = _queue().items(STATES if state is None else (state,))
    if as_json:
        for item in items:
            streams.emit("queue", _as_json(item))
        return exits.DONE
    now = _now()
    for line in rows([_row(item, now) for item in items]):
        streams.line(line)
    if not items:
        streams.talk("nothing is kept" if state is None else f"nothing is {state}")
    elif any(item.state == "waiting" for item in items):
        streams.talk("hroute queue run asks what is due")
    return exits.DONE


def show(
    id: Annotated[str, typer.Argument(metavar="ID", help="Any unique end of its id.")],
    text: Annotated[bool, typer.Option("--text", help="Also what was asked, and the answer.")] = False,
    as_json: policies.JsonOption = False,
) -> int:
    """One item; text only where it is asked for."""
    queue = _queue()
    item = queue.find(id)
    result = queue.result(item.id)
    body = queue.body(item.id) if text else None
    if as_json:
        streams.emit("queue", {**_as_json(item), **_outcome(result), **(_texts(body, result) if text else {})})
        return exits.DONE
    for line in rows(_facts(item, result), indent=0):
        streams.line(visible(line))
    if text:
        _show_texts(body, result)
    elif result is not None:
        streams.talk(f"the answer: hroute queue show {short(item.id)} --text")
    return exits.DONE


def retry(
    ids: IdsArgument = None,
    failed: Annotated[bool, typer.Option("--failed", help="All that were given up.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="All that wait or were given up.")] = False,
    as_json: policies.JsonOption = False,
) -> int:
    """Make due."""
    queue = _queue()
    states: set[str] = {"failed"} if failed else {"failed", "waiting"} if everything else set()
    chosen = _chosen(queue, ids, states, "--failed or --all")
    changed = [item.id for item in chosen if queue.retry(item.id, now=_now())]
    return _changed("retry", changed, [i for i in chosen if i.id not in changed], as_json, "due now: hroute queue run")


def drop(
    ids: IdsArgument = None,
    done: Annotated[bool, typer.Option("--done", help="All that have an answer.")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="All that were given up.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Everything.")] = False,
    as_json: policies.JsonOption = False,
) -> int:
    """Remove."""
    from hroute.ledger.queue import STATES

    queue = _queue()
    states: set[str] = set(STATES) if everything else {*(["done"] if done else []), *(["failed"] if failed else [])}
    chosen = _chosen(queue, ids, states, "--done, --failed or --all")
    gone = [item.id for item in chosen if queue.drop(item.id)]
    return _changed("drop", gone, [item for item in chosen if item.id not in gone], as_json, "removed")


def run(
    ids: IdsArgument = None,
    policy: policies.PolicyOption = None,
    as_json: LinesOption = False,
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, max=512, help="How many are asked at the same time.")
    ] = 4,
    watch: Annotated[
        float | None, typer.Option("--watch", metavar="SECONDS", min=1, help="Look again so often, until interrupted.")
    ] = None,
    sandbox: running.SandboxOption = False,
    sandbox_script: running.SandboxScriptOption = None,
) -> int:
    """Ask, and say what came of each."""
    from hroute.router.queue import Terms

    queue = _queue(rehearsal=sandbox or sandbox_script is not None)
    among = None if not ids else tuple(queue.find(id).id for id in ids)
    client = running.client_of(policy, sandbox, sandbox_script)
    with closing(queue):
        tried, stopped = asyncio.run(_work(client, queue, Terms(concurrency, among), watch, as_json))
    answered = sum(each.answer is not None for each in tried)
    if tried:
        streams.talk(f"{answered} of {len(tried)} answered" + (": hroute queue show ID --text" if answered else ""))
    elif not stopped:
        streams.talk(_nothing_due(queue, among))
    return exits.INTERRUPTED if stopped else exits.DONE if answered == len(tried) else exits.NO


async def _work(
    client: AsyncClient, queue: Queue, terms: Terms, watch: float | None, as_json: bool
) -> tuple[list[Tried], bool]:
    from hroute.router.bounded import Stop
    from hroute.router.queue import work_off

    stop = Stop()
    tried: list[Tried] = []
    async with client:
        with running.interruptible(stop):
            while True:
                tried += await work_off(client.engine, queue, terms, stop, lambda each: _tell(each, as_json))
                if watch is None or stop.asked.is_set():
                    return tried, stop.asked.is_set()
                with suppress(TimeoutError):
                    async with asyncio.timeout(watch):  # `wait_for` of Python 3.11 may swallow a cancellation
                        await stop.asked.wait()


def _queue(*, rehearsal: bool = False) -> Queue:
    from hroute.ledger.queue import Queue, place

    return Queue(place(os.environ), rehearsal=rehearsal)


def _now() -> int:
    return time.time_ns() // 1_000_000


def _chosen(queue: Queue, ids: list[str] | None, states: set[str], options: str) -> list[Item]:
    if bool(ids) == bool(states):
        raise UsageError(f"name the requests by id, or give {options}", help="hroute queue list shows them")
    return [queue.find(id) for id in ids] if ids else queue.items(states)


def _changed(what: str, ids: list[str], others: list[Item], as_json: bool, said: str) -> int:
    if as_json:
        streams.emit("queue", {what: ids, "unchanged": [item.id for item in others]})
    streams.talk(f"{count(len(ids), 'request')} {said}" if ids or not others else "nothing was changed")
    for item in others:
        streams.talk(f"{short(item.id)} is {item.state}: not changed")
    return exits.DONE if not others else exits.NO


def _nothing_due(queue: Queue, among: tuple[str, ...] | None) -> str:
    everything = queue.items(("waiting",))
    waiting = [item for item in everything if item.rehearsal == queue.rehearsal]
    if everything and not waiting:
        other = "from real runs: leave out --sandbox" if queue.rehearsal else "from rehearsals: add --sandbox"
        return f"nothing is to be asked; {len(everything)} waiting {other}"
    if not waiting or among is not None:
        return "nothing is to be asked"
    first = min(item.next_try for item in waiting)
    return f"nothing is due; {len(waiting)} waiting, the next in {_span(first - _now())}. At once: hroute queue retry --all"


def _row(item: Item, now: int) -> list[str]:
    when = ""
    if item.state == "waiting":
        when = "due" if item.next_try <= now else f"next try in {_span(item.next_try - now)}"
    tries = count(item.attempts, "try", "tries") if item.attempts else ""
    return [
        short(item.id),
        item.state,
        f"{_span(now - item.created)} ago",
        visible(item.rule),
        tries,
        item.error,
        when,
        "(sandbox)" if item.rehearsal else "",
    ]


def _span(milliseconds: int) -> str:
    """`4 min`: whole units of the largest that fits."""
    for length, unit in _UNITS:
        if milliseconds >= length:
            return f"{milliseconds // length} {unit}"
    return "0 s"


def _facts(item: Item, result: dict[str, Any] | None) -> list[list[str]]:
    taints = ", ".join(f"{k}={'+'.join(v) if isinstance(v, list) else str(v).lower()}" for k, v in item.taints.items())
    facts = [
        ["id", item.id],
        ["state", item.state],
        ["kept", f"{_stamp(item.created)} on {item.owner}, by rule {item.rule} of policy {item.policy[:7]}"],
        ["taints", taints or "none"],
        ["guarantees", ", ".join(str(g.get("name")) for g in item.guarantees) or "none"],
        ["tries", f"{item.attempts}" + (f", the last one {_stamp(item.updated)}" if item.attempts else "")],
    ]
    if item.error:
        facts.append(["error", item.error])
    if item.state == "waiting":
        facts.append(["next try", _stamp(item.next_try)])
    if result is not None:
        cost = result.get("cost_usd")
        shown = money.show(None if cost is None else money.from_usd(cost), 4)
        facts.append(["answered", f"by {result.get('actual_provider')}, {result.get('actual_model')}, {shown}"])
    return facts


def _stamp(milliseconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(milliseconds / 1000))


def _as_json(item: Item) -> dict[str, Any]:
    return {
        "id": item.id,
        "state": item.state,
        "owner": item.owner,
        "created": item.created,
        "updated": item.updated,
        "rule": item.rule,
        "policy": item.policy,
        "taints": dict(item.taints),
        "guarantees": [g.get("name") for g in item.guarantees],
        "attempts": item.attempts,
        "next_try": item.next_try if item.state == "waiting" else None,
        "error": item.error or None,
    }


def _outcome(result: dict[str, Any] | None) -> dict[str, Any]:
    """What came of it, without a word of the answer."""
    hidden = ("text", "json", "id")
    return {"result": None if result is None else {k: v for k, v in result.items() if k not in hidden}}


def _texts(body: dict[str, Any] | None, result: dict[str, Any] | None) -> dict[str, Any]:
    answer = {"text": result.get("text"), "json": result.get("json")} if result else None
    return {"body": body, "answer": answer}


def _show_texts(body: dict[str, Any] | None, result: dict[str, Any] | None) -> None:
    for message in (body or {}).get("request", {}).get("messages", ()):
        streams.line()
        streams.line(visible(f"{message['role']}:"))
        for part in message["parts"]:
            streams.line(streams.answer(str(part.get("text") or part.get("content") or f"[{part['part']}]")))
    if result is not None:
        streams.line()
        streams.line(streams.answer(str(result.get("text", ""))))


def _tell(tried: Tried, as_json: bool) -> None:
    """One line a request, as it ends."""
    item, answer = tried.item, tried.answer
    state = "lost" if tried.lost else "done" if answer else "failed" if tried.next_try is None else "waiting"
    if as_json:
        told = {"error": tried.error or None, "next_try": tried.next_try}
        served = answer and {"actual_provider": answer.actual_provider, "actual_model": answer.actual_model, "cost_usd": answer.cost_usd}  # fmt: skip
        streams.emit("queue", {"id": item.id, "state": state, **told, **(served or {})})
        return
    if answer is not None:
        said = f"{answer.actual_provider}  rule {answer.decision.rule.name}  {money.show(answer.cost, 4)}"
    elif tried.next_try is None:
        said = f"{tried.error}  given up"
    else:
        said = f"{tried.error}  next try in {_span(tried.next_try - _now())}"
    streams.line(visible(f"{short(item.id)}  {state}  {said}"))
