"""No byte of a tainted request leaves this machine: not by any failure, not by any variable that an SDK obeys."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import certifi
import pytest

from tests.router.leaks import CARD, GPT, SONNET, TRAP

ROOT = Path(__file__).parents[2]
PACKAGES = ("anthropic", "openai", "ollama", "httpx", "httpx2", "httpcore", "httpcore2")
READ = re.compile(r"""(?:environ(?:\.get)?|getenv)[\[(]\s*["']([A-Z][A-Z0-9_]+)["']""")
NAMED = re.compile(r"""^ENV_[A-Z_]+\s*=\s*["']([A-Z][A-Z0-9_]+)["']""", re.MULTILINE)
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "WS_PROXY", "WSS_PROXY", "http_proxy", "https_proxy", "all_proxy")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def variables() -> set[str]:
    """Every variable of the environment that the installed SDKs and their HTTP libraries read."""
    found = {*PROXIES, *CERTIFICATES, "OTEL_EXPORTER_OTLP_ENDPOINT"}
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        for file in Path(spec.origin).parent.rglob("*.py"):
            text = file.read_text(encoding="utf-8")
            if "environ" in text or "getenv" in text or "ENV_" in text:
                found.update(READ.findall(text), NAMED.findall(text))
    return found


def trapped(name: str) -> str:
    """A value that leads to the trap, or shows in what is sent."""
    if name.endswith("_HEADERS"):
        return "x-trap: from-the-environment"
    if name.endswith("_LOG"):
        return "debug"
    if name == "ANTHROPIC_OPEN_TELEMETRY":
        return "true"
    if any(word in name.upper() for word in ("URL", "HOST", "PROXY", "ENDPOINT")):
        return f"http://{TRAP}:8080"
    if name in CERTIFICATES:
        return (
            certifi.where() if name.endswith(("FILE", "BUNDLE")) else str(ROOT)
        )  # `import ollama` wants them to exist
    return "from-the-environment"


def told(tainted: int, seed: int, timeout: float) -> tuple[dict[str, Any], str]:
    environment = {**os.environ, **{name: trapped(name) for name in variables()}, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-m", "tests.router.leaks", str(tainted), str(seed)],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1]), ran.stderr + ran.stdout


def held(tainted: int, seed: int, timeout: float) -> None:
    counted, written = told(tainted, seed, timeout)
    assert counted["tainted"] == tainted
    assert counted["tainted_bytes_away"] == 0
    assert counted["trap_dialled"] == 0
    assert counted["carried_from_environment"] == 0
    assert counted["looked_up"] == []
    assert set(counted["dialled"]) == {"127.0.0.1", SONNET, GPT}
    assert CARD not in written, "a prompt was logged"
    # The watch sees what leaves: requests without a taint did reach the cloud, and tainted ones were served at home.
    assert counted["clean_bytes_away"] > 100 * tainted
    assert {"ollama", "vllm", "claude_sonnet", "gpt4o", "Refused"} <= counted["outcomes"].keys()
    assert set(counted["shadows"]) == {"gpt4o"}, "and so did their shadows"


def test_the_variables_that_the_sdks_read_are_found() -> None:
    known = {"OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "OLLAMA_HOST", "ANTHROPIC_CUSTOM_HEADERS", "OPENAI_CUSTOM_HEADERS",
             "OLLAMA_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_ORG_ID", "OPENAI_LOG", "ANTHROPIC_PROFILE", "SSL_CERT_FILE"}  # fmt: skip
    assert known <= variables()


def test_no_byte_of_a_tainted_request_leaves_this_machine_whatever_fails() -> None:
    held(300, seed=1, timeout=120)


@pytest.mark.slow
def test_no_byte_of_ten_thousand_tainted_requests_leaves_this_machine() -> None:
    held(10_000, seed=2, timeout=1800)
