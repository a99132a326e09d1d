"""hroute: one declarative policy decides which model serves each request.

The public names are loaded on first use, so that `import hroute` costs nothing:

    import hroute
    answer = hroute.Client.from_policy("routing-config.yaml").complete("Why is the sky blue?")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

__version__ = "0.1.0"

if TYPE_CHECKING:
    from hroute.errors import AllFailed as AllFailed
    from hroute.errors import CallerFault as CallerFault
    from hroute.errors import HrouteError as HrouteError
    from hroute.errors import NoCredential as NoCredential
    from hroute.errors import PolicyError as PolicyError
    from hroute.errors import Refused as Refused
    from hroute.errors import RequestError as RequestError
    from hroute.errors import UsageError as UsageError
    from hroute.router.answer import Answer as Answer
    from hroute.router.check import load as load
    from hroute.router.client import AsyncClient as AsyncClient
    from hroute.router.client import Client as Client
    from hroute.router.client import TaskContext as TaskContext
    from hroute.router.decide import compile as compile
    from hroute.router.decide import decide as decide
    from hroute.router.decide import decide_batch as decide_batch
    from hroute.router.decision import Decision as Decision
    from hroute.router.steps import Attempt as Attempt
    from hroute.schema.policy import Policy as Policy
    from hroute.terms.message import Done as Done
    from hroute.terms.message import Message as Message
    from hroute.terms.message import Request as Request
    from hroute.terms.message import StopReason as StopReason
    from hroute.terms.message import Text as Text
    from hroute.terms.message import TextDelta as TextDelta
    from hroute.terms.message import ThinkingDelta as ThinkingDelta
    from hroute.terms.message import Tool as Tool
    from hroute.terms.message import ToolResult as ToolResult
    from hroute.terms.message import ToolUse as ToolUse
    from hroute.terms.message import ToolUseDelta as ToolUseDelta
    from hroute.terms.outcome import Outcome as Outcome
    from hroute.terms.outcome import Reason as Reason
    from hroute.terms.usage import Usage as Usage

_HOME: Final = {
    "AllFailed": "hroute.errors",
    "Answer": "hroute.router.answer",
    "AsyncClient": "hroute.router.client",
    "Attempt": "hroute.router.steps",
    "CallerFault": "hroute.errors",
    "Client": "hroute.router.client",
    "Decision": "hroute.router.decision",
    "Done": "hroute.terms.message",
    "HrouteError": "hroute.errors",
    "Message": "hroute.terms.message",
    "NoCredential": "hroute.errors",
    "Outcome": "hroute.terms.outcome",
    "Policy": "hroute.schema.policy",
    "PolicyError": "hroute.errors",
    "Reason": "hroute.terms.outcome",
    "Refused": "hroute.errors",
    "Request": "hroute.terms.message",
    "RequestError": "hroute.errors",
    "StopReason": "hroute.terms.message",
    "TaskContext": "hroute.router.client",
    "Text": "hroute.terms.message",
    "TextDelta": "hroute.terms.message",
    "ThinkingDelta": "hroute.terms.message",
    "Tool": "hroute.terms.message",
    "ToolResult": "hroute.terms.message",
    "ToolUse": "hroute.terms.message",
    "ToolUseDelta": "hroute.terms.message",
    "Usage": "hroute.terms.usage",
    "UsageError": "hroute.errors",
    "compile": "hroute.router.decide",
    "decide": "hroute.router.decide",
    "decide_batch": "hroute.router.decide",
    "load": "hroute.router.check",
}
"""Public name -> the module it lives in."""

__all__ = [*_HOME, "__version__"]


if not TYPE_CHECKING:  # else a misspelled name would be an `object` to whoever checks types

    def __getattr__(name: str) -> object:
        home = _HOME.get(name)
        if home is None:
            raise AttributeError(f"module 'hroute' has no attribute {name!r}")
        value: object = getattr(import_module(home), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
