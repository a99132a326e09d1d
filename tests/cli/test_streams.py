"""stdout is the product, stderr is talk; colour is for a terminal that wants it."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from hroute.cli import streams
from hroute.cli.render.text import pad, shorten, visible, width
from tests.cli.conftest import POLICY, environment


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals() -> None:
    assert streams.wants_colour(Terminal(), {})
    assert not streams.wants_colour(io.StringIO(), {})
    assert not streams.wants_colour(Terminal(), {"NO_COLOR": "1"})
    assert not streams.wants_colour(Terminal(), {"TERM": "dumb"})
    assert streams.wants_colour(Terminal(), {"NO_COLOR": ""})


def test_a_closed_stream_is_no_terminal() -> None:
    closed = io.StringIO()
    closed.close()
    assert not streams.is_terminal(closed)


def test_json_is_ascii_where_stdout_is_not_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    assert streams.to_json({"a": "é"}) == '{"a": "é"}'
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="latin-1"))
    assert streams.to_json({"a": "é"}) == '{"a": "\\u00e9"}'


def test_words_of_a_model_are_left_alone_off_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a\x1b[31m\tb\n\x9bc\r"
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert streams.answer(text) == text
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert streams.answer(text) == "a[31m\tb\nc"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a\x00b", "a␀b"),
        ("\x7f", "␡"),
        ("\x9b", "<U+009B>"),
        ("\u202e", "<U+202E>"),
        ("\udc80", "<U+DC80>"),
        ("äöü 東京", "äöü 東京"),
    ],
)
def test_what_a_terminal_would_obey_is_made_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_widths_are_those_of_a_terminal() -> None:
    assert width("東京") == 4
    assert width("e\u0301") == 1
    assert pad("東", 4) + "|" == "東  |"
    assert shorten("abcdef", 4) == "abc…"
    assert shorten("東京都", 4) == "東…"
    assert shorten("abc", 3) == "abc"


def test_a_person_at_a_terminal_gets_colour_and_no_color_takes_it_away(tmp_path: Path) -> None:
    (tmp_path / "routing-config.yaml").write_text(POLICY.replace("route_to: other", "route_to: othre"))

    def shown(**environ: str) -> bytes:
        ours, theirs = pty.openpty()
        env = environment(tmp_path, TERM="xterm", **environ)
        process = subprocess.Popen(
            [sys.executable, "-m", "hroute", "check"], stdin=subprocess.DEVNULL, stdout=theirs, cwd=tmp_path, env=env
        )
        os.close(theirs)
        text = b""
        try:
            while piece := os.read(ours, 4096):
                text += piece
        except OSError:
            pass
        os.close(ours)
        process.wait(30)
        return text

    assert b"\x1b[1;31merror[HR021]\x1b[0m" in shown()
    assert b"\x1b" not in shown(NO_COLOR="1")
