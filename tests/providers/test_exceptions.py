"""Every exception class of the installed SDKs and HTTP libraries is mapped; a new one fails here first."""

from __future__ import annotations

import ast
import builtins
import importlib
import importlib.util
import inspect
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from hroute.providers import anthropic, http_failures, ollama, openai
from hroute.providers.protocol import Capabilities
from hroute.providers.stainless import StainlessPlugin
from hroute.terms.outcome import Outcome

STAINLESS: Final = [("anthropic", anthropic.AnthropicPlugin), ("openai", openai.OpenAIPlugin)]

NOT_ON_OUR_WAY: Final = {
    "anthropic": ("lib.tools", "lib.foundry", "lib._extras", "_response", "lib.credentials._secrets"),
    "openai": ("lib", "_extras", "_response", "_legacy_response", "auth._x509", ""),
}
"""Modules that neither `messages.create` nor `chat.completions.create` comes through: tool runners, agents, websockets,
clouds of other vendors, misuse of the SDK by its caller ("" is the package's own `__init__`)."""

BY_STATUS: Final = {
    "CALLER_FAULT": (400, 412, 422, 431),
    "CREDENTIAL": (401, 402, 403, 404),
    "TIMEOUT": (408,),
    "SERVER": (409, 500, 501, 503, 504),
    "CAPABILITY": (413,),
    "CAPACITY": (429, 529),
    "TRANSPORT": (499,),
}


@cache
def exceptions_in(package: str) -> tuple[tuple[str, str], ...]:
    """(module, class) of every exception class in the sources of `package`, also where nothing imports it."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent
    rows: list[tuple[str, str, set[str]]] = []
    for file in sorted(root.rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        if "class " not in text or not ("Err" in text or "Exc" in text or "Timeout" in text):
            continue
        module = ".".join(file.relative_to(root).with_suffix("").parts).removesuffix("__init__").rstrip(".")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef):
                rows.append((module, node.name, {ast.unparse(base).rpartition(".")[2] for base in node.bases}))
    known = {name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    while more := {name for _, name, bases in rows if bases & known} - known:
        known |= more
    return tuple((module, name) for module, name, bases in rows if bases & known)


def on_our_way(package: str) -> list[type[Exception]]:
    """Those that a call of ours can end in."""
    aside = NOT_ON_OUR_WAY[package]
    found = [
        getattr(importlib.import_module(f"{package}.{module}".rstrip(".")), name)
        for module, name in exceptions_in(package)
        if not any(module == place or (place and module.startswith(f"{place}.")) for place in aside)
    ]
    return sorted(set(found), key=lambda kind: kind.__name__)


def exceptions_of(module: ModuleType) -> list[type[Exception]]:
    """The exception classes that a module exports, those made on first use included."""
    names = set(dir(module)) | set(getattr(module, "__all__", ()))
    found = [getattr(module, name) for name in sorted(names) if name.endswith(("Error", "Exception", "Timeout"))]
    return [kind for kind in found if isinstance(kind, type) and issubclass(kind, Exception)]


@pytest.mark.parametrize(("package", "plugin"), STAINLESS)
def test_an_sdk_has_no_exception_that_is_not_mapped(package: str, plugin: type[StainlessPlugin]) -> None:
    sdk: Any = importlib.import_module(package)
    found = on_our_way(package)
    assert len(found) > 15
    by_status = [kind for kind in found if issubclass(kind, sdk.APIStatusError)]
    assert len(by_status) > 5
    assert [k.__name__ for k in found if k not in by_status and k.__name__ not in plugin.exceptions] == []
    exported = [kind for kind in exceptions_of(sdk) if kind.__module__.partition(".")[0] == package]
    assert {k for k in exported if k not in found and not k.__name__.startswith("_")} == set()


@pytest.mark.parametrize(("package", "plugin"), STAINLESS)
def test_whatever_an_sdk_raises_is_a_failure_that_quotes_nothing(package: str, plugin: type[StainlessPlugin]) -> None:
    made = plugin()
    for kind in on_our_way(package):
        error = kind.__new__(kind)
        Exception.__init__(error, "the prompt was: secret")
        failure = made.failure_of(error)
        assert isinstance(failure.outcome, Outcome)
        assert "secret" not in f"{failure!r} {failure.message}", kind.__name__


def test_every_status_and_code_for_which_anthropic_has_a_class_is_decided() -> None:
    """The class is chosen by (status, code): a code goes by its status, unless the table has a row for it."""
    table = importlib.import_module("anthropic._error_classes").ERROR_CLASSES
    httpx2 = importlib.import_module("httpx2")
    expected = {status: Outcome[name] for name, statuses in BY_STATUS.items() for status in statuses}
    own = {row.code: row.outcome for row in anthropic.ROWS if row.code is not None}
    made = anthropic.AnthropicPlugin()
    assert len(table) > 100
    for (status, code), kind in table.items():
        body = {"type": "error", "error": {"type": "x", "message": "said", "details": {"error_code": code}}}
        response = httpx2.Response(status, request=httpx2.Request("POST", "http://x"))
        failure = made.failure_of(kind("said", response=response, body=body))
        assert failure.outcome is own.get(code, expected[status]), (status, code)


def test_every_error_that_anthropic_announces_of_a_message_is_looked_at() -> None:
    """The SDK lists what `messages.create` raises. What is new there needs a decision: a row, or by its status."""
    decided_by_status = {
        "Compaction", "Thread", "Tool", "RequestBody", "UserProfile", "SkillRead", "RampLimit", "CMEKKeyUnreachable",
        "AvailableTools", "ClaudeCodeVersion", "File", "StorageQuota", "CMEKContext", "BetaUnsupportedCharset", "SandboxEgress",
    }  # fmt: skip
    announced = importlib.import_module("anthropic.resources.messages").Messages.create.__doc__ or ""

    source = inspect.getsource(importlib.import_module("anthropic.resources.messages.messages"))
    names = {line.strip().rstrip(":") for line in (announced + source).splitlines() if line.strip().endswith("Error:")}
    table = importlib.import_module("anthropic._error_classes").ERROR_CLASSES
    rows = {row.code for row in anthropic.ROWS}
    by_row = {kind.__name__ for (_, code), kind in table.items() if code in rows}
    assert len(names) > 20
    assert {n for n in names if n not in by_row and not n.startswith(tuple(decided_by_status))} == set()


@pytest.mark.parametrize(("package", "plugin"), STAINLESS)
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
    table = importlib.import_module("anthropic._error_classes").ERROR_CLASSES
    spent = [code for _, code in table if code and ("spend_limit_reached" in code or "billing" in code)]
    assert len(spent) > 2
    assert {code for code in spent if code not in {row.code for row in anthropic.ROWS}} <= {
        "user_profile_billing_not_authorized"  # 403 says it
    }


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
