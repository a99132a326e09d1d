"""Other gateways before the same upstream, where they are installed: each as its own page says, without a ledger or detectors.

They are looked for in the directories of BENCH_PEERS (with `:` between them) and then of PATH: `litellm` of the Python package
litellm[proxy], `ccr` of the npm package @musistudio/claude-code-router, and @portkey-ai/gateway beside a node_modules/.bin.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

STARTING = 120.0
"""Seconds that a gateway may take to start; LiteLLM needs some twenty."""


@dataclass(frozen=True)
class Peer:
    """`command(executable, port, upstream, folder)` writes what settings it needs into `folder` and gives a command line;
    `headers` are what a request has to bear. One that does not pass on a stream of this dialect is asked for whole
    answers only."""

    name: str
    package: str
    executable: str
    command: Callable[[str, int, int, Path], list[str]]
    headers: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    streams: bool = True


def _litellm(executable: str, port: int, upstream: int, folder: Path) -> list[str]:
    model = {"model": "anthropic/m", "api_base": f"http://127.0.0.1:{upstream}", "api_key": "k"}
    names = [{"model_name": name, "litellm_params": model} for name in ("m", "claude-opus-4-8")]
    settings = {"model_list": names, "litellm_settings": {"telemetry": False, "num_retries": 0}}  # fmt: skip
    path = folder / "litellm.yaml"
    path.write_text(json.dumps(settings))
    return [executable, "--config", str(path), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]


def _portkey(executable: str, port: int, upstream: int, folder: Path) -> list[str]:
    return ["node", executable, f"--port={port}", "--headless"]


def _claude_code_router(executable: str, port: int, upstream: int, folder: Path) -> list[str]:
    provider = {"name": "up", "api_base_url": f"http://127.0.0.1:{upstream}/v1/messages", "api_key": "k", "models": ["m"], "transformer": {"use": ["Anthropic"]}}  # fmt: skip
    settings = {"PORT": port, "HOST": "127.0.0.1", "LOG": False, "NON_INTERACTIVE_MODE": True, "Providers": [provider], "Router": {"default": "up,m"}}  # fmt: skip
    path = folder / ".claude-code-router" / "config.json"
    path.parent.mkdir()
    path.write_text(json.dumps(settings))
    return ["node", os.path.realpath(executable), "start"]


PEERS = (
    Peer(
        "LiteLLM proxy",
        "pip install 'litellm[proxy]'",
        "litellm",
        _litellm,
        environment=(("LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY", "true"),),
    ),
    Peer(
        "Portkey gateway",
        "npm install @portkey-ai/gateway",
        "../@portkey-ai/gateway/build/start-server.js",
        _portkey,
        "x-api-key: k\r\nx-portkey-provider: anthropic\r\nx-portkey-custom-host: http://127.0.0.1:{upstream}/v1\r\n",
        (("TRUSTED_CUSTOM_HOSTS", "127.0.0.1"),),
        streams=False,  # 1.15.2 on node 20: "TypeError: immutable"
    ),
    Peer("claude-code-router", "npm install @musistudio/claude-code-router", "ccr", _claude_code_router),
)


def installed(peer: Peer) -> str | None:
    """Where `peer` is; None where it is not installed."""
    for folder in os.environ.get("BENCH_PEERS", "").split(":"):
        path = Path(folder) / peer.executable
        if folder and path.is_file():
            return str(path)
    return shutil.which(peer.executable) if "/" not in peer.executable else None


@contextmanager
def running(peer: Peer, executable: str, upstream: int, folder: Path) -> Iterator[tuple[int, int]]:
    """The process of `peer` before `upstream`, and its port. Raises RuntimeError where it does not come up."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = peer.command(executable, port, upstream, folder)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **dict(peer.environment)}
    with (
        (folder / "said.txt").open("wb") as said,
        subprocess.Popen(command, stdout=said, stderr=said, stdin=subprocess.DEVNULL, cwd=folder, env=environment) as process,
    ):  # fmt: skip
        try:
            until = time.monotonic() + STARTING
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"{peer.name} did not start: {(folder / 'said.txt').read_text()[-300:]}")
                time.sleep(0.2)
            yield process.pid, port
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
