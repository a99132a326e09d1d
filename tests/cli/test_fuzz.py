"""Whatever bytes a policy is made of, `check` answers with findings, in every format, and never with a traceback."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from hroute.cli.render import diagnostic
from hroute.cli.render.excerpt import Files
from hroute.router import check
from tests.cli.conftest import POLICY, Cli

os.environ.setdefault("HROUTE_CACHE", "")

PIECES = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        ":",
        "\n",
        "\t",
        "- ",
        "&a ",
        "*a",
        "!!",
        "|",
        "'",
        '"',
        "\x00",
        "\x1b[31m",
        "\u202e",
        "東",
        "\ud800",
        "1e999",
        "~",
        "<<: *a",
        "? ",
    ]
)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """The small policy with pieces put in, cut out or repeated."""
    text = POLICY
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        end = min(len(text), at + draw(st.integers(0, 30)))
        text = text[:at] + draw(PIECES) * draw(st.integers(0, 3)) + text[end:]
    return text


def findings_hold(text: str | bytes) -> None:
    checked = check.check_text(text, "policy.yaml")
    assert checked.policy is not None or checked.errors
    files = Files({"policy.yaml": checked.source.text}).hiding(checked.findings)
    for finding in checked.findings:
        drawn = diagnostic.full(finding, files) + diagnostic.concise(finding) + diagnostic.github(finding)
        assert not any(
            c < " " or "\x7f" <= c <= "\x9f" or c == "\u202e" or "\ud800" <= c <= "\udfff" for c in drawn if c != "\n"
        )
        assert diagnostic.as_json(finding)["line"] >= 1


@settings(max_examples=150, deadline=None)
@given(damaged())
def test_a_damaged_policy_is_found_or_is_one(text: str) -> None:
    findings_hold(text)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_at_all(raw: bytes) -> None:
    findings_hold(raw)


def test_a_bomb_of_aliases_and_a_deep_nest_are_findings(cli: Cli, tmp_path: Path) -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
    )
    for text in (bomb, "[" * 100_000, "x: " + "9" * 1_000_000, "routing_rules: " + "{a: " * 500):
        (tmp_path / "routing-config.yaml").write_text(text)
        ran = cli("check", "--format", "concise")
        assert ran.code == 1
        assert len(ran.out) < 10_000
