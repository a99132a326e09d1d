"""From libyaml's events to plain values with their places, iteratively and within bounds.

Events rather than nodes: libyaml's own composer recurses on the C stack. What is merely wrong becomes a `Trouble` in
the answer; what leaves nothing to read is raised as one. Indices count code points of the text that was given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from hroute.schema.plain_scalars import read_plain
from hroute.schema.yaml_problems import explain

MAX_DEPTH: Final = 100
MAX_NODES: Final = 1_000_000
MAX_TROUBLES: Final = 100
TEXT_PER_NODE: Final = 64
"""A text counts as one node and one more per so many characters: an alias to a long text is a bomb as well."""

Place = tuple[int, int, "dict[str, tuple[tuple[int, int], Place]] | list[Place] | None"]
"""Start, end (exclusive) and what lies in it: for a mapping, key -> (place of the key, place of its value)."""


class Trouble(Exception):
    """Something wrong at `start` to `end`, in words for a person; `mend` is a text that may stand there instead."""

    def __init__(
        self,
        start: int,
        message: str,
        help: str = "",
        end: int | None = None,
        *,
        code: str = "HR001",
        label: str = "",
        mend: str | None = None,
        others: tuple[tuple[int, int, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.start = start
        self.end = start + 1 if end is None else end
        self.message = message
        self.help = help
        self.code = code
        self.label = label
        self.mend = mend
        self.others = others


@dataclass(slots=True)
class _Node:
    """A value that is complete. `weight` counts nodes after alias expansion, `height` levels below and with it."""

    value: Any
    place: Place
    weight: int = 1
    height: int = 0


@dataclass(slots=True)
class _Open:
    """A mapping (`keyed`) or list whose end has not come yet."""

    value: Any
    children: Any
    keyed: bool
    start: int
    anchor: str | None
    weight: int = 1
    height: int = 1
    key: str | None = None  # the key whose value comes next
    key_start: int = 0
    key_end: int = 0
    key_twice: bool = False
    last: int = 0


def read_events(text: str, unmask: Callable[[str], str] = str) -> tuple[Any, Place | None, list[Trouble]]:
    """The one document in `text`: value, places, troubles. No place where the document is empty. Raises Trouble.

    `unmask` is applied to every key and text that is read.
    """
    import yaml

    tree = _Tree(text, unmask)
    loader = yaml.CSafeLoader(text)
    try:
        while loader.check_event():
            tree.take(loader.get_event(), yaml)
    except yaml.MarkedYAMLError as error:
        raise Trouble(*explain(text, error)) from None
    except yaml.YAMLError as error:
        raise Trouble(0, f"this is not YAML: {getattr(error, 'reason', 'it cannot be read')}") from None
    finally:
        loader.dispose()
    if tree.root is None:
        return None, None, tree.troubles
    return tree.root.value, tree.root.place, tree.troubles


class _Tree:
    """Takes events one after the other and keeps what is open on an explicit stack."""

    def __init__(self, text: str, unmask: Callable[[str], str]) -> None:
        self.text = text
        self.unmask = unmask
        self.root: _Node | None = None
        self.troubles: list[Trouble] = []
        self.stack: list[_Open] = []
        self.anchors: dict[str, _Node] = {}
        self.documents = 0

    def take(self, event: Any, yaml: Any) -> None:
        """One event of libyaml."""
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._scalar(event)
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            self._opens(event, kind is yaml.MappingStartEvent)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._closes(event)
        elif kind is yaml.AliasEvent:
            self._alias(event)
        elif kind is yaml.DocumentStartEvent:
            self.documents += 1
            if self.documents > 1:
                at = event.start_mark.index
                raise Trouble(
                    at, "a second document begins here", "one file holds one document; delete the `---`", at + 3
                )

    def _note(self, trouble: Trouble) -> None:
        if len(self.troubles) < MAX_TROUBLES:
            self.troubles.append(trouble)

    def _scalar(self, event: Any) -> None:
        start, end = event.start_mark.index, event.end_mark.index
        raw = self.unmask(event.value)
        plain = not event.style
        if event.style in ("|", ">"):
            end = start + len(self.text[start:end].rstrip())
        if self.stack and self.stack[-1].keyed and self.stack[-1].key is None:
            self._key(event, raw, plain, start, end)
            return
        value: Any = raw
        if event.tag is not None:
            value = self._tagged(event, end)
        elif plain:
            value, surprise = read_plain(raw)
            if surprise is not None:
                message, help, mend = surprise
                self._note(Trouble(start, message, help, end, code="HR003", mend=mend))
        elif event.style == ">" and self.text[start + 1 : start + 2].isdigit():
            line_end = self.text.find("\n", start)
            shown = self.text[start : line_end if line_end >= 0 else None].strip()
            value = shown
            message = f"`{shown}` begins a folded text here, it is no comparison"
            self._note(Trouble(start, message, f'quote it: "{shown}"', start + len(shown), code="HR003"))
        node = _Node(value, (start, end, None), 1 + len(raw) // TEXT_PER_NODE)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        self._put(node)

    def _key(self, event: Any, raw: str, plain: bool, start: int, end: int) -> None:
        if event.tag is not None:
            raise Trouble(start, "a key cannot have a tag", "write the key alone", end)
        if plain and not raw:
            raise Trouble(start, "a key is missing before this `:`", end=start + 1)
        if plain and raw == "<<":
            help = "hroute reads no merge keys: write the keys out, or use `define:` and tiers"
            raise Trouble(start, "`<<` is a merge key", help, end)
        if event.anchor is not None:
            self.anchors[event.anchor] = _Node(raw, (start, end, None))
        parent = self.stack[-1]
        parent.key, parent.key_start, parent.key_end = raw, start, end
        first = parent.children.get(raw)
        parent.key_twice = first is not None
        if first is not None:
            given = ((*first[0], "first given here"),)
            self._note(
                Trouble(start, f"key `{raw}` is given twice", "keep one of them", end, code="HR002", others=given)
            )

    def _tagged(self, event: Any, end: int) -> str:
        start = event.start_mark.index
        written = self.text[start:end]
        if written.startswith("!="):
            message = f"`{written}` is read as a YAML tag, not as a comparison"
            self._note(Trouble(start, message, f'quote it: "{written}"', end, mend=f'"{written}"'))
            return written
        self._note(_tag_trouble(start, end))
        return str(event.value)

    def _opens(self, event: Any, keyed: bool) -> None:
        start = event.start_mark.index
        if self.stack and self.stack[-1].keyed and self.stack[-1].key is None:
            what = "mapping" if keyed else "list"
            raise Trouble(start, f"a {what} cannot be a key", "quote a text that has braces or brackets in it")
        if len(self.stack) >= MAX_DEPTH:
            raise Trouble(start, f"values lie more than {MAX_DEPTH} levels deep here", "no policy needs that")
        if event.tag is not None:
            self._note(_tag_trouble(start, start + 1))
        if event.anchor is not None:
            self.anchors.pop(event.anchor, None)
        self.stack.append(_Open({} if keyed else [], {} if keyed else [], keyed, start, event.anchor))

    def _closes(self, event: Any) -> None:
        done = self.stack.pop()
        start, end = event.start_mark.index, event.end_mark.index
        if end == start or end > len(self.text) or self.text[end - 1] not in "]}":
            end = max(done.last, done.start)  # a block ends where its last value ends, not after the blank lines below
        node = _Node(done.value, (done.start, end, done.children), done.weight, done.height)
        if done.anchor is not None:
            self.anchors[done.anchor] = node
        self._put(node)

    def _alias(self, event: Any) -> None:
        start, end = event.start_mark.index, event.end_mark.index
        if self.stack and self.stack[-1].keyed and self.stack[-1].key is None:
            raise Trouble(
                start, "an alias cannot be a key", "write the key out; quote a text that begins with `*`", end
            )
        node = self.anchors.get(event.anchor)
        if node is None:
            if any(entry.anchor == event.anchor for entry in self.stack):
                raise Trouble(
                    start, f"`*{event.anchor}` stands inside itself", "an alias cannot refer to its own parent", end
                )
            help = f'a text that begins with `*` must be quoted: "*{event.anchor}"'
            self._note(Trouble(start, f"`*{event.anchor}` refers to no anchor", help, end, mend=f'"*{event.anchor}"'))
            node = _Node(f"*{event.anchor}", (start, end, None))
        if len(self.stack) + node.height > MAX_DEPTH:
            raise Trouble(start, f"this alias nests values more than {MAX_DEPTH} levels deep", "write less of it", end)
        self._put(_Node(node.value, (start, end, node.place[2]), node.weight, node.height))

    def _put(self, node: _Node) -> None:
        if not self.stack:
            self.root = node
            return
        parent = self.stack[-1]
        parent.weight += node.weight
        parent.height = max(parent.height, node.height + 1)
        parent.last = max(parent.last, node.place[1])
        if parent.weight > MAX_NODES:
            raise Trouble(node.place[0], f"more than {MAX_NODES:,} values, aliases written out", "write less of it")
        if not parent.keyed:
            parent.value.append(node.value)
            parent.children.append(node.place)
            return
        key, parent.key = parent.key, None
        if not parent.key_twice:
            parent.value[key] = node.value
            parent.children[key] = ((parent.key_start, parent.key_end), node.place)


def _tag_trouble(start: int, end: int) -> Trouble:
    return Trouble(
        start, "YAML tags are not part of this language", "delete the tag; to make a text of a value, quote it", end
    )
