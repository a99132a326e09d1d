"""OpenAI and everything that speaks its chat completions (DeepSeek, vLLM, llama.cpp, LM Studio) through the OpenAI SDK."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from hroute.providers import transport
from hroute.providers.openai_options import OPTIONS
from hroute.providers.outcomes import Row
from hroute.providers.parameters import EXTRA, MAPPING, OF_THE_CALL, TEXT, WHOLE, YES, Parameters
from hroute.providers.protocol import Capabilities, Target
from hroute.providers.stainless import Reader, StainlessPlugin
from hroute.terms.message import Reply, Request
from hroute.terms.outcome import Outcome
from hroute.wire import openai_chat as wire
from hroute.wire import openai_chat_stream
from hroute.wire.formats import FORMS

OWN_ADDRESS: Final = "https://api.openai.com/v1"

ROWS: Final = (
    Row(Outcome.CREDENTIAL, code="insufficient_quota"),
    Row(Outcome.CREDENTIAL, code="billing_hard_limit_reached"),
    Row(Outcome.CREDENTIAL, code="billing_not_active"),
    Row(Outcome.CREDENTIAL, code="model_not_found"),
    Row(Outcome.CREDENTIAL, code="invalid_api_key"),
    Row(Outcome.CAPABILITY, code="context_length_exceeded"),
    Row(Outcome.CAPABILITY, code="exceed_context_size_error"),
    Row(Outcome.CAPABILITY, code="string_above_max_length"),
    Row(Outcome.CAPABILITY, 400, code="content_filter"),
    Row(Outcome.CAPACITY, code="rate_limit_exceeded"),
    Row(Outcome.CAPACITY, code="server_is_overloaded"),
    Row(Outcome.CAPACITY, code="slow_down"),
    Row(Outcome.CAPACITY, code="rate_limit_error"),
)
"""https://platform.openai.com/docs/guides/error-codes; `exceed_context_size_error` is llama.cpp's,
`content_filter` Azure's, which does not let a prompt through that others answer."""

EXCEPTIONS: Final = {
    "APIConnectionError": Outcome.TRANSPORT,
    "APITimeoutError": Outcome.TIMEOUT,
    "APIResponseValidationError": Outcome.SERVER,
    "APIError": Outcome.SERVER,
    "LengthFinishReasonError": Outcome.BAD_CONTENT,
    "ContentFilterFinishReasonError": Outcome.BAD_CONTENT,
    "InvalidWebhookSignatureError": Outcome.SERVER,
    "WebSocketConnectionClosedError": Outcome.TRANSPORT,
    "WebSocketQueueFullError": Outcome.CAPACITY,
    "SubjectTokenProviderError": Outcome.CREDENTIAL,
    "OpenAIError": Outcome.SERVER,
}

PARAMETERS: Final = Parameters(
    "openai",
    common=frozenset(
        {"temperature", "top_p", "seed", "presence_penalty", "frequency_penalty", "stop", "effort", "logprobs", "tool_choice",
         "parallel_tool_calls", "metadata", "service_tier"}
    ),
    own={
        "logit_bias": MAPPING, "moderation": MAPPING, "prediction": MAPPING, "prompt_cache_key": TEXT, "prompt_cache_options": MAPPING,
        "prompt_cache_retention": TEXT, "safety_identifier": TEXT, "store": YES, "top_logprobs": WHOLE, "user": TEXT, "verbosity": TEXT,
        "web_search_options": MAPPING, **EXTRA,
    },
    spellings={"reasoning_effort": "effort"},
    elsewhere={
        **OF_THE_CALL,
        "audio": "an answer is text",
        "modalities": "an answer is text",
        "function_call": "`tool_choice` says it",
        "functions": "the request's tools say it",
        "max_completion_tokens": "`max_tokens` says it, under the name that the server knows",
        "n": "a call has one answer",
        "response_format": "the request says it, or the rule's `validate`",
        "stream_options": "hroute sets them",
        "thinking": "`effort` says it, or `extra_body: {thinking: ...}` where the server knows that",
    },
)  # fmt: skip
"""What of `chat.completions.create` a policy may say; a test walks the SDK's own signature."""


class OpenAIPlugin(StainlessPlugin):
    name = "openai"
    capabilities = Capabilities(default_base_url=OWN_ADDRESS, logprobs=True, options=OPTIONS)
    rows = ROWS
    exceptions = EXCEPTIONS
    parameters = PARAMETERS
    path = "/chat/completions"

    def warm(self) -> None:
        import openai  # noqa: F401

        transport.warm("httpx2")

    def make(self, target: Target, http_client: Any, *, asynchronous: bool) -> Any:
        import openai

        transport.quiet("openai")
        kind: Any = openai.AsyncOpenAI if asynchronous else openai.OpenAI
        client = kind(
            api_key=target.api_key or "none",
            base_url=transport.base_url(target),
            http_client=http_client,
            max_retries=0,
            timeout=None,
        )
        # OPENAI_ORG_ID, OPENAI_PROJECT_ID, OPENAI_CUSTOM_HEADERS: the environment adds nothing to a request
        client.organization = client.project = None
        client._custom_headers = {}
        return client

    def listed(self, client: Any, target: Target) -> bool | None:
        from openai import NotFoundError

        try:
            if any(model.id == target.model for model in client.models.list().data):
                return True
            client.models.retrieve(target.model)  # a deployment, or a model of one's own, may be left out of the list
        except NotFoundError:
            return False if _vendor(target) else None  # others may serve what they do not list
        return True

    def resource(self, client: Any) -> Any:
        return client.chat.completions

    def body(self, target: Target, request: Request) -> dict[str, Any]:
        return body_for(target, request)

    def parse(self, body: Any) -> Reply:
        return wire.parse_reply(body)

    def reader(self) -> Reader:
        return openai_chat_stream.Reader()


def body_for(target: Target, request: Request) -> dict[str, Any]:
    """The body of a chat completion, as the server behind `target` understands it."""
    return wire.emit_request(request, target.model, limit_key=limit_key(target), forms=forms(target))


def forms(target: Target) -> tuple[str, ...]:
    """The forms of a `response_format` that the server knows. DeepSeek rejects a JSON Schema."""
    known = target.options.get("response_format")
    if isinstance(known, list):
        return tuple(map(str, known))
    return ("json_object",) if _host(target) == "api.deepseek.com" else FORMS


def limit_key(target: Target) -> str:
    """What the server calls the limit on output tokens: the vendor's newer models refuse its older name."""
    if "limit_key" in target.options:
        return str(target.options["limit_key"])
    return "max_completion_tokens" if _vendor(target) else "max_tokens"


def _vendor(target: Target) -> bool:
    """Whether the address is OpenAI's own, or Azure's."""
    host = _host(target)
    return host == "api.openai.com" or host.endswith(".openai.azure.com")


def _host(target: Target) -> str:
    return urlsplit(target.base_url or OWN_ADDRESS).hostname or ""
