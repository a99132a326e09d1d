"""`hroute prices`: every class of a price and whose it is; another table in force whole or not at all, without a network."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hroute.ledger import prices
from tests.cli.conftest import Cli

HAIKU: dict[str, Any] = {
    "id": "claude-haiku-4-5",
    "match": {"or": [{"starts_with": "claude-haiku-4-5"}, {"equals": "haiku"}]},
    "prices": [
        {"prices": {"input_mtok": 1.5, "output_mtok": {"base": 7, "tiers": [{"start": 200_000, "price": 9}]}}},
        {"constraint": {"start_date": "2100-01-01"}, "prices": {"input_mtok": 1, "output_mtok": 6}},
        {
            "constraint": {"start_time": "16:30:00Z", "end_time": "00:30:00Z"},
            "prices": {"input_mtok": 0.5, "output_mtok": 3, "output_reasoning_mtok": 2},
        },
    ],
}


def source(*models: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"id": "anthropic", "models": list(models)}, {"id": "a vendor that nobody knows", "models": []}]


@pytest.fixture(autouse=True)
def _built_in_afterwards() -> Iterator[None]:
    yield
    prices.forget()


def write(file: Path, content: Any) -> str:
    file.write_text(content if isinstance(content, str) else json.dumps(content, indent=1), encoding="utf-8")
    return str(file)


def test_every_class_of_the_policys_providers_is_shown_with_its_origin_and_the_table_in_force(cli: Cli) -> None:
    ran = cli("prices")
    assert ran.out.splitlines()[0].split() == [
        "name", "model", "in", "out", "cached", "write", "5", "m", "write", "1", "h", "thinking", "from",
    ]  # fmt: skip
    assert [line.split()[-1] for line in ran.out.splitlines()[1:]] == ["local", "policy", "policy"]
    assert f"table of {prices.PRICES_VERSION} (genai-prices" in ran.err
    assert "built in" in ran.err


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_data_file_of_genai_prices_is_installed_and_in_force_with_its_date(
    cli: Cli, tmp_path: Path, wrapped: bool
) -> None:
    content = source(HAIKU)
    ran = cli(
        "prices",
        "update",
        "--from",
        write(tmp_path / "data.json", {"providers": content} if wrapped else content),
        "--dated",
        "2026-12-01",
    )
    assert (ran.code, "table of 2026-12-01" in ran.out) == (0, True)
    installed = tmp_path / ".local" / "share" / "hroute" / "prices.json"
    assert stat.S_IMODE(installed.stat().st_mode) == 0o600
    (shown,) = (json.loads(line) for line in cli("prices", "--json", "haiku-4-5").out.splitlines())
    assert shown["version"] == "2026-12-01"
    assert (shown["price"]["input"], shown["price"]["output"]) == (1.5, 7)
    assert shown["price"]["bands"][0]["above"] == 200_000
    assert shown["price"]["bands"][0]["output"] == 9
    assert [(h["from"], h["to"], h["reasoning"]) for h in shown["price"]["hours"]] == [("16:30", "00:30", 2)]
    assert [d["from"] for d in shown["price"]["dates"]] == ["2100-01-01"]
    assert str(installed) in cli("prices").err


def test_a_table_in_our_own_form_keeps_its_date_and_the_built_in_one_comes_back(cli: Cli, tmp_path: Path) -> None:
    own = {
        "version": "2026-11-01",
        "source": "ours",
        "vendors": {"openai": {"hosts": ["api.openai.com"], "models": [{"id": "mine", "match": ["mine*"], "prices": [{"input": 1, "output": 2}]}]}},
    }  # fmt: skip
    assert cli("prices", "update", "--from", write(tmp_path / "own.json", own)).code == 0
    found = prices.lookup("openai", "mine-2")
    assert found is not None
    assert (found.input, found.output) == (1, 2)
    assert "the built-in one of" in cli("prices").err
    ran = cli("prices", "update", "--built-in", "--json")
    assert json.loads(ran.out)["version"] == prices.PRICES_VERSION
    assert prices.lookup("openai", "mine-2") is None


def changed(**entry: Any) -> list[dict[str, Any]]:
    return source({**HAIKU, **entry})


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ('[\n{"id": 1,,}]', 2, "no JSON"),
        (changed(prices={"input_mtok": "x", "output_mtok": 2}), 18, "`input_mtok` is a number"),
        (changed(prices={"input_mtok": -1, "output_mtok": 2}), 18, "0 or more"),
        (changed(prices={"input_mtok": 1e-10, "output_mtok": 2}), 18, "finer than a nano-dollar"),
        (changed(prices={"input_mtok": 1, "output_mtok": {"base": 1}}), 19, "a tiered price"),
        (
            changed(prices=[{"constraint": {"moon": "full"}, "prices": {"input_mtok": 1, "output_mtok": 2}}]),
            19,
            "a constraint is",
        ),
        (changed(match={"sounds_like": "haiku"}), 7, "not a clause"),
        (changed(match={"regex": "(haiku|sonnet)"}), 8, "not a pattern"),
        ({"version": "soon", "source": "", "vendors": {}}, 2, "`version` is a day"),
        ([], 1, "no model of a vendor"),
        ({"prices": 1}, 1, "neither"),
    ],
)
def test_a_broken_file_is_refused_with_its_line_and_changes_nothing(
    cli: Cli, tmp_path: Path, content: Any, line: int, message: str
) -> None:
    cli("prices", "update", "--from", write(tmp_path / "good.json", source(HAIKU)), "--dated", "2026-12-01")
    ran = cli("prices", "update", "--from", write(tmp_path / "broken.json", content))
    assert ran.code == 2
    assert f"broken.json:{line}:" in ran.err
    assert message in ran.err
    assert prices.version() == "2026-12-01"


def test_an_installed_table_that_was_spoiled_is_not_used_and_that_is_said(cli: Cli, tmp_path: Path) -> None:
    spoiled = tmp_path / ".local" / "share" / "hroute" / "prices.json"
    spoiled.parent.mkdir(parents=True)
    spoiled.write_text("{")
    ran = cli("prices")
    assert ran.code == 0
    assert "NOT USED" in ran.err
    assert prices.version() == prices.PRICES_VERSION


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_directory_that_cannot_be_written_is_told(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / ".local").mkdir(mode=0o500)
    ran = cli("prices", "update", "--from", write(tmp_path / "good.json", source(HAIKU)))
    assert (ran.code, "cannot be written" in ran.err) == (2, True)


def test_a_place_that_cannot_be_made_is_told_and_nothing_is_installed(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / ".local").write_text("a file where a directory should be")
    ran = cli("prices", "update", "--from", write(tmp_path / "good.json", source(HAIKU)))
    assert (ran.code, "cannot be written" in ran.err) == (2, True)
    assert prices.version() == prices.PRICES_VERSION


@pytest.mark.parametrize(
    "arguments",
    [("update",), ("update", "--from", "x", "--built-in"), ("--from", "x"), ("update", "--from", "nope.json")],
)
def test_arguments_that_make_no_sense_are_told(cli: Cli, arguments: tuple[str, ...]) -> None:
    assert cli("prices", *arguments).code == 2
