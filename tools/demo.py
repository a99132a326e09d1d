"""What `make demo` shows: three routes, a planted leak, an outage, and a month re-decided; nothing leaves the machine.

Every line is the command `hroute` run for real, in a temporary directory of its own, on the embedded sandbox. Exits 1
where a command ends otherwise than the scene needs, so that it cannot show what is not so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HROUTE = (sys.executable, "-m", "hroute")
SECRETS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "DEEPSEEK_API_KEY", "OLLAMA_URL", "HROUTE_POLICY")

OUTAGE = """\
faults:
  - {kind: overloaded, provider: claude_sonnet}
"""


def main() -> int:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hroute-demo-") as folder:
        stage = Stage(Path(folder))
        try:
            for scene in (routes, leak, outage, month):
                scene(stage)
        except Surprise as surprise:
            print(f"\nthe demo stops here: {surprise}", file=sys.stderr)
            return 1
    stage.say(
        f"\nThat took {time.monotonic() - started:.0f} s. The answers were scripted; the decisions, costs and proofs are"
        " real.\nNothing was sent anywhere and nothing was left behind.\n\n"
        "Next:   . .venv/bin/activate\n"
        '        hroute ask --sandbox "..."       your own prompt\n'
        '        hroute explain "..."             why it goes where it goes\n'
        "        less routing-config.yaml         the policy that decided all this\n"
        "        examples/                        a team, a cafe, a coding agent"
    )
    return 0


class Surprise(Exception):
    """A command ended otherwise than the scene needs."""


class Stage:
    """A directory with the starter policy in it, and a way to run commands there that shows them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._terminal = sys.stdout.isatty()
        for name in ("routing-config.yaml", "routing-config.test.yaml"):
            shutil.copy(ROOT / name, folder)
        self._environ = {name: value for name, value in os.environ.items() if name not in SECRETS} | {
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder),
            "HROUTE_CACHE": str(folder / "cache"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_STATE_HOME": str(folder / "state"),
        }

    def say(self, text: str) -> None:
        print(text, flush=True)

    def title(self, text: str) -> None:
        """A heading; on a terminal with a moment to read what was above it."""
        if self._terminal:
            time.sleep(1.0)
        self.say(f"\n\033[1m{text}\033[0m" if self._terminal else f"\n== {text}")

    def run(self, *arguments: str, ends: int = 0, shown: str | None = None) -> None:
        """Run `hroute ARGUMENTS`, both its streams as they come. Raises Surprise where it does not end with `ends`."""
        words = " ".join(_quoted(argument) for argument in arguments)
        self.say(f"\n$ hroute {shown or words}")
        done = subprocess.run(
            [*HROUTE, *arguments], cwd=self.folder, env=self._environ, stdin=subprocess.DEVNULL, check=False
        )
        if done.returncode != ends:
            raise Surprise(f"`hroute {words}` ended with {done.returncode}, not {ends}")


def routes(stage: Stage) -> None:
    stage.say("The answers in this demo are scripted; the decisions, costs and proofs are real.")
    stage.say("No key, no server, no network: every provider is played by the embedded sandbox.")
    stage.title("1. Three prompts, three routes")
    stage.run("ask", "--sandbox", "-v", "Write a Python function to parse CSV files")
    stage.run("ask", "--sandbox", "-v", "My card 4111 1111 1111 1111 was charged twice")
    stage.run("ask", "--sandbox", "-v", "--signal", "batch_size=500", "Is this review positive: great cake")


def leak(stage: Stage) -> None:
    stage.title("2. Somebody edits the policy: personal data may now fall back to the cloud")
    path = stage.folder / "edited.yaml"
    edited = (stage.folder / "routing-config.yaml").read_text(encoding="utf-8")
    path.write_text(edited.replace("fallback: null", "fallback: claude_haiku", 1), encoding="utf-8")
    stage.run("check", "edited.yaml", ends=1)
    stage.run("check", "routing-config.yaml")


def outage(stage: Stage) -> None:
    stage.title("3. Anthropic is overloaded")
    (stage.folder / "outage.yaml").write_text(OUTAGE, encoding="utf-8")
    stage.say("\noutage.yaml, a script for the sandbox:\n" + "".join(f"    {line}\n" for line in OUTAGE.splitlines()))
    stage.run("ask", "--sandbox-script", "outage.yaml", "-v", "Write a Python function to parse CSV files")


def month(stage: Stage) -> None:
    stage.title("4. A cafe's month, a tenth of it, decided again under a policy")
    with open(stage.folder / "october.jsonl", "wb") as log:
        subprocess.run([sys.executable, str(ROOT / "examples/cafe/month.py"), "6000"], stdout=log, check=True)
    shutil.copy(ROOT / "examples/cafe/routing-config.yaml", stage.folder / "cafe.yaml")
    stage.run("dry-run", "october.jsonl", "-p", "cafe.yaml", "--baseline", "claude_sonnet")


def _quoted(argument: str) -> str:
    return f'"{argument}"' if " " in argument else argument


if __name__ == "__main__":
    sys.exit(main())
