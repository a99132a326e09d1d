"""`validate:` of a rule: what a reply has to be, and who judges it."""

from __future__ import annotations

import json
from typing import Any, Final

from hroute.schema.draft import Draft
from hroute.schema.policy import Validate
from hroute.schema.source import Path
from hroute.schema.text_tests import pattern_finding

_ON: Final = ("answer", "number", "choice", "label", "json", "text")


def read_validate(draft: Draft, path: Path, who: str) -> Validate | None:
    """The validation at `path`, its schema read in; None where there is none."""
    if draft.get(path) is None:
        return None
    draft.mapping(path)
    matches = draft.text((*path, "matches"))
    if matches is not None and (wrong := pattern_finding(draft.source, (*path, "matches"), matches)) is not None:
        draft.findings.append(wrong)
    schema = _schema(draft, (*path, "schema"))
    return Validate(
        attempts=draft.whole((*path, "attempts")) or 2,
        format="json" if draft.has((*path, "format")) and draft.choice((*path, "format"), ("json",), "json") else None,
        schema=schema,
        choices=draft.texts((*path, "choices")),
        matches=matches,
        not_refusal=draft.typed((*path, "not_refusal"), bool, False),
        min_certainty=_certainty(draft, (*path, "min_certainty")),
        agree_with=draft.one_provider((*path, "agree", "with"), f"{who} agrees with"),
        agree_on=draft.choice((*path, "agree", "on"), _ON, "answer"),
        judge=draft.one_provider((*path, "judge"), f"{who} is judged by"),
    )


def plain_validate(validate: Validate) -> dict[str, Any]:
    """The validation as it would stand in a policy, the schema written out."""
    written: dict[str, Any] = {"attempts": validate.attempts}
    for key in ("format", "schema", "matches", "min_certainty", "judge"):
        if getattr(validate, key) is not None:
            written[key] = getattr(validate, key)
    if validate.choices:
        written["choices"] = list(validate.choices)
    if validate.not_refusal:
        written["not_refusal"] = True
    if validate.agree_with is not None:
        written["agree"] = {"with": validate.agree_with, "on": validate.agree_on}
    return written


def _schema(draft: Draft, path: Path) -> dict[str, Any] | None:
    value = draft.get(path)
    if not isinstance(value, str):
        return draft.mapping(path) if value is not None else None
    text = draft.file(path, value)
    if text is None:
        return None
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError):
        from hroute.schema.source import read_text

        source = read_text(text, value)
        schema = source.data
        if source.findings:
            draft.find("HR012", f"`{value}` is not JSON: {source.findings[0].message}", path)
            return None
    if not isinstance(schema, dict):
        draft.find(
            "HR012", f"`{value}` holds no JSON Schema", path, help='a schema is an object: {"type": "object", ...}'
        )
        return None
    return schema


def _certainty(draft: Draft, path: Path) -> float | None:
    value = draft.get(path)
    if value is None:
        return None
    certainty = draft.typed(path, float, 0.5)
    if not 0 <= certainty <= 1:
        draft.find("HR012", "`min_certainty` is a number from 0 to 1", path)
    return certainty
