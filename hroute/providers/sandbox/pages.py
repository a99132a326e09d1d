"""The pages of a vendor that hold no answer of a model: which models there are, what one is, what is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from hroute.providers.sandbox.doors import CREATED
from hroute.providers.sandbox.play import fits_page
from hroute.providers.sandbox.script import STATUS, Fault, FaultKind, Loaded, Script
from hroute.wire.errors import Dialect, error_body

Page = tuple[int, dict[str, Any]]
"""Status and body."""

_CREATED_TEXT: Final = "2026-01-01T00:00:00Z"
_DETAILS: Final = {"format": "gguf", "family": "sandbox", "parameter_size": "0B", "quantization_level": "none"}
_WINDOW: Final = 32_768  # tokens that every model of the sandbox claims to be trained for


def page(path: str, script: Script, model: str = "") -> Page | None:
    """What stands at `path`, or None where it is no page; `model` is the one that is asked about."""
    if path in ("/", "/_sandbox"):
        return 200, {"sandbox": "hroute", "models": list(script.models)}
    if path.endswith("/models"):
        rows = [_row(name) for name in script.models]
        ends = {"first_id": script.models[0], "last_id": script.models[-1]} if rows else {}
        return 200, {"object": "list", "data": rows, "has_more": False, "first_id": None, "last_id": None, **ends}
    if "/models/" in path:
        name = path.rpartition("/models/")[2]
        missing = f"The model `{name}` does not exist"
        return (200, _row(name)) if name in script.models else (404, error_body("openai_chat", 404, "", missing))
    if path.endswith("/api/version"):
        return 200, {"version": "0.12.0"}
    if path.endswith("/api/tags"):
        return 200, {"models": [_ollama_row(Loaded(name)) for name in script.models]}
    if path.endswith("/api/ps"):
        return 200, {"models": [_ollama_row(one) for one in script.in_memory]}
    if path.endswith("/api/show"):
        if script.lists and model not in script.models:
            return 404, error_body("ollama", 404, "", f"model '{model}' not found")
        info = {"general.architecture": "sandbox", "sandbox.context_length": _WINDOW}
        return 200, {"details": _DETAILS, "model_info": info, "capabilities": ["completion", "tools", "thinking"], "modified_at": _CREATED_TEXT}  # fmt: skip
    return None


def fault_of(path: str, faults: Iterable[Fault]) -> Fault | None:
    """The fault that strikes a page, which is none of the calls that faults are counted by: one that means every call of a
    provider (and of a model), and that leaves nothing of it."""
    provider, name = provider_of(path), path.rpartition("/models/")[2] if "/models/" in path else ""
    kinds = (*STATUS, FaultKind.ERROR, FaultKind.DOWN, FaultKind.SLOW)
    return next((f for f in faults if f.kind in kinds and fits_page(f.scope, provider, name)), None)


def provider_of(path: str) -> str:
    """The provider that a path begins with; else its dialect's name, as for calls."""
    first = path.strip("/").split("/")[0]
    if first == "api":
        return "ollama"
    return "openai" if first == "v1" else first


def dialect_of(path: str) -> Dialect:
    return "ollama" if "/api/" in path else "openai_chat"


def _row(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "type": "model", "display_name": name, "created": CREATED, "created_at": _CREATED_TEXT, "owned_by": "sandbox"}  # fmt: skip


def _ollama_row(one: Loaded) -> dict[str, Any]:
    return {
        "name": one.model,
        "model": one.model,
        "modified_at": _CREATED_TEXT,
        "expires_at": "2100-01-01T00:00:00Z",
        "size": one.size,
        "size_vram": one.vram,
        "context_length": one.context,
        "digest": "0" * 64,
        "details": _DETAILS,
    }
