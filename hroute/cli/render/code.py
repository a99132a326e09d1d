"""The page of one finding's code: what it is, why it matters, a bad and a good policy, how to keep it on purpose."""

from __future__ import annotations

from textwrap import indent, wrap

from hroute.schema.codes import Code

_WIDTH = 100


def text(code: Code) -> str:
    """The page for `hroute check --explain CODE`."""
    parts = [f"{code.level}[{code.code}]: {code.title}", _paragraph(code.what), _paragraph(code.why)]
    parts.append("This gives it:\n\n" + indent(code.bad.strip("\n"), "    "))
    parts.append("This does not:\n\n" + indent(code.good.strip("\n"), "    "))
    if code.keep:
        parts.append(f"To keep it on purpose:\n\n    {code.keep.strip()}")
    return "\n\n".join(parts)


def as_json(code: Code) -> dict[str, str]:
    """The same for a program."""
    texts = {"what": code.what, "why": code.why, "bad": code.bad, "good": code.good, "keep": code.keep}
    return {"code": code.code, "level": str(code.level), "title": code.title, **texts}


def _paragraph(text: str) -> str:
    return "\n".join(wrap(" ".join(text.split()), _WIDTH))
