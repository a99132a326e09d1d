"""A request from the command line: prompt, files, stdin and signals, read within bounds (shared by ask and explain)."""

from __future__ import annotations

import os
import select
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Annotated, Final

import typer

from hroute.cli import streams
from hroute.errors import UsageError
from hroute.terms.message import Request, prompt
from hroute.terms.signal import Value, coerce

MOST: Final = 64 * 1024 * 1024
"""Bytes that are read from stdin or a file at most: what is longer fits no model."""
_PATIENCE: Final = 3.0
"""Seconds for which a silent pipe is waited for where the prompt is already known."""

PromptArgument = Annotated[str | None, typer.Argument(help="The prompt; `-` reads it from stdin.", show_default=False)]
FileOption = Annotated[
    list[str] | None, typer.Option("-f", "--file", metavar="FILE", help="A file to send along; repeatable.")
]
SystemOption = Annotated[str | None, typer.Option("--system", metavar="TEXT", help="The system prompt.")]
SessionOption = Annotated[
    str | None, typer.Option("--session", metavar="NAME", help="The conversation that it belongs to.")
]
CostCenterOption = Annotated[str | None, typer.Option("--cost-center", metavar="NAME", help="Who pays.")]
SignalOption = Annotated[
    list[str] | None,
    typer.Option("--signal", metavar="NAME=VALUE", help="A signal, such as task_type=code; repeatable."),
]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks: the request (None where only signals are given) and the signals."""

    request: Request | None
    signals: Mapping[str, Value]


def read(
    words: str | None,
    files: Sequence[str] | None,
    *,
    system: str | None = None,
    session: str | None = None,
    cost_center: str | None = None,
    signals: Sequence[str] | None = None,
    max_tokens: int | None = None,
) -> Asked:
    """Put a request together: the prompt is the argument, else stdin, else the files; what is left goes along as context.

    Raises UsageError where nothing is asked, or where a file, a signal or stdin cannot be used.
    """
    given = parse_signals(signals or ())
    for name, value in (("session", session), ("cost_center", cost_center)):
        if value is not None:
            given[name] = coerce(name, value)
    context = [(name, read_file(name)) for name in files or () if name != "-"]
    wanted = words == "-" or "-" in (files or ())
    words = None if words == "-" else words
    piped = _read_stdin(wanted=wanted, optional=bool(words or context or given))
    if not words:
        words, piped = piped, ""
    if piped:
        context.append(("stdin", piped))
    if not words and context:
        words, context = "\n\n".join(text for _, text in context), []
    if words:
        return Asked(prompt(words, system=system or "", files=tuple(context), max_tokens=max_tokens), given)
    if given and system is None:
        return Asked(None, given)
    raise UsageError("there is no prompt", help="give it as an argument, by -f FILE, or pipe it in")


def parse_signals(assignments: Sequence[str]) -> dict[str, Value]:
    """`name=value` texts as typed signals; of a name given twice the last counts."""
    signals: dict[str, Value] = {}
    for assignment in assignments:
        name, equals, raw = assignment.partition("=")
        if not equals:
            raise UsageError(f"`{assignment}` is no signal", help="write --signal name=value, such as task_type=code")
        signals[name.strip()] = coerce(name.strip(), raw)
    return signals


def read_file(name: str) -> str:
    """The text of a file, within bounds. Raises UsageError."""
    try:
        if os.path.isdir(name):
            raise UsageError(f"`{name}` is a directory", help="-f takes one file; repeat it for several")
        with open(name, "rb") as stream:
            return _text(stream, f"`{name}`")
    except (OSError, ValueError) as error:
        raise UsageError(f"`{name}` cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _read_stdin(*, wanted: bool, optional: bool) -> str:
    """What is piped in; empty for a terminal, and for a pipe that stays silent although nobody needs it."""
    try:
        descriptor = sys.stdin.fileno()
        kind = os.fstat(descriptor).st_mode
    except (OSError, ValueError, AttributeError):
        return ""
    if not wanted:
        if not (stat.S_ISFIFO(kind) or stat.S_ISREG(kind) or stat.S_ISSOCK(kind)):
            return ""
        if optional and not stat.S_ISREG(kind) and not select.select([descriptor], [], [], _PATIENCE)[0]:
            streams.talk(f"nothing came on stdin within {_PATIENCE:g} s: going on without it (`-f -` waits for it)")
            return ""
    return _text(sys.stdin.buffer, "stdin")


def _text(stream: IO[bytes], name: str) -> str:
    raw = stream.read(MOST + 1)
    if len(raw) > MOST:
        raise UsageError(f"{name} is longer than {MOST >> 20} MiB", help="no model takes that much; send a part of it")
    nul = raw.find(b"\0")
    if nul >= 0:
        raise UsageError(f"{name} has a NUL byte at byte {nul + 1}: it is not text")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"byte 0x{raw[error.start]:02x} at byte {error.start + 1}"
        raise UsageError(
            f"{name} is not UTF-8 text: {what}", help="convert it with iconv -f ENCODING -t UTF-8"
        ) from None
