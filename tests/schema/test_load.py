"""Loading: whatever stands at a path, the answer is a policy or findings; a second start parses nothing again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hroute.schema.load import load, load_text
from tests.schema.whole import WHOLE

SMALL = "routing_rules:\n  - {name: a, condition: {task_type: code}, route_to: gpt4o}\n"


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HROUTE_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


def written(folder: Path, text: str | bytes = SMALL) -> Path:
    path = folder / "routing-config.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_policy_is_loaded_from_a_path_and_from_a_text(tmp_path: Path) -> None:
    path = written(tmp_path)
    policy, findings, source = load(str(path))
    same, _, _ = load_text(SMALL)
    assert findings == []
    assert policy is not None
    assert policy == same
    assert policy.path == source.name == str(path)


@pytest.mark.parametrize("place", ["nowhere.yaml", ".", "nowhere/at/all.yaml", "nul\0byte.yaml"])
def test_what_cannot_be_read_is_a_finding(tmp_path: Path, place: str) -> None:
    policy, findings, _ = load(os.path.join(tmp_path, place))
    assert policy is None
    assert [f.code for f in findings] == ["HR001"]


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_a_finding(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.chmod(0)
    assert [f.code for f in load(str(path))[1]] == ["HR001"]


@pytest.mark.parametrize("text", ["", "# nothing\n", "5", "[]", "null", "just a text", "{"])
def test_a_file_that_is_no_policy_is_a_finding(tmp_path: Path, text: str) -> None:
    policy, findings, _ = load(str(written(tmp_path, text)))
    assert policy is None
    assert findings


def test_findings_come_in_the_order_of_the_file_and_each_place_is_blamed_once() -> None:
    text = "routing_rules:\n  - {name: a, condition: {tenant: 5}, route_to: nobody}\n  - {name: b, condition: 7, route_to: gpt4o}\nmode: enforc\n"
    _, findings, _ = load_text(text)
    lines = [f.primary.span.line for f in findings]
    assert lines == sorted(lines)
    assert len({(f.primary.span, f.code) for f in findings}) == len(findings)
    assert [f.code for f in findings] == ["HR010", "HR021", "HR010", "HR012"]


def test_a_second_load_gives_the_same_policy_and_source(tmp_path: Path, kept: Path) -> None:
    path = str(written(tmp_path, WHOLE))
    first, _, source = load(path)
    assert list(kept.rglob("*.json"))
    second, findings, again = load(path)
    assert findings == []
    assert second == first
    assert first is not None
    assert second is not None
    assert (second.hash, second.rules[0].spans) == (first.hash, first.rules[0].spans)
    assert (again.text, again.data) == (source.text, source.data)


def test_a_second_start_imports_neither_yaml_nor_jsonschema(tmp_path: Path) -> None:
    path = str(written(tmp_path, WHOLE))
    load(path)
    code = f"import sys; from hroute.schema.load import load; policy, _, _ = load({path!r}); print(policy is not None, *sorted({{'yaml', 'jsonschema'}} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.split() == ["True"]


def test_a_policy_with_an_error_is_not_kept(tmp_path: Path, kept: Path) -> None:
    load(str(written(tmp_path, SMALL.replace("gpt4o", "gpt5o"))))
    assert not list(kept.rglob("*.json"))


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    path = written(tmp_path)
    first, _, _ = load(str(path))
    path.write_text(SMALL.replace("gpt4o", "ollama"))
    second, _, _ = load(str(path))
    assert first is not None
    assert second is not None
    assert first.hash != second.hash


def test_the_same_bytes_under_another_name_keep_their_own_places(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for folder in (tmp_path, tmp_path / "other"):
        path = str(written(folder))
        policy, _, _ = load(path)
        assert policy is not None
        assert policy.rules[0].span is not None
        assert policy.rules[0].span.file == path


def test_a_file_that_the_policy_names_is_read_at_every_start(tmp_path: Path) -> None:
    (tmp_path / "reply.json").write_text('{"type": "object"}')
    path = str(written(tmp_path, SMALL.replace("gpt4o}", "gpt4o, validate: {schema: reply.json}}")))
    assert load(path)[0] is not None
    (tmp_path / "reply.json").unlink()
    policy, findings, _ = load(path)
    assert policy is None
    assert [f.code for f in findings] == ["HR012"]


def test_an_entry_of_another_form_costs_time_only(tmp_path: Path, kept: Path) -> None:
    path = str(written(tmp_path))
    first, _, _ = load(path)
    (entry,) = kept.rglob("*.json")
    from hroute.schema import cache

    for lie in (
        {},
        {"name": path},
        {"name": path, "text": "", "data": {"a": 1}, "flat": [0], "ignores": []},
        {"name": 5, "text": 5, "data": 5, "flat": 5, "ignores": 5},
    ):
        cache.put(entry.stem, lie)
        policy, _, _ = load(path)
        assert policy == first


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_give_findings_or_a_policy_and_never_an_exception(raw: bytes) -> None:
    policy, findings, source = load_text(raw)
    last = source.text.count("\n") + 1
    assert policy is not None or findings
    assert all(1 <= f.primary.span.line <= f.primary.span.end_line <= last for f in findings)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(WHOLE)), st.integers(0, 40), st.text("{}[]:,-#&*!|>'\"% \n\tab1", max_size=6))
def test_a_policy_cut_and_patched_anywhere_never_raises(at: int, cut: int, patch: str) -> None:
    policy, findings, _ = load_text(WHOLE[:at] + patch + WHOLE[at + cut :])
    assert policy is not None or findings
