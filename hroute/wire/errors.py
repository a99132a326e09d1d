"""Errors in the shape of each dialect, so that a client reads them as its vendor's own."""

from __future__ import annotations

from typing import Any, Final, Literal

Dialect = Literal["anthropic", "openai_chat", "openai_responses", "openai_completions", "ollama"]

_ANTHROPIC: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_OPENAI: Final = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    402: ("insufficient_quota", "insufficient_quota"),
    403: ("invalid_request_error", "permission_denied"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}


def error_body(dialect: Dialect, status: int, type: str, message: str, *, code: str | None = None) -> dict[str, Any]:
    """The JSON body of an error; `type` "" gives the vendor's usual one for `status`. `code` is OpenAI's alone."""
    if dialect == "anthropic":
        usual = _ANTHROPIC.get(status, "invalid_request_error" if 400 <= status < 500 else "api_error")
        return {"type": "error", "error": {"type": type or usual, "message": message}}
    if dialect == "ollama":
        return {"error": message}
    usual_type, usual_code = _OPENAI.get(
        status, ("invalid_request_error" if 400 <= status < 500 else "server_error", None)
    )
    return {"error": {"message": message, "type": type or usual_type, "param": None, "code": code or usual_code}}
