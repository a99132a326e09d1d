"""Every HR code: its level and title, what it means and why it matters, and the one way to make a finding.

The longer texts (what, why, a bad and a good policy) live in `codes.yaml` beside this module and are read only when
somebody asks for them, so that a start pays for the table alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from hroute.schema.diagnostic import Diagnostic, Edit, Label, Level, Span

_LEVELS: Final = {"E": Level.ERROR, "W": Level.WARNING, "I": Level.INFO}

_TABLE: Final = """
HR001 E the file cannot be read as YAML
HR002 E a key is given twice
HR003 E a plain value means something else than it looks
HR010 E a value has the wrong type
HR011 E a key is not known
HR012 E a value is not allowed
HR013 E something required is missing
HR014 E the version of the language is not supported
HR020 E the plugin is not known
HR021 E a provider, tier, definition or intent is not known
HR022 E a name is used twice
HR023 W a provider is never used
HR024 E the plugin's package is missing
HR200 W a guarantee was not proven in time
HR201 E a rule can never be reached
HR202 E a condition contradicts itself
HR203 W a condition is always true here
HR204 I a rule changes nothing
HR205 W two thresholds leave a gap of one value
HR206 E a condition is too large
HR301 E a guarantee is broken
HR302 E a fallback repeats a provider
HR303 I a fallback shares the endpoint of what it backs up
HR304 W the deadline is shorter than two tries
HR305 W a reachable request does not fit the provider
HR306 E a provider that claims to be local is not
HR307 E a secret stands in the policy in clear
HR308 E guarantees leave nobody for some request
HR309 W a guarantee rests on what only callers say
HR401 W no price is known where a budget needs one
HR402 E a budget is below the cheapest reachable call
HR403 W a route crosses a price band
HR404 W a model is retired or retiring soon
HR501 I a cheap route was never compared with its baseline
HR901 E no key for any provider that may serve
HR902 E refused by the policy
HR903 E every permitted provider failed
HR904 E a budget is spent
"""


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of finding. `level` and `title` are at hand; the texts are read from `codes.yaml` on first use."""

    code: str
    level: Level
    title: str

    @property
    def what(self) -> str:
        """What it is."""
        return _texts()[self.code]["what"]

    @property
    def why(self) -> str:
        """Why it matters."""
        return _texts()[self.code]["why"]

    @property
    def bad(self) -> str:
        """An example that gives this finding: a policy, or for run-time codes what a terminal shows."""
        return _texts()[self.code]["bad"]

    @property
    def good(self) -> str:
        """The same, mended."""
        return _texts()[self.code]["good"]

    @property
    def keep(self) -> str:
        """How to keep it on purpose; empty for errors, which cannot be kept."""
        return _texts()[self.code].get("keep", "")


CODES: Final[dict[str, Code]] = {
    code: Code(code, _LEVELS[level], title)
    for code, level, title in (line.split(" ", 2) for line in _TABLE.strip().splitlines())
}
"""The table, in the order in which documents list it."""


def finding(
    code: str,
    message: str,
    span: Span,
    *,
    label: str = "",
    others: Sequence[Label] = (),
    help: str = "",
    witness: Mapping[str, Any] | None = None,
    edit: Edit | None = None,
    level: Level | None = None,
) -> Diagnostic:
    """A finding of kind `code` at `span`, `label` beside its carets.

    The level is the table's unless `level` is given (HR305 is an error where no candidate at all fits a request).
    """
    return Diagnostic(
        code=code,
        level=level or CODES[code].level,
        message=message,
        primary=Label(span, label),
        others=tuple(others),
        help=help,
        witness=dict(witness or {}),
        edit=edit,
    )


@cache
def _texts() -> Mapping[str, Mapping[str, str]]:
    from hroute.schema.source import read

    texts: Mapping[str, Mapping[str, str]] = read(str(Path(__file__).with_name("codes.yaml"))).data
    return texts
