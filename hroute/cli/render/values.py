"""Signal values as a person types them (`--signal k=v`) and as JSON holds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hroute.terms.signal import ABSENT


def shown(value: Any) -> str:
    """One value in words: `true`, `0.35`, `iban, phone`, `absent`."""
    if value is ABSENT or value is None:
        return "absent"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (frozenset, set)):
        return ", ".join(sorted(value)) or "empty"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(shown, value)) or "empty"
    return str(value)


def assignments(signals: Mapping[str, Any]) -> str:
    """`contains_pii=true, task_type=chat`."""
    return ", ".join(f"{name}={shown(value).replace(', ', '+')}" for name, value in signals.items())


def plain(value: Any) -> Any:
    """`value` as JSON holds it: sets as sorted lists, absent as null."""
    if value is ABSENT:
        return None
    if isinstance(value, (frozenset, set)):
        return sorted(value)
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
