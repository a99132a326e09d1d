"""Several workers on one address: one set of counts, one purse, and all follow the same signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from hroute.gateway.together import Sums
from hroute.providers.sandbox.script import Script
from hroute.providers.sandbox.server import SandboxServer
from tests.gateway.house import message
from tests.gateway.test_process import hroute, serving, until

BUDGETED = """
providers:
  claude: {{plugin: anthropic, model: claude-x, base_url: "{url}/claude", api_key: env:KEY, retry: {{attempts: 1}}, price: {{input: 0, output: 10000}}}}
default: {{route_to: claude}}
routing_rules: []
budgets:
  - {{name: little, limit_usd: 1, per: month, at: {{100%: refuse}}}}
ledger: {{path: "{ledger}", reserve: ceiling}}
"""
"""A cent a token: few answers fit into a dollar, whichever worker gives them."""


def children(process: subprocess.Popen[str]) -> list[int]:
    tasks = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(number) for number in tasks.read_text().split()]


def ask(url: str, text: str = "hello", **more: object) -> httpx.Response:
    """By a connection of its own, so that the workers share the requests."""
    return httpx.post(f"{url}/v1/messages", json=message(text, **more), timeout=30, trust_env=False)


def counted(url: str, name: str) -> float:
    lines = httpx.get(f"{url}/metrics", timeout=30, trust_env=False).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def test_one_page_counts_for_all_and_a_worker_that_falls_is_replaced(tmp_path: Path) -> None:
    with SandboxServer(Script.from_data(None)) as sandbox, serving(tmp_path, sandbox.url, "--workers", "2") as (process, url, said):  # fmt: skip
        first = children(process)
        assert len(first) == 2
        with ThreadPoolExecutor(8) as pool:
            assert {answer.status_code for answer in pool.map(lambda _: ask(url), range(24))} == {200}
        pages: list[float] = []

        def both_know_of_all() -> bool:
            pages.append(counted(url, "hroute_requests_total"))
            return pages[-12:] == [24.0] * 12

        until(both_know_of_all, 30)
        assert counted(url, "hroute_workers") == 2
        assert counted(url, "hroute_policy_info") == 1

        os.kill(first[0], signal.SIGKILL)
        until(lambda: any("started again" in line for line in said), 30)
        until(lambda: len(children(process)) == 2 and counted(url, "hroute_workers") == 2, 30)
        assert ask(url).status_code == 200
        until(lambda: counted(url, "hroute_requests_total") == 25, 30)

        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_all_reload_and_all_drain(tmp_path: Path) -> None:
    slow = Script.from_data({"faults": [{"kind": "latency", "median": "400ms", "message": "slowly"}]})
    with SandboxServer(slow) as sandbox, serving(tmp_path, sandbox.url, "--workers", "2") as (process, url, _):
        path = tmp_path / "routing-config.yaml"
        path.write_text(path.read_text().replace("default: {route_to: claude, fallback: gpt}", "default: {route_to: llama}"))  # fmt: skip
        process.send_signal(signal.SIGHUP)
        rows: list[str] = []

        def all_follow() -> bool:
            rows.append(ask(url).headers["x-hroute-routed-to"])
            return rows[-12:] == ["llama"] * 12

        until(all_follow, 30)
        answers: list[int] = []
        asking = [threading.Thread(target=lambda: answers.append(ask(url, "slowly").status_code)) for _ in range(6)]
        for thread in asking:
            thread.start()
        until(lambda: counted(url, "hroute_requests_under_way") >= 2, 30)
        process.send_signal(signal.SIGTERM)
        for thread in asking:
            thread.join(30)
        assert answers == [200] * 6
        assert process.wait(30) == 0


def test_workers_end_with_the_one_that_watches_over_them(tmp_path: Path) -> None:
    with SandboxServer(Script.from_data(None)) as sandbox, serving(tmp_path, sandbox.url, "--workers", "2") as (process, _, _said):  # fmt: skip
        team = children(process)
        process.kill()
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in team), 30)


def test_a_budget_holds_across_workers(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    with SandboxServer(Script.from_data(None)) as sandbox:
        (tmp_path / "routing-config.yaml").write_text(BUDGETED.format(url=sandbox.url, ledger=ledger))
        with serving(tmp_path, sandbox.url, "--workers", "2") as (process, url, _):
            one = float(ask(url, max_tokens=30).headers["x-hroute-cost-usd"])
            with ThreadPoolExecutor(12) as pool:
                answers = list(pool.map(lambda _: ask(url, max_tokens=30).status_code, range(60)))
            assert set(answers) == {200, 402}
            assert 2 / one < 60  # with a purse for each worker more would have got through
            assert answers.count(200) + 1 <= 1 / one
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        costs = hroute(tmp_path, "costs", "--json").stdout
        spent = json.loads(costs)["total"]
        assert spent["requests"] == 61
        assert 0 < spent["cost_usd"] <= 1


def test_what_a_worker_had_counted_stays_when_it_has_gone(tmp_path: Path) -> None:
    from prometheus_client import CollectorRegistry, Counter, Gauge

    def registry(count: float, doing: float) -> CollectorRegistry:
        made = CollectorRegistry()
        Counter("done", "Done", ("kind",), registry=made).labels("a").inc(count)
        Gauge("doing", "Doing", registry=made).set(doing)
        return made

    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    lain = Sums(registry(3, 2), tmp_path, 1)
    lain.lay_down()
    (path,) = tmp_path.iterdir()
    path.rename(tmp_path / "1-gone.json")
    told = json.loads((tmp_path / "1-gone.json").read_text())
    (tmp_path / "1-gone.json").write_text(json.dumps({**told, "pid": gone.pid}))

    samples = {s.name: s.value for metric in Sums(registry(4, 1), tmp_path, 2).collect() for s in metric.samples}
    assert samples["done_total"] == 7
    assert samples["doing"] == 1
    assert samples["hroute_workers"] == 1
