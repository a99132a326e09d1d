"""The cache: what cannot be trusted is not there, and nothing that happens to it fails a command."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from hroute.schema import cache

KEY = cache.key_of("a key")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HROUTE_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


def entry(folder: Path) -> Path:
    (found,) = folder.rglob("*.json")
    return found


def test_what_was_put_is_got(folder: Path) -> None:
    cache.put(KEY, {"a": [1, "ü", None]})
    assert cache.get(KEY) == {"a": [1, "ü", None]}
    assert cache.get(cache.key_of("another")) is None


def test_an_entry_and_its_folder_are_only_for_their_owner(folder: Path) -> None:
    cache.put(KEY, {"a": 1})
    assert stat.S_IMODE(entry(folder).stat().st_mode) == 0o600
    assert stat.S_IMODE(entry(folder).parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_an_entry_that_others_could_have_written_is_ignored(folder: Path, mode: int) -> None:
    cache.put(KEY, {"a": 1})
    entry(folder).chmod(mode)
    assert cache.get(KEY) is None


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give a file away")
def test_an_entry_of_somebody_else_is_ignored(folder: Path) -> None:
    cache.put(KEY, {"a": 1})
    os.chown(entry(folder), 12345, 12345)
    assert cache.get(KEY) is None


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff\xfe", b"0" * 64 + b"\n{}"])
def test_a_damaged_entry_is_ignored(folder: Path, damage: bytes) -> None:
    cache.put(KEY, {"a": 1})
    entry(folder).write_bytes(damage)
    assert cache.get(KEY) is None


def test_an_entry_that_was_cut_off_or_changed_is_ignored(folder: Path) -> None:
    cache.put(KEY, {"a": 1, "b": 2})
    whole = entry(folder).read_bytes()
    for kept in (whole[:-1], whole[: len(whole) // 2], whole.replace(b"2}", b"3}")):
        assert kept != whole
        entry(folder).write_bytes(kept)
        assert cache.get(KEY) is None


def test_a_link_in_place_of_an_entry_is_not_followed(folder: Path, tmp_path: Path) -> None:
    cache.put(KEY, {"a": 1})
    target = tmp_path / "elsewhere"
    entry(folder).rename(target)
    (folder / "policies" / f"{KEY}.json").symlink_to(target)
    assert cache.get(KEY) is None


def test_a_folder_in_place_of_an_entry_is_ignored(folder: Path) -> None:
    (folder / "policies" / f"{KEY}.json").mkdir(parents=True)
    assert cache.get(KEY) is None
    cache.put(KEY, {"a": 1})
    assert cache.get(KEY) is None


def test_the_oldest_entries_go_first(folder: Path) -> None:
    for number in range(cache.MOST + 5):
        key = cache.key_of(str(number))
        cache.put(key, {"n": number})
        os.utime(folder / "policies" / f"{key}.json", (number, number))
    assert len(list(folder.rglob("*.json"))) == cache.MOST
    assert cache.get(cache.key_of("0")) is None
    assert cache.get(cache.key_of(str(cache.MOST + 4))) == {"n": cache.MOST + 4}


def test_a_write_that_fails_fails_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HROUTE_CACHE", str(tmp_path / "file"))
    cache.put(KEY, {"a": 1})
    assert cache.get(KEY) is None
    assert (tmp_path / "file").read_text() == ""


def test_a_value_that_is_no_json_is_not_kept(folder: Path) -> None:
    cache.put(KEY, {"a": {1, 2}})
    assert cache.get(KEY) is None
    assert not list(folder.rglob("*.part"))


def test_an_empty_name_switches_it_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HROUTE_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache.put(KEY, {"a": 1})
    assert cache.get(KEY) is None
    assert not list(tmp_path.iterdir())


def test_it_lies_where_the_desktop_standard_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HROUTE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache.put(KEY, {"a": 1})
    assert json.loads(entry(tmp_path / "hroute").read_bytes().partition(b"\n")[2]) == {"a": 1}


def test_keys_tell_their_parts_apart() -> None:
    assert cache.key_of("ab", "c") != cache.key_of("a", "bc")
    assert cache.key_of(b"a") == cache.key_of("a")
