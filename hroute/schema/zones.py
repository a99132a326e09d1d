"""Names of time zones in a policy."""

from __future__ import annotations

from hroute.schema.draft import Draft
from hroute.schema.source import Path
from hroute.schema.wants import did_you_mean


def zone_name(draft: Draft, path: Path) -> str:
    """The time zone that is named at `path`, UTC where none is; HR012 for one that does not exist."""
    name = draft.text(path) or "UTC"
    if name == "UTC":
        return name
    from zoneinfo import ZoneInfo, available_timezones

    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        help = did_you_mean(name, sorted(available_timezones()), "a name such as Europe/Berlin")
        draft.find("HR012", f"`{name}` is not a time zone", path, help=help)
        return "UTC"
    return name
