"""Install the real clients that the gateway is tested with, and a real llama.cpp, each for itself and all at once.

Each comes from its public registry into a folder beside the environment, in bounded time. What cannot be had is said
and left out, and its tests are skipped: this never fails.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
CLIENTS: Final = ROOT / ".clients"
SECONDS: Final = 110.0


@dataclass(frozen=True)
class Client:
    """A command, the packages that bring it, and where in their folder it lies (the first that is there)."""

    name: str
    kind: str
    packages: tuple[str, ...]
    found: tuple[str, ...]
    proof: tuple[str, ...] = ("--version",)


CHOSEN: Final = (
    Client("claude", "npm", ("@anthropic-ai/claude-code@2.1.197",), ("node_modules/@anthropic-ai/claude-code-*/claude", "node_modules/.bin/claude")),
    Client("codex", "npm", ("@openai/codex@0.169.0",), ("node_modules/.bin/codex",)),
    Client("opencode", "npm", ("opencode-ai@1.18.33",), ("node_modules/opencode-*-[!b]*[!e]/bin/opencode", "node_modules/opencode-*/bin/opencode", "node_modules/.bin/opencode")),
    Client("llm", "pip", ("llm==0.36",), ("bin/llm",)),
    Client("python", "pip", ("xllamacpp>=2026.10", "gguf>=0.19", "numpy>=2.0"), ("bin/python",), ("-c", "import xllamacpp, gguf, numpy")),
    Client("aider", "pip", ("aider-chat==0.86.2",), ("bin/aider",)),
)  # fmt: skip
"""`python` is an interpreter with the engine; aider, which brings the most, comes last."""


def main() -> int:
    options = _arguments()
    deadline = time.monotonic() + options.seconds
    (options.to / "bin").mkdir(parents=True, exist_ok=True)
    wanted = [client for client in CHOSEN if not options.names or client.name in options.names]
    with ThreadPoolExecutor(len(wanted) or 1) as pool:
        told = list(pool.map(lambda client: _have(client, options.to, deadline), wanted))
    print(f"clients in {options.to.name}/bin:")
    for client, said in zip(wanted, told, strict=True):
        print(f"  {client.name:<9} {said}")
    print("the tests find them there; the tests of what is missing are skipped")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"of {', '.join(client.name for client in CHOSEN)}; else all")
    parser.add_argument("--to", type=Path, default=CLIENTS, help="the folder that they come into")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="the time that all of them may take together")
    return parser.parse_args()


def _have(client: Client, clients: Path, deadline: float) -> str:
    """Install `client` where it is not there yet; what to say of it."""
    link = clients / "bin" / client.name
    if _works(link, client, deadline):
        return "there already"
    started = time.monotonic()
    folder = clients / client.name
    for command in _commands(client, folder):
        if shutil.which(command[0]) is None:
            return f"not installed: there is no {command[0]}"
        problem = _run(command, deadline)
        if problem:
            return f"not installed: {problem}"
    for pattern in client.found:
        for place in sorted(folder.glob(pattern)):
            _point(link, place, client)
            if _works(link, client, deadline):
                return f"{' '.join(client.packages)}, {time.monotonic() - started:.0f} s"
    return "not installed: it does not run on this machine"


def _commands(client: Client, folder: Path) -> Iterator[list[str]]:
    if client.kind == "npm":
        quiet = ["--no-audit", "--no-fund", "--no-save", "--loglevel=error"]
        yield ["npm", "install", "--prefix", str(folder), *quiet, *client.packages]
        return
    yield [sys.executable, "-m", "venv", str(folder)]
    yield [
        str(folder / "bin" / "python"),
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        *client.packages,
    ]


def _run(command: list[str], deadline: float) -> str:
    """Run until the deadline; what went wrong in a few words, "" nothing."""
    left = deadline - time.monotonic()
    if left <= 0:
        return "no time is left"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)  # fmt: skip
    try:
        _, errors = process.communicate(timeout=left)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return f"{os.path.basename(command[0])} took too long"
    lines = [line for line in errors.splitlines() if line.strip() and "warn" not in line.lower()]
    return (
        "" if process.returncode == 0 else f"{os.path.basename(command[0])}: {lines[-1][:120] if lines else 'failed'}"
    )


def _point(link: Path, place: Path, client: Client) -> None:
    """A command in the folder of all; an interpreter keeps its own packages only where it is called by its own path."""
    link.unlink(missing_ok=True)
    if client.name == "python":
        link.write_text(f'#!/bin/sh\nexec "{place}" "$@"\n')
        link.chmod(0o755)
    else:
        link.symlink_to(place)


def _works(link: Path, client: Client, deadline: float) -> bool:
    if not link.exists():
        return False
    left = max(deadline - time.monotonic(), 1)
    command = [str(link), *client.proof]
    try:
        return subprocess.run(command, capture_output=True, timeout=left, stdin=subprocess.DEVNULL).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


if __name__ == "__main__":
    sys.exit(main())
