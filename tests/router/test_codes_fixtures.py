"""Each finding with a policy that has it and the same policy mended: what `hroute check` says of both, word for word."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from hroute.cli.render import diagnostic
from hroute.cli.render.excerpt import Files
from hroute.router.check import Checked, check_text
from hroute.schema.codes import CODES

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "codes"
SHOWN = [code for code in CODES if code < "HR500"]

COMES_WITH = {
    "HR308": {"HR301"},  # whoever serves a request for which nobody is permitted breaks a guarantee
}


@pytest.fixture
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], float]:
    """The circumstances of one code: no package (HR024), no time (HR200). Gives the clock."""
    if request.node.callspec.params["code"] == "HR200":
        hours: Iterator[int] = count(0, 3600)
        return lambda: float(next(hours))
    if request.node.callspec.params["code"] == "HR024":
        find = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name, *more: None if name == "ollama" else find(name, *more)
        )
    return lambda: 0.0


def fixture(code: str, name: str, text: str) -> str:
    """The file of that name; HROUTE_UPDATE_GOLDEN=1 writes `text` into it first."""
    path = FIXTURES / code / name
    if os.environ.get("HROUTE_UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return path.read_text(encoding="utf-8")


def printed(checked: Checked, text: str) -> str:
    files = Files({"bad.yaml": text}).hiding(checked.findings)
    return "".join(f"{diagnostic.full(finding, files)}\n\n" for finding in checked.findings)


def test_every_finding_about_a_file_has_a_pair_of_policies() -> None:
    assert sorted(path.name for path in FIXTURES.iterdir()) == SHOWN


@pytest.mark.parametrize("code", SHOWN)
@pytest.mark.parametrize("name", ["bad.yaml", "good.yaml"])
def test_the_policies_are_those_that_check_explain_shows(code: str, name: str) -> None:
    shown = CODES[code].bad if name == "bad.yaml" else CODES[code].good
    assert fixture(code, name, shown) == shown


@pytest.mark.parametrize("code", SHOWN)
def test_the_bad_policy_has_the_finding_and_only_what_comes_with_it(code: str, world: Callable[[], float]) -> None:
    checked = check_text(fixture(code, "bad.yaml", CODES[code].bad), "bad.yaml", clock=world)
    codes = {finding.code for finding in checked.findings}
    assert code in codes
    assert codes - {code} <= COMES_WITH.get(code, set())


@pytest.mark.parametrize(
    "code", [code for code in SHOWN if code != "HR200"]
)  # whom the end of time meets is no promise
def test_the_bad_policy_is_described_word_for_word(code: str, world: Callable[[], float]) -> None:
    text = fixture(code, "bad.yaml", CODES[code].bad)
    said = printed(check_text(text, "bad.yaml", clock=world), text)
    assert said == fixture(code, "expected.txt", said)


@pytest.mark.parametrize("code", SHOWN)
def test_the_good_policy_is_silent(code: str) -> None:
    checked = check_text(fixture(code, "good.yaml", CODES[code].good), "good.yaml", clock=lambda: 0.0)
    assert checked.policy is not None
    assert checked.findings == ()


@pytest.mark.parametrize("code", SHOWN)
def test_a_finding_points_into_the_file(code: str, world: Callable[[], float]) -> None:
    lines = fixture(code, "bad.yaml", CODES[code].bad).split("\n")
    for finding in check_text("\n".join(lines), "bad.yaml", clock=world).findings:
        for label in (finding.primary, *finding.others):
            span = label.span
            assert 1 <= span.line <= span.end_line <= len(lines)
            assert 1 <= span.column <= len(lines[span.line - 1]) + 1
            assert 1 <= span.end_column <= len(lines[span.end_line - 1]) + 1
