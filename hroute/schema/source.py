"""The one reader of YAML and JSON files: plain values, and the place of every key and every value.

Policies, `*.test.yaml`, scenarios and examples are all read here. Whatever the bytes are, the answer is a `Source`:
what is wrong with them is in its `findings`, never in an exception. `data` is None where nothing could be read.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from hroute.schema.codes import CODES, finding
from hroute.schema.diagnostic import Diagnostic, Edit, Label, Level, Span
from hroute.schema.yaml_events import Place, Trouble, read_events

if TYPE_CHECKING:
    from re import Match

MAX_BYTES: Final = 16 * 1024 * 1024

Path = tuple[str | int, ...]
"""Keys and list positions from the root to a value."""


@dataclass(frozen=True, slots=True)
class Ignore:
    """A comment `# hroute: ignore CODE reason`: keeps a warning on purpose. `line` is where the comment stands."""

    code: str
    reason: str
    line: int


@dataclass(frozen=True, eq=False)
class Source:
    """A file that was read. `text` is without a byte order mark and has `\\n` at every line's end.

    `data` is made of dict, list, str, int, float, bool and None; keys are always text, as written.
    """

    name: str
    text: str
    data: Any
    findings: tuple[Diagnostic, ...] = ()
    ignores: tuple[Ignore, ...] = ()
    tree: Place | None = None
    flat: tuple[int, ...] = ()

    def span(self, path: Path) -> Span:
        """The place of the value at `path`; of the nearest value above it where there is none."""
        place = self._place
        for step in path:
            below = _below(place, step)
            if below is None:
                break
            place = below[1]
        return self.span_of(place[0], place[1])

    def key_span(self, path: Path) -> Span:
        """The place of the key at `path` (of a list: the item); of the nearest one above where there is none."""
        place, found = self._place, (self._place[0], self._place[1])
        for step in path:
            below = _below(place, step)
            if below is None:
                break
            found, place = below
        return self.span_of(*found)

    def span_of(self, start: int, end: int) -> Span:
        """The place of `text[start:end]`."""
        line, column = self._at(start)
        end_line, end_column = self._at(end)
        return Span(self.name, line, column, end_line, end_column)

    def kept(self, finding: Diagnostic) -> Ignore | None:
        """The comment that keeps `finding` on purpose: on its line, or above the entry that it lies in."""
        if finding.level is Level.ERROR:
            return None
        line = finding.primary.span.line
        for ignore in self.ignores:
            first, last = self._reach(ignore.line)
            if ignore.code == finding.code and first <= line <= last:
                return ignore
        return None

    def to_json(self) -> dict[str, Any]:
        """What a cache keeps, for `from_json`. Only for a source without findings (ValueError)."""
        if self.findings:
            raise ValueError("a source with findings is not kept")
        ignores = [[i.code, i.reason, i.line] for i in self.ignores]
        return {
            "name": self.name,
            "text": self.text,
            "data": self.data,
            "flat": _flatten(self._place),
            "ignores": ignores,
        }

    @staticmethod
    def from_json(kept: Mapping[str, Any]) -> Source:
        """A source as `to_json` wrote it, without reading YAML. Raises KeyError or TypeError on anything else."""
        ignores = tuple(Ignore(*entry) for entry in kept["ignores"])
        return Source(kept["name"], kept["text"], kept["data"], (), ignores, flat=tuple(kept["flat"]))

    @cached_property
    def _place(self) -> Place:
        if self.tree is not None:
            return self.tree
        return _unflatten(self.data, iter(self.flat)) if self.flat else (0, 0, None)

    @cached_property
    def _starts(self) -> list[int]:
        starts, at = [0], self.text.find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = self.text.find("\n", at + 1)
        return starts

    def _at(self, index: int) -> tuple[int, int]:
        line = bisect_right(self._starts, index)
        return line, index - self._starts[line - 1] + 1

    def _reach(self, line: int) -> tuple[int, int]:
        """The lines for which a comment on `line` speaks: its own, or the entry that begins below it."""
        lines = self.text.split("\n")
        if not lines[line - 1].lstrip().startswith("#"):
            return line, line
        first = line
        while first < len(lines) and (not lines[first - 1].strip() or lines[first - 1].lstrip().startswith("#")):
            first += 1
        ends = (end for start, end in _extents(self._place) if self._at(start)[0] == first)
        return first, max((self._at(end)[0] for end in ends), default=first)


def read(path: str) -> Source:
    """The file at `path`. A file that cannot be opened is a finding too."""
    try:
        with open(path, "rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return _unreadable(path, "", Trouble(0, f"`{path}` cannot be read: {reason}"))
    return read_text(raw, path)


def read_text(text: str | bytes, name: str) -> Source:
    """YAML or JSON text; `name` stands for the file in every span."""
    if len(text) > MAX_BYTES:
        return _unreadable(name, "", Trouble(0, f"the file is larger than {MAX_BYTES // 1024 // 1024} MiB"))
    text, trouble = _decoded(text)
    trouble = trouble or _unprintable(text)
    if trouble is not None:
        return _unreadable(name, text, trouble)
    try:
        data, place, troubles = read_events(*_json_masked(text))
    except Trouble as fatal:
        return _unreadable(name, text, fatal)
    bare = Source(name, text, data, tree=place)
    ignores, more = _ignores(bare)
    if data is None and not troubles:
        troubles.append(Trouble(0, "the file is empty", _smallest(name), 0, code="HR013"))
    return Source(name, text, data, tuple(_diagnostic(bare, t) for t in (*troubles, *more)), ignores, place)


def _json_masked(text: str) -> tuple[str, Callable[[str], str]]:
    """JSON may write a character as an escaped surrogate pair, which YAML does not know.

    Both halves are moved into the private use area, length for length so that places stay true; the function that
    comes with the text joins them again.
    """
    if "\\ud" not in text.lower() or not text.lstrip().startswith(("{", "[")):
        return text, str
    import json
    import re

    if re.search("[\ue000-\ue7ff]|\\\\u[eE][0-7]", text):
        return text, str
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text, str
    halves = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
    moved = halves.sub(lambda m: m[1] + "".join(f"\\u{int(half, 16) + 0x800:04x}" for half in m.group(2, 3)), text)
    return moved, lambda read: re.sub("[\ue000-\ue3ff][\ue400-\ue7ff]", _joined, read)


def _joined(pair: Match[str]) -> str:
    high, low = (ord(half) - 0x800 for half in pair[0])
    return chr(0x10000 + ((high - 0xD800) << 10) + low - 0xDC00)


def _smallest(name: str) -> str:
    if name.endswith((".test.yaml", ".test.yml", ".test.json")):
        return "a smallest test: cases: [{given: {task_type: code}, expect: {route_to: claude_sonnet}}]"
    return (
        "a smallest policy: "
        "routing_rules: [{name: code, condition: {task_type: code}, route_to: claude_sonnet, fallback: gpt4o}]"
    )


def _decoded(raw: str | bytes) -> tuple[str, Trouble | None]:
    trouble = None
    if isinstance(raw, bytes):
        if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return "", Trouble(0, "the file is written in UTF-16", "save it as UTF-8")
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            text = raw.decode("utf-8", "replace")
            at = len(_plain(raw[: error.start].decode("utf-8", "replace")))
            trouble = Trouble(at, f"byte 0x{raw[error.start]:02x} is not UTF-8", "save the file as UTF-8", at + 1)
    else:
        text = raw
    return _plain(text), trouble


def _plain(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _unprintable(text: str) -> Trouble | None:
    import re

    found = re.search("[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]", text)
    if found is None:
        return None
    character = found[0]
    if character == "\0":
        what, mend = "a NUL byte stands here", "save the file as UTF-8 text"
    elif "\ud800" <= character <= "\udfff":
        what, mend = f"half of a surrogate pair (U+{ord(character):04X}) stands here", "write the character itself"
    elif character in "\x85\u2028\u2029":
        what, mend = f"an invisible line break (U+{ord(character):04X}) stands here", "delete it"
    else:
        what, mend = f"the control character U+{ord(character):04X} stands here", "delete it"
    return Trouble(found.start(), what, mend, found.end())


def _unreadable(name: str, text: str, trouble: Trouble) -> Source:
    text = text.encode("utf-8", "replace").decode("utf-8")
    return Source(name, text, None, (_diagnostic(Source(name, text, None), trouble),))


def _diagnostic(source: Source, trouble: Trouble) -> Diagnostic:
    from hroute.terms.secret import redact

    size = len(source.text)
    start = min(trouble.start, len(source.text.rstrip()))
    end = max(start, min(trouble.end, size))
    others = [(a, b, text) for a, b, text in trouble.others if a <= size]
    span = source.span_of(start, end)
    message, help, mend = (redact(text) for text in (trouble.message, trouble.help, trouble.mend or ""))
    return finding(
        trouble.code,
        message,
        span,
        label=trouble.label,
        others=[Label(source.span_of(a, min(b, size)), text) for a, b, text in others],
        help=help,
        edit=Edit(span, mend) if mend and mend == trouble.mend else None,
    )


def _below(place: Place, step: str | int) -> tuple[tuple[int, int], Place] | None:
    children = place[2]
    if isinstance(children, dict):
        return children.get(step) if isinstance(step, str) else None
    if isinstance(children, list) and isinstance(step, int) and -len(children) <= step < len(children):
        child = children[step]
        return (child[0], child[1]), child
    return None


def _flatten(place: Place) -> list[int]:
    """Start and end of every value, each key's before it, in the order of the data."""
    numbers: list[int] = []

    def walk(place: Place) -> None:
        numbers.extend(place[:2])
        if isinstance(place[2], dict):
            for key, value in place[2].values():
                numbers.extend(key)
                walk(value)
        else:
            for item in place[2] or ():
                walk(item)

    walk(place)
    return numbers


