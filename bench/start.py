"""What one `hroute explain` costs in CPU, beside bare Python and the libraries that it starts with.

Run: python -m bench.start
"""

from __future__ import annotations

import compileall
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.figures import HEADER, Figure

ROOT = Path(__file__).parents[1]
PROMPT = "Why is the sky blue?"


def main() -> None:
    compileall.compile_dir(ROOT / "hroute", quiet=1)
    print("\nCPU of a whole process (user + system), byte-compiled")
    print(HEADER)
    for name, code in (
        ("bare Python", "pass"),
        ("import typer", "import typer"),
        ("import jsonschema", "import jsonschema"),
        ("import yaml", "import yaml"),
    ):
        print(cpu(["-c", code]).line(name, "ms"))
    explain = ["-m", "hroute", "explain", "-p", str(ROOT / "routing-config.yaml")]
    print(cpu([*explain, PROMPT], cache="").line("hroute explain, a first start", "ms", "at most 350"))
    with tempfile.TemporaryDirectory() as folder:
        cached = cpu([*explain, PROMPT], cache=folder)
    print(cached.line("hroute explain, policy cached", "ms", "at most 260"))
    print(cpu(["-m", "hroute", "--help"]).line("hroute --help", "ms"))


def cpu(arguments: list[str], *, cache: str = "", rounds: int = 9) -> Figure:
    """Milliseconds of CPU of `python ARGUMENTS`, each round after one that does not count."""
    environment = {**os.environ, "HROUTE_CACHE": cache, "PYTHONPATH": str(ROOT)}
    results = []
    for number in range(rounds + 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], env=environment, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if number:
            spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            results.append(spent * 1e3)
    return Figure(tuple(results))


if __name__ == "__main__":
    main()
