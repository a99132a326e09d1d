"""Keys stay in one place, readable by their owner only, and are found by the reference that a policy uses."""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from hroute.errors import UsageError
from hroute.terms import keystore
from hroute.terms.secret import resolve

VALUE = "sk-test-0123456789abcdef"


class FakeKeyring:
    """The few calls of the `keyring` package that are used."""

    def __init__(self, priority: float = 5, broken: bool = False) -> None:
        self.held: dict[tuple[str, str], str] = {}
        self.backend = SimpleNamespace(priority=priority)
        self.broken = broken

    def get_keyring(self) -> SimpleNamespace:
        return self.backend

    def get_password(self, service: str, name: str) -> str | None:
        return self.held.get((service, name))

    def set_password(self, service: str, name: str, value: str) -> None:
        if self.broken:
            raise RuntimeError("locked")
        self.held[service, name] = value

    def delete_password(self, service: str, name: str) -> None:
        del self.held[service, name]


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setitem(sys.modules, "keyring", None)  # as if it were not installed
    return {"XDG_DATA_HOME": str(tmp_path)}


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]) -> FakeKeyring:
    fake = FakeKeyring()
    monkeypatch.setitem(sys.modules, "keyring", fake)
    return fake


def file(environ: dict[str, str]) -> Path:
    return Path(keystore.path(environ))


def test_without_a_keyring_a_key_lies_in_a_file_that_only_its_owner_reads(environ: dict[str, str]) -> None:
    old = os.umask(0)
    try:
        assert keystore.store("A", VALUE, environ) == "file"
    finally:
        os.umask(old)
    assert file(environ).stat().st_mode & 0o777 == 0o600
    assert file(environ).parent.stat().st_mode & 0o777 == 0o700
    assert resolve("keyring:A", environ) == VALUE
    assert resolve("keyring:B", environ) is None


def test_a_keyring_is_preferred_and_the_file_holds_the_name_alone(
    environ: dict[str, str], keyring: FakeKeyring
) -> None:
    assert keystore.store("A", VALUE, environ) == "keyring"
    assert VALUE not in file(environ).read_text()
    assert keyring.held == {("hroute", "A"): VALUE}
    assert resolve("keyring:A", environ) == VALUE
    assert keystore.names(environ) == [keystore.Kept("A", "keyring")]


@pytest.mark.parametrize("fake", [FakeKeyring(priority=0), FakeKeyring(priority=0.5), FakeKeyring(broken=True)])
def test_a_keyring_that_is_none_stores_plain_text_or_is_locked_is_passed_over(
    environ: dict[str, str], fake: FakeKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", fake)
    assert keystore.store("A", VALUE, environ) == "file"
    assert fake.held == {}
    assert resolve("keyring:A", environ) == VALUE


def test_a_key_is_in_one_place_only(environ: dict[str, str], keyring: FakeKeyring) -> None:
    keystore.store("A", "old-value", environ)
    assert keystore.store("A", VALUE, environ, to_file=True) == "file"
    assert keyring.held == {}
    assert resolve("keyring:A", environ) == VALUE
    keystore.store("A", "newest-value", environ)
    assert "newest-value" not in file(environ).read_text()
    assert VALUE not in file(environ).read_text()
    assert resolve("keyring:A", environ) == "newest-value"


def test_what_another_program_put_into_the_keyring_is_found_too(environ: dict[str, str], keyring: FakeKeyring) -> None:
    keyring.held["hroute", "work account"] = VALUE
    assert resolve("keyring:work account", environ) == VALUE


def test_a_removed_key_is_gone_from_everywhere(environ: dict[str, str], keyring: FakeKeyring) -> None:
    keystore.store("A", VALUE, environ)
    keystore.store("B", VALUE, environ, to_file=True)
    assert keystore.remove("A", environ)
    assert keystore.remove("B", environ)
    assert not keystore.remove("C", environ)
    assert keystore.names(environ) == []
    assert keyring.held == {}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_that_others_can_read_is_not_used(environ: dict[str, str], mode: int) -> None:
    keystore.store("A", VALUE, environ)
    file(environ).chmod(mode)
    assert resolve("keyring:A", environ) is None
    with pytest.raises(UsageError, match="open to others") as caught:
        keystore.names(environ)
    assert VALUE not in str(caught.value)
    with pytest.raises(UsageError):
        keystore.store("B", VALUE, environ)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"keys": 3}', '{"keys": {"A": 3}, "keyring": [4]}', "\x00"])
def test_whatever_the_file_holds_a_lookup_ends(environ: dict[str, str], content: str) -> None:
    keystore.store("A", VALUE, environ)
    file(environ).write_text(content)
    assert resolve("keyring:A", environ) is None


def test_a_link_is_not_followed(environ: dict[str, str], tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text(json.dumps({"keys": {"A": VALUE}, "keyring": []}))
    elsewhere.chmod(0o600)
    file(environ).parent.mkdir()
    file(environ).symlink_to(elsewhere)
    assert resolve("keyring:A", environ) is None


@pytest.mark.parametrize("name", ["", " ", "A B", "A=sk-1", "Ä", "x\n", "sk-ant-api03-abcDEF123456_ghiJKL7890"])
def test_a_name_that_is_none_is_refused_without_repeating_it(environ: dict[str, str], name: str) -> None:
    with pytest.raises(UsageError) as caught:
        keystore.store(name, VALUE, environ)
    assert "sk-" not in str(caught.value) + str(caught.value.help)
    assert not file(environ).exists()


@pytest.mark.parametrize("value", ["", "a\nb", "a\x07", "x" * (keystore.LONGEST + 1)])
def test_a_value_that_cannot_be_a_key_is_refused(environ: dict[str, str], value: str) -> None:
    with pytest.raises(UsageError):
        keystore.store("A", value, environ)


def test_keys_that_are_set_at_the_same_time_all_stay(environ: dict[str, str]) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: keystore.store(f"K{n}", f"value-{n}", environ), range(24)))
    assert {k.name for k in keystore.names(environ)} == {f"K{n}" for n in range(24)}
    assert keystore.find("K7", environ) == "value-7"
