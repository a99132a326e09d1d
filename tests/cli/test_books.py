"""`logs`, `costs` and `prices`: what a request left behind, for a person and for a program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import POLICY, Cli


@pytest.fixture
def asked(tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger with three requests: one answered at home, one in the cloud for a cost center, one refused."""
    monkeypatch.setenv("HROUTE_LEDGER", str(tmp_path / "books" / "ledger.db"))
    monkeypatch.setenv("HROUTE_POLICY", str(tmp_path / "policy.yaml"))
    (tmp_path / "policy.yaml").write_text(POLICY)
    assert cli("ask", "--sandbox", "--no-stream", "my card is 4111 1111 1111 1111").code == 0
    assert cli("ask", "--sandbox", "--no-stream", "--cost-center", "bot", "--signal", "task_type=code", "hi").code == 0
    assert (
        cli("ask", "--sandbox", "--no-stream", "--signal", "tenant=blocked", "--signal", "complexity=low", "hi").code
        == 5
    )
    from hroute.ledger import ledger

    ledger._close_all()
    return tmp_path / "books" / "ledger.db"


def lines(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_logs_say_what_came_of_each_request(asked: Path, cli: Cli) -> None:
    found = lines(cli("logs", "--json").out)
    assert [(r["rule"], r["actual_provider"], r["outcome"]) for r in found] == [
        ("private", "home", "ok"), ("code", "big", "ok"), ("closed", None, "refused"),
    ]  # fmt: skip
    assert {"id", "ts", "rule", "routed_to", "actual_provider", "outcome", "cost_usd"} <= set(found[0])
    shown = cli("logs", "-n", "1")
    assert "closed" in shown.out
    assert len(shown.out.splitlines()) == 1
    assert len(cli("logs", "--provider", "big").out.splitlines()) == 1


def test_no_text_of_a_request_is_in_any_file(asked: Path, cli: Cli) -> None:
    assert b"4111" not in b"".join(path.read_bytes() for path in asked.parent.iterdir())


def test_one_request_is_shown_by_the_end_of_its_id(asked: Path, cli: Cli) -> None:
    id = lines(cli("logs", "--json").out)[0]["id"]
    (found,) = lines(cli("logs", "show", id[-8:], "--json").out)
    assert found["id"] == id
    assert found["attempts"][0]["provider"] == "home"
    assert id in cli("logs", "show", id[-8:]).out
    assert cli("logs", "show", "ffffffff").code == 2


def test_costs_add_up(asked: Path, cli: Cli) -> None:
    (found,) = lines(cli("costs", "--by", "cost_center", "--json").out)
    each = [r["cost_usd"] for r in lines(cli("logs", "--json").out)]
    assert found["total"]["requests"] == 3
    assert found["total"]["cost_usd"] == pytest.approx(sum(each), abs=1e-9)
    assert {r["cost_center"]: r["requests"] for r in found["rows"]} == {"bot": 1, "": 2}
    assert "total" in cli("costs").out
    assert cli("costs", "--by", "weather").code == 2


def test_an_export_is_read_by_a_dry_run(asked: Path, cli: Cli, tmp_path: Path) -> None:
    assert cli("logs", "export", str(tmp_path / "out.jsonl")).code == 0
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 3
    ran = cli("dry-run", str(tmp_path / "out.jsonl"), "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["requests"] == 3
    assert cli("logs", "export", str(tmp_path / "out.doc")).code == 2


def test_old_rows_are_dropped_when_asked(asked: Path, cli: Cli) -> None:
    assert "0 requests dropped" in cli("logs", "prune", "--older-than", "1d").out
    assert "3 requests dropped" in cli("logs", "prune", "--older-than", "0s").out
    assert cli("logs", "--json").out == ""
    assert json.loads(cli("costs", "--json").out)["total"]["requests"] == 3


def test_without_a_ledger_yet_nothing_is_wrong_and_nothing_is_made(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HROUTE_LEDGER", str(tmp_path / "none.db"))
    assert cli("logs", "--json").code == 0
    assert json.loads(cli("costs", "--json").out)["total"]["requests"] == 0
    assert not (tmp_path / "none.db").exists()
    monkeypatch.setenv("HROUTE_LEDGER", "")
    assert cli("logs").code == 2


def test_a_ledger_that_cannot_be_written_stops_no_answer(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"no database " * 1_000)
    monkeypatch.setenv("HROUTE_LEDGER", str(path))
    monkeypatch.setenv("HROUTE_POLICY", str(tmp_path / "policy.yaml"))
    (tmp_path / "policy.yaml").write_text(POLICY)
    asked = cli("ask", "--sandbox", "--no-stream", "--signal", "task_type=code", "hi")
    assert asked.code == 0
    assert asked.out
    assert path.read_bytes() == b"no database " * 1_000
    assert cli("logs").code == 2


def test_prices_show_every_class_and_where_the_figure_comes_from(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "p.yaml").write_text(POLICY)
    found = {r["name"]: r for r in lines(cli("prices", "-p", str(tmp_path / "p.yaml"), "--json").out)}
    assert (found["big"]["source"], found["big"]["price"]["input"]) == ("policy", 3.0)
    assert (found["home"]["source"], found["home"]["price"]["input"]) == ("local", 0.0)
    haiku = lines(cli("prices", "claude-haiku-4-5", "--json").out)[0]
    assert haiku["price"]["cache_write_1h"] == 2.0
    assert cli("prices", "no-such-model").code == 1
