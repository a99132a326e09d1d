"""The repository itself: no text sends anybody to a stranger's package, no machine's paths, nothing undeclared."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())

INSTALLER = r"\b(?:pip3?|pipx|uv|uvx|poetry|pdm|conda|mamba|rye|easy_install)\b"
FETCHES = re.compile(rf"{INSTALLER}(?:\s+[\w-]+|\s+-[^\s]+)*?\s+[\"'`]?hroute(?:-llm)?(?![\w/.-])", re.IGNORECASE)
MACHINE_PATH = re.compile(r"(?<![A-Za-z0-9_.])/(?:work|farm|root|opt/pypi|opt/wheels)(?:-more)?/")

MODULE_OF = {"pyyaml": "yaml", "google-re2": "re2", "python-stdnum": "stdnum", "json-repair": "json_repair"}


def tracked() -> list[Path]:
    """What git keeps; in a copy without git, every file that would be kept."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0:
        names = [name for name in listed.stdout.decode().split("\0") if name]
        return [ROOT / name for name in names if (ROOT / name).is_file()]
    hidden = {".git", ".venv", ".hypothesis", "__pycache__", "build", "dist"}
    return [path for path in ROOT.rglob("*") if path.is_file() and hidden.isdisjoint(path.relative_to(ROOT).parts)]


def texts() -> Iterator[tuple[str, str]]:
    for path in tracked():
        try:
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def test_no_text_tells_anyone_to_fetch_hroute_from_an_index() -> None:
    found = [f"{name}: {hit.group()}" for name, text in texts() for hit in FETCHES.finditer(text)]
    assert found == []


@pytest.mark.parametrize(
    "words",
    ["install hroute", "install hroute-llm", "install -U 'hroute-llm[all]'", "install --upgrade hroute\n"],
)
def test_the_search_for_such_texts_finds_one(words: str) -> None:
    assert FETCHES.search(f"then run pip {words}")


@pytest.mark.parametrize("words", ["install -e .", "install -e '.[dev]'", "install hroute/", "list; hroute check"])
def test_the_search_for_such_texts_lets_an_install_from_the_checkout_pass(words: str) -> None:
    assert not FETCHES.search(f"pip {words}")


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    found = [f"{name}: {hit.group()}" for name, text in texts() for hit in MACHINE_PATH.finditer(text)]
    assert found == []


def test_the_search_for_such_paths_finds_one() -> None:
    assert MACHINE_PATH.search("see " + "/".join(["", "root", "notes"]))


def test_every_package_that_the_code_imports_is_declared() -> None:
    declared = {MODULE_OF.get(name, name).replace("-", "_") for name in _names(PROJECT["project"]["dependencies"])}
    extras = PROJECT["project"]["optional-dependencies"]
    for extra in set(extras) - {"all", "dev"}:
        declared |= {MODULE_OF.get(name, name).replace("-", "_") for name in _names(extras[extra])}
    behind = {"httpx", "httpx2", "referencing", "jsonschema_specifications", "yarl"}  # SDKs, jsonschema, aiohttp
    foreign = {
        (module, path.relative_to(ROOT).as_posix())
        for path in (ROOT / "hroute").rglob("*.py")
        for module in _imports(path)
        if module not in sys.stdlib_module_names and module != "hroute"
    }
    assert {place for place in foreign if place[0] not in declared | behind} == set()


def test_every_core_dependency_is_imported_somewhere() -> None:
    used = {module for path in (ROOT / "hroute").rglob("*.py") for module in _imports(path)}
    named = {MODULE_OF.get(name, name).replace("-", "_") for name in _names(PROJECT["project"]["dependencies"])}
    assert named - used == set()


def test_all_is_every_extra_but_the_developers() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    (everything,) = extras["all"]
    assert set(re.findall(r"[a-z]+", everything.partition("[")[2])) == set(extras) - {"all", "dev"}


