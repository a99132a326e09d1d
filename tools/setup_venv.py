"""Make the environment that every other make target runs in: a venv with this checkout and its tools installed.

Runs on the bare interpreter, before anything is installed, so it imports the standard library only and says in plain
words what is missing. Idempotent: a complete environment of the same interpreter is left as it is.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time

NEEDS = (3, 11)
NEWER = ("python3.14", "python3.13", "python3.12", "python3.11")


def main() -> int:
    options = _arguments()
    if sys.version_info < NEEDS:
        return _with_a_newer_python()
    if _is_up_to_date(options.venv, options.stamp):
        return 0
    if not _has("venv") or not _has("ensurepip"):
        return _say_what_installs_venv()
    started = time.monotonic()
    python = os.path.join(options.venv, "bin", "python")
    if not _same_version(python):
        _say(f"making {options.venv} with Python {sys.version.split()[0]}")
        if subprocess.call([sys.executable, "-m", "venv", "--clear", options.venv]):
            return 1
    _say(f"installing hroute and its tools into {options.venv} (about a minute, once)")
    if not _install(python):
        return 1
    with open(options.stamp, "w") as stamp:
        stamp.write(_version(*sys.version_info[:2]) + "\n")
    _say(f"ready in {time.monotonic() - started:.0f} s\n")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make the environment.")
    parser.add_argument("--venv", default=".venv")
    parser.add_argument("--stamp", default=".venv/.set-up")
    return parser.parse_args()


def _is_up_to_date(venv: str, stamp: str) -> bool:
    try:
        fresh = os.path.getmtime(stamp) >= max(map(os.path.getmtime, ("pyproject.toml", __file__)))
    except OSError:
        return False
    return fresh and _same_version(os.path.join(venv, "bin", "python"))


def _same_version(python: str) -> bool:
    """Whether `python` runs, has pip, and is of this interpreter's version."""
    ask = "import sys, pip; print(*sys.version_info[:2])"
    try:
        answer = subprocess.run([python, "-c", ask], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return answer.stdout.decode().split() == [str(n) for n in sys.version_info[:2]]


def _install(python: str) -> bool:
    """pip's own lines, shortened to one a package; all of them where it fails."""
    command = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    pip = subprocess.Popen(
        [*command, "-e", ".[dev]"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True
    )
    said = []
    for line in pip.stdout or ():
        said.append(line)
        words = line.split()
        if words[:1] == ["Collecting"]:
            _say("      " + words[1])
        elif words[:3] == ["Installing", "collected", "packages:"]:
            _say(f"      unpacking {len(words) - 3} packages")
    if pip.wait() == 0:
        return True
    sys.stderr.write("".join(said[-40:]))
    sys.stderr.write("error: pip could not install what pyproject.toml names; its last lines are above.\n")
    return False


def _has(module: str) -> bool:
    try:
        __import__(module)
    except ImportError:
        return False
    return True


def _with_a_newer_python() -> int:
    """The interpreter on the path is too old: hand over to a newer one where there is one."""
    for name in NEWER:
        path = shutil.which(name)
        if path and subprocess.call([path, "-c", ""], stderr=subprocess.DEVNULL) == 0:
            return subprocess.call([path, *sys.argv])
    sys.stderr.write(
        f"error: hroute needs Python {_version(*NEEDS)} or newer; this is {_version(*sys.version_info[:2])}, {sys.executable}\n"
        "  = help: install one, then name it: PYTHON=python3.12 make test\n"
    )
    return 1


def _say_what_installs_venv() -> int:
    sys.stderr.write(
        f"error: this Python comes without its `venv` or `ensurepip` module: {sys.executable}\n"
        f"  = help: Debian, Ubuntu: sudo apt install python{_version(*sys.version_info[:2])}-venv\n"
        "          or name another interpreter: PYTHON=python3.12 make test\n"
    )
    return 1


def _version(major: int, minor: int) -> str:
    return f"{major}.{minor}"


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