def _unflatten(data: Any, numbers: Iterator[int]) -> Place:
    start, end = next(numbers), next(numbers)
    if isinstance(data, dict):
        return start, end, {k: ((next(numbers), next(numbers)), _unflatten(v, numbers)) for k, v in data.items()}
    if isinstance(data, list):
        return start, end, [_unflatten(item, numbers) for item in data]
    return start, end, None


def _extents(place: Place) -> Iterator[tuple[int, int]]:
    """Start and end of every entry: a list's item, or a key with its value."""
    for (start, key_end), value in _entries(place):
        yield start, max(key_end, value[1])


def _entries(place: Place) -> Iterator[tuple[tuple[int, int], Place]]:
    """Every key with its value and every item, at any depth."""
    waiting = [place]
    while waiting:
        children = waiting.pop()[2]
        below = children.values() if isinstance(children, dict) else (((c[0], c[1]), c) for c in children or ())
        for key, value in below:
            yield key, value
            if value[2] is not None:
                waiting.append(value)


def _ignores(source: Source) -> tuple[tuple[Ignore, ...], list[Trouble]]:
    """The comments that keep a warning, and what is wrong with them: each must name a known code and a reason."""
    if "hroute:" not in source.text:
        return (), []
    import re

    ignores, troubles = [], []
    texts = sorted({value[:2] for _, value in _entries(source._place) if value[2] is None})
    for found in re.finditer(r"(?m)(?:^|[ \t])#[ \t]*hroute:[ \t]*(.*)$", source.text):
        before = bisect_right(texts, (found.start(1), 0)) - 1
        if before >= 0 and found.start(1) < texts[before][1]:
            continue  # it stands inside a quoted or folded text
        trouble = _ignore_trouble(found[1].rstrip(), found.start(1))
        if trouble is not None:
            troubles.append(trouble)
            continue
        _, code, reason = found[1].split(maxsplit=2)
        ignores.append(Ignore(code, reason.rstrip(), source._at(found.start(1))[0]))
    return tuple(ignores), troubles


def _ignore_trouble(words: str, start: int) -> Trouble | None:
    verb, _, rest = words.partition(" ")
    code, _, reason = rest.strip().partition(" ")
    end = start + len(words)
    form = "write `# hroute: ignore CODE reason`"
    if verb != "ignore":
        return Trouble(start, f"`hroute: {words}` is no instruction", form, end, code="HR012")
    if code not in CODES:
        return Trouble(start, f"`{code}` is no code" if code else "a code is missing", form, end, code="HR012")
    if CODES[code].level is Level.ERROR:
        return Trouble(
            start,
            f"{code} is an error and cannot be ignored",
            "only warnings can be kept on purpose",
            end,
            code="HR012",
        )
    if not reason.strip():
        help = f"say why, for whoever reads it next: `# hroute: ignore {code} because ...`"
        return Trouble(start, f"a reason is missing after `ignore {code}`", help, end, code="HR013")
    return None
