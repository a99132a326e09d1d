"""What one model of Anthropic takes and another refuses with a 400: a request written for the one is made to fit the other.

Models before 4.6 know neither `thinking: adaptive` nor `effort`; those after it refuse a thinking budget and sampling.
A client writes for the model that it asked for; where a policy lets another of the same vendor serve, this is needed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from hroute.wire.fields import Json, inner

_EARLIER: Final = re.compile(
    r"claude-(?:[123]|instant|(?:opus|sonnet|haiku)-(?:3|4(?:-[015])?(?:$|[-@]\d{8}|-latest)))"
)
_LATER: Final = re.compile(r"claude-[a-z]+-(?:4-[7-9]|[5-9])(?:$|[-@.])")
"""Between the two lie those that take both; of a model of neither sort nothing is known."""
_SAMPLING: Final = ("temperature", "top_p", "top_k")
_CLEARS: Final = "clear_thinking"
"""Edits of the context whose names begin so want thinking switched on."""


def fitted(body: Json, model: str) -> dict[str, Any]:
    """The keys of a Messages body that have to be different for `model`, with their values; None is a key to leave out."""
    if _EARLIER.match(model):
        return _for_earlier(body)
    if _LATER.match(model):
        return _for_later(body)
    return {}


def _for_earlier(body: Json) -> dict[str, Any]:
    """Without adaptive thinking: not with a budget instead, since a tool loop that began without thinking may not go on
    with it."""
    changed: dict[str, Any] = {}
    output = inner(body, "output_config")
    if "effort" in output:
        changed["output_config"] = {key: value for key, value in output.items() if key != "effort"} or None
    if inner(body, "thinking").get("type") == "adaptive":
        changed["thinking"] = None
        changed.update(_not_clearing(body))
    return changed


def _not_clearing(body: Json) -> dict[str, Any]:
    """The edits of the context that do without thinking."""
    context = inner(body, "context_management")
    edits = context.get("edits")
    if not isinstance(edits, list):
        return {}
    kept = [e for e in edits if not (isinstance(e, Mapping) and str(e.get("type", "")).startswith(_CLEARS))]
    if len(kept) == len(edits):
        return {}
    return {"context_management": {**context, "edits": kept} if kept else None}


def _for_later(body: Json) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    if inner(body, "thinking").get("type") == "enabled":
        changed["thinking"] = {"type": "adaptive"}
    changed.update((key, None) for key in _SAMPLING if key in body)
    return changed
