"""A finding about a policy: what, where, and what next. Rendering lives in `hroute.cli.render.diagnostic`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    """A place and what to say beside its carets."""

    span: Span
    text: str = ""


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
