"""The documents: generated pages are in sync, links lead somewhere, and the policies they show are policies."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from hroute.schema.diagnostic import Level
from hroute.schema.load import load_text

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
FENCED = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]+\]\(([^)\s#]+)(?:#[^)]*)?\)")

SHOWN = [
    pytest.param(text, id=f"{page.name}-{number}")
    for page in (ROOT / "README.md", ROOT / "docs/policy.md")
    for number, text in enumerate(FENCED.findall(page.read_text(encoding="utf-8")))
    if "routing_rules:" in text
]


def generator(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools/generate_docs.py"), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_generated_pages_are_in_sync_with_the_code() -> None:
    ran = generator("--check")
    assert ran.returncode == 0, ran.stderr


def test_a_page_that_was_edited_by_hand_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import generate_docs

    wanted = {"docs/a.md": "a", "docs/codes/HR001.md": "b"}
    generate_docs.write(wanted, tmp_path)
    assert generate_docs.out_of_date(wanted, tmp_path) == []
    (tmp_path / "docs/a.md").write_text("edited")
    (tmp_path / "docs/codes/HR999.md").write_text("of a code that is gone")
    assert generate_docs.out_of_date(wanted, tmp_path) == ["docs/a.md", "docs/codes/HR999.md"]


def test_every_finding_has_a_page() -> None:
    from hroute.schema.codes import CODES

    assert {page.stem for page in (ROOT / "docs/codes").glob("HR*.md")} == set(CODES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files_that_exist(page: Path) -> None:
    targets = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("text", SHOWN)
def test_a_policy_that_a_document_shows_is_one(text: str) -> None:
    _, findings, _ = load_text(text, "shown.yaml")
    assert [finding.message for finding in findings if finding.level is Level.ERROR] == []


def test_the_readme_shows_what_check_really_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The README's policy with its two rules exchanged, as the text above the output says."""
    from hroute.cli.main import main

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    policy = next(text for text in FENCED.findall(readme) if "guarantees:" in text)
    head, first, second, tail = re.split(r"(?=^  - name: )|(?=^default:)", policy, maxsplit=3, flags=re.MULTILINE)
    path = tmp_path / "routing-config.yaml"
    path.write_text(head + second.rstrip("\n") + "\n" + first + "\n" + tail)
    assert main(["check", str(path)]) == 1
    printed = capsys.readouterr().out.replace(f"{tmp_path}/", "")
    shown = readme.partition("answers:\n\n```\n")[2].partition("\n```")[0]
    assert shown in printed


def test_security_says_what_cannot_be_seen() -> None:
    text = " ".join((ROOT / "docs/security.md").read_text(encoding="utf-8").split())
    assert "A loopback process that itself calls the cloud cannot be seen" in text


def test_the_readmes_program_works_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    import hroute

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    scripted = hroute.Client.from_policy
    monkeypatch.setattr(hroute.Client, "from_policy", lambda path: scripted(ROOT / path, sandbox=True))
    names: dict[str, object] = {}
    exec(program, names)
    answer = names["answer"]
    assert isinstance(answer, hroute.router.client.Answer)  # type: ignore[attr-defined]
    assert answer.routed_to == "ollama"
