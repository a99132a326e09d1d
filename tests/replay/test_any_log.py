"""Whatever a log holds, a dry-run counts it and goes on."""

from __future__ import annotations

import io
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hroute.replay import dry_run, report
from hroute.replay.readers import jsonl
from hroute.replay.rows import COLUMNS
from hroute.terms.signal import SIGNALS
from tests.replay.policies import policy, rule

BUILT = policy(
    [
        rule("private", {"contains_pii": True}, "home", fallback=None),
        rule("words", {"message": {"any_of": ["hello"]}, "tenant": "t*"}, "haiku"),
        rule("long", {"prompt_tokens": ">=100", "complexity": ["low", "high"]}, "stranger"),
        {"name": "closed", "condition": {"cost_center": "x"}, "refuse": "closed"},
    ],
    baseline="haiku",
)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "content", "type", "text", "x"]), inner, max_size=4),
    max_leaves=6,
)  # fmt: skip
messages = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system", "tool"]), "content": anything}),
    max_size=3,
)
data = st.dictionaries(st.sampled_from([*COLUMNS, *SIGNALS]), anything, max_size=8)
conversations = st.fixed_dictionaries(
    {"messages": messages}, optional={"tools": anything, "system": anything, "ts": anything}
)


def run(log: bytes) -> dict[str, Any]:
    lines: list[dict[str, Any]] = []
    result = dry_run.run(BUILT, jsonl.rows(io.BytesIO(log), "log"), baseline="sonnet", each=lines.append, by="tenant")
    answer = report.as_json(result)
    json.dumps([answer, lines, report.table(result)], allow_nan=False)
    assert answer["requests"] == len(lines) == sum(route["requests"] for route in answer["routes"])
    assert answer["same"] + answer["changed"] + answer["cannot_tell"] == answer["requests"]
    return answer


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes_are_rows_or_bad_lines(lines: list[bytes]) -> None:
    answer = run(b"\n".join(lines))
    filled = [line for line in b"\n".join(lines).split(b"\n") if line.strip()]
    assert answer["requests"] + answer["bad_lines"] in (
        len(filled),
        len(filled) - 1,
    )  # a byte order mark alone is blank


@settings(max_examples=300, deadline=None)
@given(st.lists(data | conversations, min_size=1, max_size=4))
def test_any_objects_are_rows_or_bad_lines(rows: list[dict[str, Any]]) -> None:
    answer = run(b"\n".join(json.dumps(row).encode() for row in rows))
    assert answer["requests"] + answer["bad_lines"] == len(rows)
