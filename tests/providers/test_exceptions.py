"""Every exception class of the installed SDKs and HTTP libraries is mapped; a new one fails here first."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType
from typing import Any

import pytest

from hroute.providers import anthropic, http_failures, ollama, openai
from hroute.providers.protocol import Capabilities
from hroute.providers.stainless import StainlessPlugin
from hroute.terms.outcome import Outcome


def exceptions_of(module: ModuleType) -> list[type[Exception]]:
    """The exception classes that a module exports, those made on first use included."""
    names = set(dir(module)) | set(getattr(module, "__all__", ()))
    found = [getattr(module, name) for name in sorted(names) if name.endswith(("Error", "Exception", "Timeout"))]
    return [kind for kind in found if isinstance(kind, type) and issubclass(kind, Exception)]


def all_exceptions(package: str) -> list[type[Exception]]:
    """Those of the package and of its `_exceptions` module."""
    found = exceptions_of(importlib.import_module(package))
    for info in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if info.name in ("_exceptions", "_errors"):
            found += exceptions_of(importlib.import_module(f"{package}.{info.name}"))
    own = [kind for kind in found if kind.__module__.partition(".")[0] == package]
    return sorted(set(own), key=lambda kind: kind.__name__)


@pytest.mark.parametrize(
    ("package", "plugin"), [("anthropic", anthropic.AnthropicPlugin), ("openai", openai.OpenAIPlugin)]
)
def test_an_sdk_has_no_exception_that_is_not_mapped(package: str, plugin: type[StainlessPlugin]) -> None:
    sdk: Any = importlib.import_module(package)
    found = all_exceptions(package)
    assert len(found) > 15
    by_status = [kind for kind in found if issubclass(kind, sdk.APIStatusError)]
    assert len(by_status) > 5
    unmapped = [kind.__name__ for kind in found if kind not in by_status and kind.__name__ not in plugin.exceptions]
    assert [name for name in unmapped if not name.startswith("_")] == []


@pytest.mark.parametrize(
    ("package", "plugin"), [("anthropic", anthropic.AnthropicPlugin), ("openai", openai.OpenAIPlugin)]
)
def test_an_error_with_a_status_goes_by_the_table(package: str, plugin: type[StainlessPlugin]) -> None:
    sdk: Any = importlib.import_module(package)
    httpx2 = importlib.import_module("httpx2")
    made = plugin()
    wanted = {
        "BadRequestError": (400, Outcome.CALLER_FAULT),
        "AuthenticationError": (401, Outcome.CREDENTIAL),
        "PermissionDeniedError": (403, Outcome.CREDENTIAL),
        "NotFoundError": (404, Outcome.CREDENTIAL),
        "ConflictError": (409, Outcome.SERVER),
        "UnprocessableEntityError": (422, Outcome.CALLER_FAULT),
        "RateLimitError": (429, Outcome.CAPACITY),
        "InternalServerError": (500, Outcome.SERVER),
    }
    for name, (status, outcome) in wanted.items():
        response = httpx2.Response(status, request=httpx2.Request("POST", "http://x"), headers={"retry-after": "2"})
        failure = made.failure_of(getattr(sdk, name)("the prompt was: secret", response=response, body=None))
        assert (failure.outcome, failure.status, failure.retry_after) == (outcome, status, 2)
        assert "secret" not in failure.message


def test_spent_money_at_anthropic_is_a_matter_of_credentials() -> None:
    sdk = importlib.import_module("anthropic")
    spent = [k for k in all_exceptions("anthropic") if "SpendLimit" in k.__name__ or "Billing" in k.__name__]
    assert spent
    httpx2 = importlib.import_module("httpx2")
    for kind in spent:
        status = 402 if issubclass(kind, sdk.PaymentRequiredError) else 429
        response = httpx2.Response(status, request=httpx2.Request("POST", "http://x"))
        error: Any = kind("limit", response=response, body=None)  # type: ignore[call-arg]
        assert anthropic.AnthropicPlugin().failure_of(error).outcome is Outcome.CREDENTIAL, kind.__name__


def test_ollama_has_no_exception_that_is_not_mapped() -> None:
    sdk = importlib.import_module("ollama")
    assert {kind.__name__ for kind in exceptions_of(sdk)} <= ollama.EXCEPTIONS.keys()
    failure = ollama.OllamaPlugin.failure_of
    assert failure(sdk.ResponseError("model 'x' not found", 404)).outcome is Outcome.CREDENTIAL
    assert failure(sdk.ResponseError("boom in the middle")).outcome is Outcome.SERVER
    assert failure(ConnectionError("refused")).outcome is Outcome.TRANSPORT
    assert "boom" not in failure(sdk.ResponseError("boom in the middle")).message


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_an_http_library_has_no_exception_that_is_not_mapped(library: str) -> None:
    module = importlib.import_module(library)
    found = [k for k in vars(module).values() if isinstance(k, type) and issubclass(k, Exception)]
    assert len(found) > 20
    assert [kind.__name__ for kind in found if kind.__name__ not in http_failures.EXCEPTIONS] == []
    core = importlib.import_module("httpcore" if library == "httpx" else "httpcore2")
    errors = [k for k in exceptions_of(core) if k.__module__.startswith("httpcore")]
    assert [
        k.__name__
        for k in errors
        if http_failures.failure_of(k("x")) is None and k.__name__ != "ConnectionNotAvailable"
    ] == []


def test_an_error_of_nobody_is_a_failure_of_the_server() -> None:
    class Bare(StainlessPlugin):
        name = "bare"
        capabilities = Capabilities()

    assert Bare().failure_of(KeyError("prompt text")).outcome is Outcome.SERVER
    assert "prompt" not in Bare().failure_of(KeyError("prompt text")).message
