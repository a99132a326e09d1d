"""What came of asking the providers, a line each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hroute.cli.render.table import rows
from hroute.cli.render.text import visible

if TYPE_CHECKING:
    from hroute.router.probing import Probed


def lines(found: Sequence[Probed]) -> list[str]:
    """`claude_sonnet   its key is rejected (401)`."""
    return rows([[visible(one.provider), visible(words(one))] for one in found], indent=2, gap=3)


def words(one: Probed) -> str:
    """One provider's answer in a line."""
    if one.probe is None:
        return "; ".join((one.problem, *one.notes)) if one.problem else "; ".join(one.notes)
    took = f"answers in {one.probe.ms:.0f} ms" if one.probe.failure is None and one.probe.ms else ""
    return "; ".join(part for part in (one.problem or ("ok" if not took else ""), took, *one.notes) if part)
