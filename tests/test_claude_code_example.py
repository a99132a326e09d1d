"""The example for Claude Code: what its page says is what its commands print, and its transcript is one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hroute.cli.main import main

HERE = Path(__file__).parents[1] / "examples" / "claude-code"
POLICY = "examples/claude-code/routing-config.yaml"
SHOWN = re.compile(r"```\n\$ (.*?)\n(.*?)```", re.DOTALL)


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.chdir(HERE.parents[1])
    return HERE


@pytest.fixture
def month(example: Path, tmp_path: Path) -> Path:
    import sessions  # type: ignore[import-not-found]

    sessions.write(tmp_path)
    return tmp_path


def printed(command: str, month: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[str]:
    words = [word.replace("MONTH", str(month)) for word in command.split()]
    if words[0] == "hroute":
        assert main(words[1:]) == 0
        yield from capsys.readouterr().out.splitlines()
        return
    import caches  # type: ignore[import-not-found]

    from hroute.replay.readers.detect import opened

    yield from caches.report(opened(words[2:]))


def test_the_page_says_what_the_commands_print(month: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = SHOWN.findall((HERE / "README.md").read_text(encoding="utf-8"))
    assert len(blocks) == 3
    for command, shown in blocks:
        lines = list(printed(command, month, capsys))
        assert [line for line in shown.splitlines() if line not in lines] == [], "\n".join(lines)


def test_shares_in_its_sentences_follow_from_those_figures(month: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (HERE / "README.md").read_text(encoding="utf-8")

    def cost(log: str) -> dict[str, float]:
        main(["dry-run", str(month / log), "-p", POLICY, "--json"])
        found = json.loads(capsys.readouterr().out)
        rules = {row["rule"]: row["baseline_usd"] - row["cost_usd"] for row in found["routes"]}
        return {**rules, "bill": found["total"]["baseline_usd"]}

    transcripts, titles = cost("transcripts"), cost("titles.jsonl")
    assert f"Subagents save {transcripts['subagents'] / transcripts['bill']:.0%}".replace("%", " %") in page
    assert f"Titles are {titles['bill'] / transcripts['bill']:.2%}".replace("%", " %") in page


def test_the_transcript_that_is_shipped_is_the_months_first_session(example: Path, month: Path) -> None:
    shipped = sorted(path.relative_to(example) for path in example.glob("transcripts/**/*.jsonl"))
    assert len(shipped) == 2
    for path in shipped:
        assert (example / path).read_text() == (month / path).read_text()


def test_its_dry_run_knows_the_subagent(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dry-run", "examples/claude-code/transcripts", "-p", POLICY, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["rule"] for row in found["routes"]} == {"subagents", "default"}
    assert found["same"] + found["changed"] == found["requests"]


def test_the_number_of_its_cases_is_the_one_on_its_page(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["test", "--json", "-p", POLICY])
    assert f"runs its {json.loads(capsys.readouterr().out)['passed']} cases" in (HERE / "README.md").read_text()


def test_the_readme_of_the_project_says_the_same_shares() -> None:
    root = (HERE.parents[1] / "README.md").read_text(encoding="utf-8")
    page = (HERE / "README.md").read_text(encoding="utf-8")
    subagents, titles, lapsed = (
        re.search(rf"{before} ([\d.]+) %", page)
        for before in ("Subagents save", "Titles are", "more than reading them:")
    )
    assert subagents is not None
    assert titles is not None
    assert lapsed is not None
    assert f"subagents {subagents[1]} %, titles {titles[1]} %, and {lapsed[1]} % that caches cost" in root
