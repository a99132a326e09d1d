"""What the stages of `check` work on: a built policy, compiled, in its world, with an effort to spend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hroute.router.analysis.reach import Effort, Found
from hroute.router.analysis.witness import witness, words
from hroute.router.analysis.world import World
from hroute.router.index import Index
from hroute.schema.codes import finding
from hroute.schema.diagnostic import Diagnostic, Label, Span
from hroute.schema.policy import Policy, Rule
from hroute.schema.source import Source


@dataclass(frozen=True, slots=True)
class Subject:
    """`facts` gives, for a plugin's name, whether it exists and the package that it misses (None: nothing). `source` is the
    file, where the policy comes from one."""

    policy: Policy
    index: Index
    world: World
    effort: Effort
    span: Span
    facts: Callable[[str], PluginFacts]
    source: Source | None = None

    def example(self, found: Found) -> tuple[str, dict[str, object]]:
        """A witness as a help line and as data."""
        shown = witness(self.world, found)
        return f"for example: {words(self.world, shown)}", shown

    def place(self, rule: Rule, *keys: str) -> Span:
        """The place of the first of `keys` that the rule has, else of its name, else of the policy."""
        for key in (*keys, "name"):
            if key in rule.spans:
                return rule.spans[key]
        return self.span


@dataclass(frozen=True, slots=True)
class PluginFacts:
    known: bool
    suggestion: str = ""
    missing_package: str | None = None


Stage = Callable[[Subject], Iterator[Diagnostic]]

__all__ = ["Diagnostic", "Label", "PluginFacts", "Stage", "Subject", "finding"]
