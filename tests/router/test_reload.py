"""A policy follows its file: renames, swapped links, half-written files, deletions; the last good one stays in force."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hroute.errors import PolicyError
from hroute.router import check
from hroute.router.reload import Reload, Reloader, watch
from hroute.schema.policy import Policy

GOOD = "routing_rules:\n  - {name: one, condition: {batch_size: '>100'}, route_to: ollama}\n"
BETTER = GOOD.replace("name: one", "name: two")
BAD = GOOD.replace("ollama", "olama")


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HROUTE_CACHE", "")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "routing-config.yaml"
    file.write_text(GOOD)
    return file


def following(file: Path) -> Reloader:
    return Reloader(str(file), check.load)


def first_rule(reloader: Reloader) -> str:
    return reloader.current.rules[0].name


def kind(event: Reload | None) -> str | None:
    return None if event is None else event.kind


def swap(file: Path, text: str) -> None:
    """As an editor saves: a new file renamed over the old one."""
    (file.parent / "new").write_text(text)
    (file.parent / "new").replace(file)


def test_nothing_changed_is_no_reload(file: Path) -> None:
    assert following(file).refresh() is None


def test_a_file_renamed_over_the_policy_is_taken(file: Path) -> None:
    reloader = following(file)
    before = reloader.current.hash
    swap(file, BETTER)
    event = reloader.refresh()
    assert event is not None
    assert (event.kind, event.serving, event.new) == ("reloaded", before, reloader.current.hash)
    assert first_rule(reloader) == "two"
    assert str(event) == f"policy reloaded   {before[:7]} -> {reloader.current.hash[:7]}"


def test_a_file_written_in_place_is_taken(file: Path) -> None:
    reloader = following(file)
    file.write_text(BETTER)
    assert kind(reloader.refresh()) == "reloaded"


def test_a_comment_is_no_reload(file: Path) -> None:
    reloader = following(file)
    file.write_text(GOOD + "# why\n")
    assert reloader.refresh() is None


def test_a_broken_policy_is_rejected_and_the_last_good_one_stays(file: Path) -> None:
    reloader = following(file)
    before = reloader.current
    file.write_text(BAD)
    event = reloader.refresh()
    assert event is not None
    assert event.kind == "rejected"
    assert reloader.current is before
    assert [finding.code for finding in event.findings] == ["HR021"]
    assert str(event).startswith(f"policy REJECTED   still serving {before.hash[:7]}   HR021 ")
    assert reloader.refresh() is None
    file.write_text(BETTER)
    assert kind(reloader.refresh()) == "reloaded"


@pytest.mark.parametrize("cut", range(1, len(BETTER) - 1, 7))
def test_a_half_written_file_never_replaces_the_policy_unless_it_is_one(file: Path, cut: int) -> None:
    reloader = following(file)
    before = reloader.current
    file.write_text(BETTER[:cut])
    event = reloader.refresh()
    if kind(event) == "rejected":
        assert reloader.current is before
    else:
        check.load(str(file))  # what was taken is a whole policy by itself
    file.write_text(BETTER)
    reloader.refresh()
    assert first_rule(reloader) == "two"


def test_an_empty_file_is_rejected(file: Path) -> None:
    reloader = following(file)
    file.write_text("")
    assert kind(reloader.refresh()) == "rejected"
    assert first_rule(reloader) == "one"


def test_a_deleted_policy_stays_in_force_and_its_return_is_taken(file: Path) -> None:
    reloader = following(file)
    file.unlink()
    event = reloader.refresh()
    assert event is not None
    assert event.kind == "missing"
    assert str(event).endswith("routing-config.yaml is gone; waiting")
    assert first_rule(reloader) == "one"
    assert reloader.refresh() is None
    file.write_text(GOOD)
    assert reloader.refresh() is None
    file.write_text(BETTER)
    assert kind(reloader.refresh()) == "reloaded"


def test_a_swapped_link_to_the_directory_is_taken(tmp_path: Path) -> None:
    """As a mounted configuration map is updated: the file is a link into `..data`, which is a link that is replaced."""
    for name, text in (("v1", GOOD), ("v2", BETTER)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "routing-config.yaml").write_text(text)
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "routing-config.yaml").symlink_to("..data/routing-config.yaml")
    reloader = following(tmp_path / "routing-config.yaml")
    (tmp_path / "..next").symlink_to("v2")
    (tmp_path / "..next").replace(tmp_path / "..data")
    assert kind(reloader.refresh()) == "reloaded"
    assert first_rule(reloader) == "two"


def test_a_file_that_the_policy_names_is_followed_too(file: Path) -> None:
    policy = GOOD.replace("route_to: ollama", "route_to: ollama, validate: {schema: shape.json}")
    (file.parent / "shape.json").write_text('{"type": "object"}')
    file.write_text(policy)
    reloader = following(file)
    (file.parent / "shape.json").write_text('{"type": "array"}')
    assert kind(reloader.refresh()) == "reloaded"


def test_a_policy_that_cannot_be_loaded_at_first_raises(file: Path) -> None:
    file.write_text(BAD)
    with pytest.raises(PolicyError):
        following(file)


def test_a_request_that_has_begun_keeps_its_policy(file: Path) -> None:
    reloader = following(file)
    begun: Policy = reloader.current
    file.write_text(BETTER)
    reloader.refresh()
    assert (begun.rules[0].name, reloader.current.rules[0].name) == ("one", "two")


def next_of(events: Iterator[object], stop: threading.Event) -> object:
    """The next event, or None after ten seconds."""
    timer = threading.Timer(10, stop.set)
    timer.start()
    try:
        return next(events, None)
    finally:
        timer.cancel()


def test_following_tells_each_change_as_it_happens(file: Path) -> None:
    stop = threading.Event()
    events = following(file).follow(stop)
    swap(file, BETTER)  # before anybody looks
    assert "reloaded" in str(next_of(events, stop))
    file.write_text(BAD)
    assert "REJECTED" in str(next_of(events, stop))
    file.unlink()
    assert "missing" in str(next_of(events, stop))
    swap(file, GOOD)
    assert "reloaded" in str(next_of(events, stop))
    stop.set()
    assert next(events, None) is None


def test_watching_begins_at_once_and_loses_no_change(file: Path) -> None:
    stop = threading.Event()
    changes = watch(lambda: (str(file),), stop)
    next(changes)
    swap(file, BETTER)  # between two looks
    assert next_of(changes, stop) is None
    assert not stop.is_set()
    file.unlink()
    next_of(changes, stop)
    assert not stop.is_set()


def test_watching_survives_that_the_directory_comes_later(tmp_path: Path) -> None:
    stop = threading.Event()
    file = tmp_path / "later" / "policy.yaml"
    changes = watch(lambda: (str(file),), stop)
    next(changes)
    file.parent.mkdir()
    file.write_text(GOOD)
    next_of(changes, stop)
    assert not stop.is_set()
