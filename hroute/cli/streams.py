"""stdout and stderr: the product goes to one, talk to the other; colour and liveliness only on a terminal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any, Final, TextIO

from hroute.cli.render.text import visible

_STYLES: Final = {
    "bold": "1",
    "dim": "2",
    "red": "1;31",
    "green": "32",
    "yellow": "1;33",
    "blue": "1;34",
    "cyan": "36",
}


class PipeClosed(Exception):
    """Whoever reads our output has left (`| head`): the command ends quietly."""


def is_terminal(stream: TextIO) -> bool:
    """Whether a person looks at the stream; a closed stream is none."""
    try:
        return stream.isatty()
    except (ValueError, OSError):
        return False


def wants_colour(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Colour is for a terminal that can show it, unless NO_COLOR is set to anything (no-color.org)."""
    return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb" and is_terminal(stream)


def paint(text: str, style: str, colour: bool) -> str:
    """`text` in one of the few styles that we use, or as it is."""
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if colour and text else text


def line(text: str = "") -> None:
    """One line of the product."""
    write(text + "\n")


def write(text: str) -> None:
    """A piece of the product, shown at once. Raises PipeClosed."""
    _put(sys.stdout, text)


def talk(text: str = "") -> None:
    """One line to the person, beside the product."""
    _put(sys.stderr, text + "\n")


def answer(text: str) -> str:
    """A model's text as it may be written to stdout: on a terminal it cannot move the cursor or change colours."""
    return visible(text, keep="\n\t", show=False) if is_terminal(sys.stdout) else text


def emit(command: str, content: Mapping[str, Any]) -> None:
    """One JSON object on one line, with the schema that programs may rely on."""
    line(to_json({"schema": f"hroute.{command}/1", **content}))


def to_json(content: Mapping[str, Any]) -> str:
    """One line of JSON; plain ASCII where stdout is not UTF-8."""
    unicode_passes = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    return json.dumps(content, ensure_ascii=not unicode_passes, allow_nan=False)


def prepare() -> None:
    """Make both streams survive any text: a character that the terminal cannot take is written as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def abandon() -> None:
    """After a closed pipe: let the interpreter's own flush at exit go nowhere."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass


def finish() -> None:
    """Flush what is still buffered, while a closed pipe can still be told apart. Raises PipeClosed."""
    _put(sys.stdout, "")


def _put(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        abandon()
        raise PipeClosed from None
    except OSError:
        abandon()
        raise
