"""`make demo`: it shows what it says, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_demo_shows_three_routes_a_leak_an_outage_and_a_month_and_leaves_nothing(tmp_path: Path) -> None:
    environ = {**os.environ, "TMPDIR": str(tmp_path), "ANTHROPIC_API_KEY": "sk-ant-planted-in-the-environment"}
    ran = subprocess.run(
        [sys.executable, "tools/demo.py"],
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    shown = ran.stdout
    assert ran.returncode == 0, shown
    assert "answers in this demo are scripted; the decisions, costs and proofs are real" in shown
    for line in (
        "claude_sonnet  rule code_generation",
        "ollama  rule privacy_sensitive",
        "deepseek  rule batch_processing",
    ):
        assert line in shown
    assert "error[HR301]" in shown
    assert "for example: contains_pii=true" in shown
    assert "Trying gpt4o" in shown
    assert "saved 78 %" in shown
    assert "planted" not in shown
    assert list(tmp_path.iterdir()) == []
