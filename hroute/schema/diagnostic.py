"""A finding about a policy: what, where, and what next. Rendering lives in `hroute.cli.render.diagnostic`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    ERROR = "error"  # blocks loading and reloading
    WARNING = "warning"  # printed; `--deny-warnings` makes it count
    INFO = "info"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A place in a file: 1-based lines and columns (code points), the end exclusive."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Label:
    """A place and what to say beside its carets. `masked`: what stands there is a secret, and is never shown."""

    span: Span
    text: str = ""
    masked: bool = False


@dataclass(frozen=True, slots=True)
class Edit:
    """The mend as text: replace what stands at `span`."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. `primary` is where to look, `others` what it has to do with (first given here, required here).

    `witness` is a concrete request, signal -> value, where the finding is about requests.
    """

    code: str
    level: Level
    message: str
    primary: Label
    others: tuple[Label, ...] = ()
    help: str = ""
    witness: Mapping[str, Any] = field(default_factory=dict)
    edit: Edit | None = None

    @property
    def sort_key(self) -> tuple[Any, ...]:
        return (self.primary.span, self.code, self.message)


def to_data(finding: Diagnostic) -> list[Any]:
    """A finding as plain JSON data, for a cache."""
    labels = [[astuple(label.span), label.text, label.masked] for label in (finding.primary, *finding.others)]
    return [finding.code, finding.level.value, finding.message, labels, finding.help, dict(finding.witness)]


def from_data(data: list[Any]) -> Diagnostic:
    """The finding that `to_data` wrote. Raises ValueError, TypeError or KeyError where it is something else."""
    code, level, message, labels, help, witness = data
    primary, *others = (Label(Span(*span), text, masked) for span, text, masked in labels)
    return Diagnostic(code, Level(level), message, primary, tuple(others), help, witness)
