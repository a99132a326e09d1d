"""An instance of a JSON Schema: the plainest value that fits, always the same one for the same schema and prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_DEPTH: Final = 12
_FORMATS: Final = {
    "date": "2026-01-02",
    "date-time": "2026-01-02T03:04:05Z",
    "time": "03:04:05Z",
    "email": "nobody@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def instance(schema: Mapping[str, Any], prompt: str = "") -> Any:
    """A value that `schema` accepts, as far as its plain keywords go (`pattern` and conditions are not solved).

    Of an enumeration the first value that `prompt` names is taken, so that a classification looks sensible.
    """
    return _Maker(schema, prompt.casefold()).make(schema, 0)


class _Maker:
    def __init__(self, root: Mapping[str, Any], prompt: str) -> None:
        self.root = root
        self.prompt = prompt

    def make(self, schema: object, depth: int, name: str = "") -> Any:
        if not isinstance(schema, Mapping) or depth > _DEPTH:
            return None
        if "$ref" in schema:
            return self.make(self._target(schema["$ref"]), depth + 1, name)
        for word in ("const", "default"):
            if word in schema:
                return schema[word]
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return self._choice(schema["enum"])
        for word in ("anyOf", "oneOf"):
            if isinstance(schema.get(word), list) and schema[word]:
                return self.make(schema[word][0], depth + 1, name)
        if isinstance(schema.get("allOf"), list):
            return self._all_of(schema, depth, name)
        return self._typed(schema, depth, name)

    def _typed(self, schema: Mapping[str, Any], depth: int, name: str) -> Any:
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = next((k for k in kind if k != "null"), "null")
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth, name)
            case "integer" | "number":
                return _number(schema, whole=kind == "integer")
            case "boolean":
                return False
            case "null":
                return None
            case _:
                return _text(schema, name)

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties")
        known = properties if isinstance(properties, Mapping) else {}
        required = schema.get("required")
        wanted = [n for n in required if isinstance(n, str)] if isinstance(required, list) else []
        names = [*known, *(n for n in wanted if n not in known)] if depth < _DEPTH // 2 else wanted
        return {name: self.make(known.get(name, {}), depth + 1, name) for name in names}

    def _array(self, schema: Mapping[str, Any], depth: int, name: str) -> list[Any]:
        least, most = schema.get("minItems", 1), schema.get("maxItems", 1)
        length = least if isinstance(least, int) and least > 0 else 1 if most != 0 else 0
        if depth >= _DEPTH // 2 and not schema.get("minItems"):
            return []
        return [self.make(schema.get("items", {}), depth + 1, name) for _ in range(min(length, 100))]

    def _all_of(self, schema: Mapping[str, Any], depth: int, name: str) -> Any:
        values = [self.make(part, depth + 1, name) for part in schema["allOf"]]
        if values and all(isinstance(v, dict) for v in values):
            return {key: value for v in values for key, value in v.items()}
        return values[0] if values else None

    def _choice(self, values: list[Any]) -> Any:
        for value in values:
            if isinstance(value, str) and value and value.casefold() in self.prompt:
                return value
        return values[0]

    def _target(self, reference: object) -> object:
        node: Any = self.root
        if not isinstance(reference, str) or not reference.startswith("#"):
            return {}
        for part in reference[1:].split("/")[1:]:
            node = node.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(node, Mapping) else None
        return node


def _number(schema: Mapping[str, Any], *, whole: bool) -> int | float:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    value: int | float = 0
    if isinstance(low, (int, float)) and value <= low:
        value = low if "minimum" in schema else low + (1 if whole else 1e-3)
    elif isinstance(high, (int, float)) and value >= high:
        value = high if "maximum" in schema else high - (1 if whole else 1e-3)
    return int(value) if whole else value


def _text(schema: Mapping[str, Any], name: str) -> str:
    text = _FORMATS.get(str(schema.get("format")), f"[sandbox] {name}".strip())
    least, most = schema.get("minLength"), schema.get("maxLength")
    if isinstance(least, int):
        text = text.ljust(min(least, 10_000), ".")
    return text[:most] if isinstance(most, int) and most >= 0 else text
