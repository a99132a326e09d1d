"""A script's plain mapping -> `Script`, with the place and the mend of whatever does not fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from hroute.errors import UsageError
from hroute.providers.sandbox.script import STATUS, Answer, Fault, FaultKind, Loaded, Scope, Script

if TYPE_CHECKING:
    from hroute.terms.pattern import TextMatcher

_SCOPE: Final = ("provider", "model", "message", "prompt", "after", "first", "every", "probability")
_ANSWER: Final = (*_SCOPE, "text", "texts", "json", "tools", "thinking")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_FIELDS: Final[Mapping[FaultKind, tuple[str, ...]]] = {
    **dict.fromkeys(STATUS, ("retry_after",)),
    FaultKind.ERROR: ("status", "code", "text", "headers", "retry_after"),
    FaultKind.DOWN: (),
    FaultKind.SLOW: ("for",),
    FaultKind.STALL: ("for", "at"),
    FaultKind.CUT: ("at", "clean"),
    FaultKind.EMPTY: (),
    FaultKind.FENCED_JSON: (),
    FaultKind.BROKEN_JSON: (),
    FaultKind.REFUSAL: ("text", "declared"),
    FaultKind.LATENCY: ("median", "p95", "values"),
    FaultKind.CONTEXT: ("tokens",),
    FaultKind.LOAD: ("for",),
}
_DEFAULT_SECONDS: Final = {FaultKind.SLOW: 10.0, FaultKind.STALL: 60.0, FaultKind.LOAD: 5.0}


def read_script(data: Mapping[str, Any] | None) -> Script:
    """`data` as a Script; None and an empty mapping give the default one. Raises UsageError."""
    if data is None:
        return Script()
    top = _mapping(data, "script", ("answers", "faults", "models", "loaded", "seed"))
    return Script(
        answers=tuple(_answer(item, f"answers[{n}]") for n, item in enumerate(_list(top.get("answers"), "answers"))),
        faults=read_faults(top.get("faults")),
        models=tuple(_string(m, f"models[{n}]") for n, m in enumerate(_list(top.get("models", ["sandbox"]), "models"))),
        seed=_count(top.get("seed", 0), "seed"),
        loaded=_loaded(top["loaded"]) if "loaded" in top else None,
    )


def read_faults(data: object) -> tuple[Fault, ...]:
    """A list of faults (or one) as a script writes them. Raises UsageError."""
    items = [data] if isinstance(data, Mapping) else _list(data, "faults")
    return tuple(_fault(item, f"faults[{n}]") for n, item in enumerate(items))


def _loaded(data: object) -> tuple[Loaded, ...]:
    found = []
    for n, raw in enumerate(_list(data, "loaded")):
        where = f"loaded[{n}]"
        item = _mapping(raw, where, ("model", "context", "size", "vram"))
        numbers = {key: _count(item[key], f"{where}.{key}") for key in ("context", "size", "vram") if key in item}
        found.append(Loaded(_string(item.get("model"), f"{where}.model"), **numbers))
    return tuple(found)


def seconds(raw: object, where: str) -> float:
    """A duration: a number of seconds, or `200ms 8s 5m 1h 1d`. Raises UsageError."""
    number = raw
    if isinstance(raw, str):
        text = raw.strip()
        unit = next((u for u in ("ms", "s", "m", "h", "d") if text.endswith(u)), "")
        try:
            number = float(text.removesuffix(unit)) * _UNITS.get(unit, 1.0)
        except ValueError:
            number = None
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number < 1e9:
        raise UsageError(f"{where}: `{_shown(raw)}` is not a duration", help="write it as 200ms, 8s, 5m or 1h")
    return float(number)


def _answer(raw: object, where: str) -> Answer:
    item = _mapping(raw, where, _ANSWER)
    texts = [_string(t, f"{where}.texts[{n}]") for n, t in enumerate(_list(item.get("texts"), f"{where}.texts"))]
    if "text" in item:
        texts.insert(0, _string(item["text"], f"{where}.text"))
    if "json" in item:
        texts.insert(0, _json(item["json"], f"{where}.json"))
    tools = tuple(_tool(t, f"{where}.tools[{n}]") for n, t in enumerate(_list(item.get("tools"), f"{where}.tools")))
    if not texts and not tools:
        raise UsageError(f"{where} answers nothing", help="give it `text`, `texts`, `json` or `tools`")
    return Answer(_scope(item, where), tuple(texts), tools, _string(item.get("thinking", ""), f"{where}.thinking"))


def _tool(raw: object, where: str) -> tuple[str, Mapping[str, Any]]:
    item = _mapping(raw, where, ("name", "input"))
    given = item.get("input", {})
    if not isinstance(given, Mapping):
        raise UsageError(f"{where}.input: the input of a tool call is a mapping")
    return _string(item.get("name"), f"{where}.name"), dict(given)


def _fault(raw: object, where: str) -> Fault:
    if not isinstance(raw, Mapping):
        raise UsageError(f"{where}: a fault is a mapping, such as {{kind: overloaded, first: 3}}")
    kind = _kind(raw.get("kind"), f"{where}.kind")
    item = _mapping(raw, where, ("kind", *_SCOPE, *_FIELDS[kind]))
    retry_after = item.get("retry_after", 1.0 if kind is FaultKind.RATE_LIMIT else None)
    fault = Fault(
        kind,
        _scope(item, where),
        seconds=seconds(item.get("for", _DEFAULT_SECONDS.get(kind, 0.0)), f"{where}.for"),
        at=_share(item.get("at", 0.5), f"{where}.at"),
        clean=_flag(item.get("clean", False), f"{where}.clean"),
        retry_after=None if retry_after is None else seconds(retry_after, f"{where}.retry_after"),
        tokens=_count(item.get("tokens", 2048), f"{where}.tokens"),
        text=_string(item.get("text", ""), f"{where}.text"),
        status=_count(item.get("status", 0), f"{where}.status"),
        code=_string(item.get("code", ""), f"{where}.code"),
        headers=_headers(item.get("headers"), f"{where}.headers"),
        declared=_flag(item.get("declared", False), f"{where}.declared"),
        median=seconds(item.get("median", 0.0), f"{where}.median"),
        p95=seconds(item.get("p95", item.get("median", 0.0)), f"{where}.p95"),
        values=tuple(
            seconds(v, f"{where}.values[{n}]") for n, v in enumerate(_list(item.get("values"), f"{where}.values"))
        ),
    )
    if kind is FaultKind.LATENCY and not fault.values and not fault.p95 >= fault.median > 0:
        raise UsageError(f"{where}: a latency needs `median` (and a `p95` not below it), or `values`")
    if kind is FaultKind.ERROR and not 300 <= fault.status <= 599:
        raise UsageError(f"{where}: an error needs a `status` from 300 to 599")
    return fault


def _headers(raw: object, where: str) -> Mapping[str, str]:
    if raw is None:
        return {}
    if not isinstance(raw, Mapping):
        raise UsageError(f"{where}: headers are a mapping of texts")
    return {_string(name, where): _string(value, f"{where}.{name}") for name, value in raw.items()}


def _kind(raw: object, where: str) -> FaultKind:
    for kind, status in STATUS.items():
        if raw == status and kind is not FaultKind.TOO_LONG and not isinstance(raw, bool):
            return kind
    if isinstance(raw, str) and raw in FaultKind.__members__.values():
        return FaultKind(raw)
    raise UsageError(f"{where}: `{_shown(raw)}` is no kind of fault", help=_near(raw, [k.value for k in FaultKind]))


def _scope(item: Mapping[str, Any], where: str) -> Scope:
    first = item.get("first")
    every = _count(item.get("every", 1), f"{where}.every")
    if every < 1:
        raise UsageError(f"{where}.every: every 0th call is none; 1 means each")
    return Scope(
        providers=_names(item.get("provider"), f"{where}.provider"),
        models=_names(item.get("model"), f"{where}.model"),
        message=_matcher(item.get("message"), f"{where}.message"),
        prompt=_matcher(item.get("prompt"), f"{where}.prompt"),
        after=_count(item.get("after", 0), f"{where}.after"),
        first=None if first is None else _count(first, f"{where}.first"),
        every=every,
        probability=_share(item.get("probability", 1.0), f"{where}.probability"),
    )


def _matcher(raw: object, where: str) -> TextMatcher | None:
    if raw is None:
        return None
    from hroute.terms import pattern

    test = raw if isinstance(raw, Mapping) else {"any_of": raw}
    parts = {
        key: _names(value, f"{where}.{key}")
        for key, value in _mapping(test, where, ("any_of", "all_of", "matches", "unless")).items()
    }
    for expression in parts.get("matches", ()):
        try:
            pattern.check(expression)
        except pattern.PatternError as error:
            raise UsageError(f"{where}.matches: {error.message}", help="the syntax is RE2") from None
    return pattern.TextMatcher(
        parts.get("any_of", ()), parts.get("all_of", ()), parts.get("matches", ()), parts.get("unless", ())
    )


def _mapping(raw: object, where: str, allowed: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise UsageError(f"{where}: a mapping is wanted here, not {_shown(raw)}")
    for key in raw:
        if key not in allowed:
            raise UsageError(f"{where}: `{_shown(key)}` is no key here", help=_near(key, allowed))
    return raw


def _list(raw: object, where: str) -> Sequence[Any]:
    if raw is None:
        return ()
    if isinstance(raw, (str, bytes)) or not isinstance(raw, Sequence):
        raise UsageError(f"{where}: a list is wanted here")
    return raw


def _names(raw: object, where: str) -> tuple[str, ...]:
    if isinstance(raw, str):
        return (raw,)
    return tuple(_string(name, f"{where}[{n}]") for n, name in enumerate(_list(raw, where)))


def _string(raw: object, where: str) -> str:
    if not isinstance(raw, str):
        raise UsageError(f"{where}: a text is wanted here, not {_shown(raw)}", help="quote it")
    return raw


def _count(raw: object, where: str) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int) or raw < 0:
        raise UsageError(f"{where}: a whole number of at least 0 is wanted here, not {_shown(raw)}")
    return raw


def _share(raw: object, where: str) -> float:
    if isinstance(raw, bool) or not isinstance(raw, (int, float)) or not 0 <= raw <= 1:
        raise UsageError(f"{where}: a number from 0 to 1 is wanted here, not {_shown(raw)}")
    return float(raw)


def _flag(raw: object, where: str) -> bool:
    if not isinstance(raw, bool):
        raise UsageError(f"{where}: true or false is wanted here, not {_shown(raw)}")
    return raw


def _json(raw: object, where: str) -> str:
    import json

    try:
        return json.dumps(raw, ensure_ascii=False)
    except (TypeError, ValueError):
        raise UsageError(f"{where}: this cannot be written as JSON") from None


def _shown(raw: object) -> str:
    return str(raw)[:60] if isinstance(raw, (str, int, float)) else type(raw).__name__


def _near(raw: object, names: Iterable[str]) -> str:
    from difflib import get_close_matches

    known = list(names)
    near = get_close_matches(str(raw), known, 1)
    return f"did you mean `{near[0]}`?" if near else "known here: " + ", ".join(known)
