"""A policy while it is being built: what was read so far, and typed access to the file that reports what does not fit."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, TypeVar

from hroute.schema.codes import finding
from hroute.schema.condition import Condition
from hroute.schema.diagnostic import Diagnostic, Label, Span
from hroute.schema.parse import Definitions, Vocabulary, parse_condition
from hroute.schema.policy import Provider
from hroute.schema.region import Region, TooLarge, region_of
from hroute.schema.source import Path, Source
from hroute.schema.wants import did_you_mean

T = TypeVar("T")

_WORDS = {
    str: "a text",
    dict: "a mapping",
    list: "a list",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
}


@dataclass(slots=True)
class Draft:
    """`providers` and `tiers` are filled before anything that names them; `sources` maps each file read to its hash."""

    source: Source
    definitions: Definitions
    vocabulary: Vocabulary
    environ: Mapping[str, str]
    findings: list[Diagnostic] = field(default_factory=list)
    providers: dict[str, Provider] = field(default_factory=dict)
    tiers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)  # names that were declared, but not in a way that could be read
    sources: dict[str, str] = field(default_factory=dict)

    def find(
        self,
        code: str,
        message: str,
        path: Path,
        *,
        at_key: bool = False,
        help: str = "",
        label: str = "",
        others: Iterable[Label] = (),
    ) -> None:
        span = self.source.key_span(path) if at_key else self.source.span(path)
        self.findings.append(finding(code, message, span, label=label, others=tuple(others), help=help))

    def span(self, path: Path) -> Span:
        return self.source.span(path)

    def get(self, path: Path) -> Any:
        """The value at `path`, None where nothing stands there."""
        value = self.source.data
        for step in path:
            if isinstance(value, dict) and isinstance(step, str):
                value = value.get(step)
            elif isinstance(value, list) and isinstance(step, int) and step < len(value):
                value = value[step]
            else:
                return None
        return value

    def has(self, path: Path) -> bool:
        """Whether a key stands at `path`, if only with `null`."""
        above = self.get(path[:-1])
        return isinstance(above, dict) and path[-1] in above

    def typed(self, path: Path, kind: type[T], default: T) -> T:
        """The value at `path` if it is of `kind`; the default where it is missing or does not fit (HR010)."""
        value = self.get(path)
        if value is None:
            return default
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self.find("HR010", f"`{path[-1]}` takes {_WORDS.get(kind, 'something else')}", path)
            return default
        return value

    def mapping(self, path: Path) -> dict[str, Any]:
        return self.typed(path, dict, {})

    def text(self, path: Path) -> str | None:
        """The text at `path`; numbers and booleans count as the text that they are written as."""
        value = self.get(path)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (int, float)):
            return str(value)
        return self.typed(path, str, "") if value is not None else None

    def texts(self, path: Path) -> tuple[str, ...]:
        """A text or a list of them."""
        value = self.get(path)
        if isinstance(value, list):
            return tuple(text for at in range(len(value)) if (text := self.text((*path, at))) is not None)
        text = self.text(path)
        return () if text is None else (text,)

    def whole(self, path: Path, least: int = 1) -> int | None:
        """A whole number of at least `least`; `env:NAME` is looked up."""
        value = self.looked_up(path)
        if value is None:
            return None
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18:
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            self.find("HR010", f"`{path[-1]}` takes a whole number", path)
            return None
        if value < least or value > 10**15:
            self.find("HR012", f"`{path[-1]}` is a whole number, {least} or more", path)
            return None
        return value

    def measure(self, path: Path, read: Callable[[Any], T], default: T) -> T:
        """A duration, share or amount at `path`, read by `read`; `env:NAME` is looked up."""
        value = self.looked_up(path)
        if value is None:
            return default
        try:
            return read(value)
        except (ValueError, ArithmeticError) as error:
            self.find("HR012", f"`{path[-1]}`: {error}", path)
            return default

    def looked_up(self, path: Path) -> Any:
        """The value at `path`; a number, duration or amount given as `env:NAME` has to be known before anything runs."""
        value = self.get(path)
        if isinstance(value, str) and value.startswith("env:"):
            found = self.environ.get(value[4:])
            if found is None:
                self.find("HR012", f"`{path[-1]}` is read from ${value[4:]}, which is not set", path)
            return found
        return value

    def choice(self, path: Path, allowed: tuple[str, ...], default: str) -> str:
        value = self.get(path)
        if value is None:
            return default
        if value not in allowed:
            help = did_you_mean(str(value), allowed, "one of " + ", ".join(allowed))
            self.find("HR012", f"`{value}` is not an allowed value of `{path[-1]}`", path, help=help)
            return default
        return str(value)

    def condition(self, path: Path) -> Condition:
        return parse_condition(
            self.source, path, definitions=self.definitions, vocabulary=self.vocabulary, findings=self.findings
        )

    def region(self, condition: Condition, path: Path) -> Region:
        """The condition's region; HR206 at `path` where it has too many boxes."""
        try:
            return region_of(condition)
        except TooLarge:
            help = "split it into several rules, or test fewer things at once"
            self.find(
                "HR206", "the condition is too large: more than 256 combinations after normalising", path, help=help
            )
            return ()

    def provider(self, name: str, path: Path, what: str) -> tuple[str, ...]:
        """The providers that `name` stands for: itself, or a tier's in order; none, and HR021, where it is unknown."""
        if name in self.tiers:
            return self.tiers[name]
        if name in self.providers:
            return (name,)
        if name not in self.broken:
            names = (*self.providers, *self.tiers)
            help = did_you_mean(name, names, "providers and tiers: " + ", ".join(names))
            self.find("HR021", f"{what} unknown provider `{name}`", path, help=help)
        return ()

    def one_provider(self, path: Path, what: str) -> str | None:
        """The one provider named at `path`, not a tier."""
        name = self.get(path)
        if name is None:
            return None
        if not isinstance(name, str):
            self.find("HR010", f"`{path[-1]}` takes the name of a provider", path)
            return None
        if name in self.tiers:
            self.find(
                "HR012",
                f"{what} tier `{name}`, and needs one provider",
                path,
                help="one of " + ", ".join(self.tiers[name]),
            )
            return None
        return name if self.provider(name, path, what) else None

    def file(self, path: Path, name: str) -> str | None:
        """The text of a file that the policy names at `path`, relative to the policy; its hash is kept."""
        place = os.path.join(os.path.dirname(self.source.name), name)
        try:
            with open(place, "rb") as file:
                raw = file.read(_LARGEST + 1)
            if len(raw) > _LARGEST:
                raise ValueError("larger than 16 MiB")
            text = raw.decode("utf-8-sig")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or ("not UTF-8" if isinstance(error, UnicodeError) else error)
            self.find("HR012", f"`{name}` cannot be read: {reason}", path, help="a path is relative to the policy")
            return None
        self.sources[place] = sha256(raw).hexdigest()
        return text


_LARGEST = 16 << 20
