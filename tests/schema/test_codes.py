"""The codes: a table that is complete, texts for each, and findings that take their level from it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from hroute.schema.codes import CODES, Code, finding
from hroute.schema.diagnostic import Label, Level, Span

ROOT = Path(__file__).resolve().parents[2]
DESIGNED = (
    *range(1, 4), *range(10, 15), *range(20, 25), *range(200, 207), *range(301, 310), *range(401, 405), 501, *range(901, 905),
)  # fmt: skip
PLACE = Span("p.yaml", 1, 1, 1, 2)


def test_every_code_of_the_design_is_there_and_no_other() -> None:
    assert list(CODES) == [f"HR{number:03}" for number in DESIGNED]


def test_the_design_s_warnings_are_warnings() -> None:
    warnings = {"HR023", "HR200", "HR203", "HR205", "HR304", "HR305", "HR309", "HR401", "HR403", "HR404"}
    assert {code for code, entry in CODES.items() if entry.level is Level.WARNING} == warnings
    assert {code for code, entry in CODES.items() if entry.level is Level.INFO} == {"HR204", "HR303", "HR501"}


@pytest.mark.parametrize("code", CODES.values(), ids=lambda code: code.code)
def test_every_code_says_what_why_and_shows_a_bad_and_a_good_example(code: Code) -> None:
    assert code.title[0].islower() or code.title[0].isupper()
    assert not code.title.endswith(".")
    for text in (code.what, code.why):
        assert text[0].isupper() or text[0] in '"`'
        assert text.rstrip()[-1] in '.`"'
    assert code.bad != code.good
    assert code.bad.endswith("\n")
    assert code.good.endswith("\n")


@pytest.mark.parametrize("code", CODES.values(), ids=lambda code: code.code)
def test_what_can_be_kept_on_purpose_says_how_and_an_error_says_nothing_of_it(code: Code) -> None:
    assert bool(code.keep) is (code.level is not Level.ERROR)
    if code.level is Level.WARNING:
        assert f"# hroute: ignore {code.code}" in code.keep


def test_a_finding_has_the_level_of_its_code() -> None:
    plain = finding("HR305", "too long", PLACE)
    assert (plain.level, plain.primary, plain.others, plain.help, dict(plain.witness)) == (
        Level.WARNING,
        Label(PLACE, ""),
        (),
        "",
        {},
    )
    assert finding("HR305", "too long", PLACE, level=Level.ERROR).level is Level.ERROR
    full = finding("HR301", "m", PLACE, label="l", others=[Label(PLACE, "o")], help="h", witness={"contains_pii": True})
    assert (full.primary.text, full.others[0].text, full.help, full.witness) == ("l", "o", "h", {"contains_pii": True})


def test_a_finding_needs_a_code_of_the_table() -> None:
    with pytest.raises(KeyError):
        finding("HR999", "m", PLACE)


def test_every_code_that_the_program_uses_is_in_the_table() -> None:
    used = {
        code
        for path in (ROOT / "hroute").rglob("*.py")
        for code in re.findall(r'"(HR\d{3})"', path.read_text(encoding="utf-8"))
    }
    assert used <= set(CODES)


def test_the_table_alone_costs_no_reading_of_texts() -> None:
    program = (
        "import sys; from hroute.schema.codes import CODES; CODES['HR301'].level; "
        "print('yaml' in sys.modules, 'hroute.schema.source' in sys.modules); CODES['HR301'].why; print('yaml' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stdout.split() == ["False", "False", "True"]