def test_the_lock_is_of_this_project_file_and_of_the_public_index() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    own = next(package for package in lock["package"] if package["name"] == PROJECT["project"]["name"])
    wanted = {
        (name, extra)
        for extra, requirements in {None: PROJECT["project"]["dependencies"]}.items()
        for name in _names(requirements)
    } | {
        (name, extra)
        for extra, requirements in PROJECT["project"]["optional-dependencies"].items()
        for name in _names(requirements)
    }
    kept = {(need["name"], _extra(need.get("marker", ""))) for need in own["metadata"]["requires-dist"]}
    assert {(name.lower(), extra) for name, extra in wanted} == kept
    sources = {tuple(package["source"].items()) for package in lock["package"] if package is not own}
    assert sources == {(("registry", "https://pypi.org/simple"),)}
    assert "file://" not in (ROOT / "uv.lock").read_text()


def test_the_entry_points_are_the_built_in_plugins() -> None:
    from hroute.providers import registry

    announced = PROJECT["project"]["entry-points"][registry.GROUP]
    assert set(announced) == set(registry.built_in())
    for name, place in announced.items():
        module, _, attribute = place.partition(":")
        assert type(registry.load(name)) is getattr(import_module(module), attribute), name


def test_the_licence_is_the_one_that_the_metadata_names() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_ci_ends_with_the_readmes_own_test_command() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().strip().splitlines()[-1] == "make test"
    assert "make test" in (ROOT / "README.md").read_text()


def test_set_up_says_what_is_missing_where_python_comes_without_venv(tmp_path: Path) -> None:
    (tmp_path / "ensurepip.py").write_text("raise ImportError('left out by the distribution')\n")
    ran = _set_up(tmp_path, PYTHONPATH=str(tmp_path))
    assert ran.returncode == 1
    assert "`venv` or `ensurepip`" in ran.stderr
    assert "PYTHON=" in ran.stderr
    assert not (tmp_path / "venv").exists()


def test_set_up_leaves_a_complete_environment_alone(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    (tmp_path / "venv" / "stamp").touch()
    (tmp_path / "pip.py").write_text("")
    ran = _set_up(tmp_path, PYTHONPATH=str(tmp_path))
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


@pytest.mark.slow
def test_a_wheel_carries_the_starter_and_an_import_contract_notices_a_breach(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode and "hatchling" in built.stderr:
        pytest.skip("the build backend cannot be fetched here")
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    from zipfile import ZipFile

    names = ZipFile(wheel).namelist()
    for name in ("routing-config.yaml", "routing-config.test.yaml"):
        assert ZipFile(wheel).read(f"hroute/cli/starter/{name}") == (ROOT / name).read_bytes()
    assert "hroute/schema/policy.schema.json" in names


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("hroute/terms/planted.py", "import hroute.router.decision"),
        ("hroute/ledger/planted.py", "import hroute.schema.policy"),
        ("hroute/router/planted.py", "import anthropic"),
        ("hroute/providers/planted.py", "import httpx"),
        ("hroute/router/planted.py", "import rich"),
        ("hroute/router/planted.py", "import yaml"),
        ("hroute/cli/planted.py", "import watchfiles"),
        ("hroute/router/planted.py", "import sqlite3"),
    ],
)
def test_an_import_contract_notices_a_breach(tmp_path: Path, module: str, line: str) -> None:
    import shutil

    shutil.copytree(ROOT / "hroute", tmp_path / "hroute", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / module).write_text(line + "\n")
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    assert "planted" in ran.stdout


def _set_up(folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "tools/setup_venv.py", "--venv", str(folder / "venv")]
    command += ["--stamp", str(folder / "venv" / "stamp")]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environ}, capture_output=True, text=True, check=False, timeout=60
    )


def _names(requirements: list[str]) -> set[str]:
    return {found.group().lower() for need in requirements if (found := re.match(r"[A-Za-z0-9._-]+", need))}


def _extra(marker: str) -> str | None:
    found = re.search(r"extra == '([a-z]+)'", marker)
    return found.group(1) if found else None


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
