"""Plugins are known without being imported, and a broken one is named."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hroute.errors import UsageError
from hroute.providers import registry


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that counts as installed packages: what is written there is found by its entry points."""
    monkeypatch.syspath_prepend(str(tmp_path))
    registry._announced.cache_clear()
    yield tmp_path
    registry._announced.cache_clear()


def package(at: Path, name: str, plugin: str, code: str) -> None:
    module = name.replace("-", "_")
    (at / f"{module}.py").write_text(code)
    info = at / f"{module}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[hroute.providers]\n{plugin} = {module}:Plugin\n")


GOOD = """
from hroute.providers.protocol import Capabilities
class Plugin:
    name = "mine"
    capabilities = Capabilities(tools=False)
    def send(self, target, request, permit): ...
    def stream(self, target, request, permit): ...
    async def asend(self, target, request, permit): ...
    def astream(self, target, request, permit): ...
"""


def test_the_built_in_plugins_are_there() -> None:
    assert registry.names()[:5] == ("anthropic", "openai", "ollama", "command", "sandbox")
    assert registry.built_in() == registry.names()[:5]


def test_what_is_stated_here_is_what_the_plugins_say() -> None:
    for name in ("anthropic", "openai", "ollama", "sandbox"):
        made = registry.load(name)
        assert made.name == name
        assert made.capabilities == registry.facts(name)


def test_facts_import_no_sdk_and_read_no_metadata() -> None:
    code = (
        "import sys; from hroute.providers import registry; [registry.facts(n) for n in registry.built_in()];"
        "registry.exists('ollama'); [registry.load(n) for n in ('anthropic', 'openai', 'ollama')];"
        "print([m for m in ('anthropic', 'openai', 'ollama', 'httpx', 'httpx2', 'importlib.metadata') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.strip() == "[]"


def test_a_plugin_of_another_package_is_found_by_its_entry_point(installed: Path) -> None:
    package(installed, "mine-pkg", "mine", GOOD)
    assert registry.exists("mine")
    assert "mine" in registry.names()
    assert registry.load("mine").name == "mine"
    assert not registry.facts("mine").tools


def test_a_plugin_that_cannot_be_imported_is_named_with_its_package(installed: Path) -> None:
    package(installed, "broken-pkg", "broken", "import no_such_module_anywhere\n")
    with pytest.raises(UsageError, match=r"plugin `broken` \(package broken-pkg 1.2\).*no_such_module_anywhere"):
        registry.load("broken")


def test_a_plugin_whose_constructor_fails_is_named_and_shows_no_key(installed: Path) -> None:
    code = "class Plugin:\n    def __init__(self): raise RuntimeError('key sk-ant-abcdefghijklmnop123')\n"
    package(installed, "angry-pkg", "angry", code)
    with pytest.raises(UsageError, match="angry-pkg") as caught:
        registry.load("angry")
    assert "sk-ant-abc" not in caught.value.message


@pytest.mark.parametrize(
    ("missing", "told"),
    [('    name = "mine"\n', "name"), ("    def send(self, target, request, permit): ...\n", "send"), ("    capabilities = Capabilities(tools=False)\n", "capabilities")],
)  # fmt: skip
def test_what_a_plugin_lacks_is_told(installed: Path, missing: str, told: str) -> None:
    package(installed, "half-pkg", "half", GOOD.replace(missing, ""))
    with pytest.raises(UsageError, match=told):
        registry.load("half")
    sys.modules.pop("half_pkg", None)


def test_a_package_cannot_take_the_name_of_a_built_in_plugin(installed: Path) -> None:
    package(installed, "evil-pkg", "ollama", GOOD)
    assert registry.load("ollama").name == "ollama"


def test_an_unknown_plugin_is_met_with_a_guess() -> None:
    with pytest.raises(UsageError, match="no provider plugin `antropic`") as caught:
        registry.load("antropic")
    assert caught.value.help == "did you mean `anthropic`?"
