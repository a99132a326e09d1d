"""Anthropic through its own SDK: the messages API, with the outcome table of its errors."""

from __future__ import annotations

from typing import Any, Final

from hroute.providers import transport
from hroute.providers.outcomes import Row
from hroute.providers.parameters import EXTRA, MAPPING, OF_THE_CALL, TEXT, Parameters
from hroute.providers.protocol import Capabilities, Target
from hroute.providers.stainless import Reader, StainlessPlugin
from hroute.terms.message import Reply, Request
from hroute.terms.outcome import Outcome
from hroute.wire import anthropic as wire
from hroute.wire import anthropic_stream

_ACCOUNT: Final = (
    "contract_spend_limit_reached", "enforced_spend_limit_reached", "linked_organization_spend_limit_reached",
    "linked_organization_billing_unavailable", "organization_on_hold", "organization_type_not_supported",
    "parent_organization_required", "cmek_key_disabled", "cmek_key_network_blocked", "claude_code_key_creator_not_member",
)  # fmt: skip
"""Codes that say that the account, not the request and not a limit that passes, is in the way."""

ROWS: Final = (
    *(Row(Outcome.CREDENTIAL, code=code) for code in _ACCOUNT),
    Row(Outcome.CREDENTIAL, 429, words=("spend limit",)),
    Row(Outcome.CAPACITY, code="overloaded_error"),
    Row(Outcome.CAPACITY, code="rate_limit_error"),
    Row(Outcome.CREDENTIAL, code="authentication_error"),
    Row(Outcome.CREDENTIAL, code="billing_error"),
    Row(Outcome.CREDENTIAL, code="permission_error"),
    Row(Outcome.CREDENTIAL, code="not_found_error"),
    Row(Outcome.CAPABILITY, code="request_too_large"),
)
"""https://docs.anthropic.com/en/api/errors."""

EXCEPTIONS: Final = {
    "APIConnectionError": Outcome.TRANSPORT,
    "APITimeoutError": Outcome.TIMEOUT,
    "APIResponseValidationError": Outcome.SERVER,
    "APIWebhookValidationError": Outcome.SERVER,
    "APIError": Outcome.SERVER,
    "CredentialsError": Outcome.CREDENTIAL,
    "IdentityTokenFileError": Outcome.CREDENTIAL,
    "WorkloadIdentityError": Outcome.CREDENTIAL,
    "RetryableError": Outcome.SERVER,
    "AnthropicError": Outcome.SERVER,
}

PARAMETERS: Final = Parameters(
    "anthropic",
    common=frozenset(
        {"temperature", "top_p", "top_k", "stop", "thinking", "effort", "tool_choice", "parallel_tool_calls", "metadata", "service_tier"}
    ),
    own={
        "cache_control": MAPPING, "container": {"title": "a text or a mapping", "type": ["string", "object"]}, "diagnostics": MAPPING,
        "inference_geo": TEXT, "speed": TEXT, **EXTRA,
    },
    spellings={"stop_sequences": "stop"},
    elsewhere={
        **OF_THE_CALL,
        "output_config": "`effort` says it, and the request or the rule's `validate` says the form of the answer",
        "system": "the request says it",
        "user_profile_id": "a policy sends no headers",
        "workspace_id": "a policy sends no headers",
    },
)  # fmt: skip
"""What of `messages.create` a policy may say; a test walks the SDK's own signature. The sampling parameters, which the SDK
has no more names for, are sent as ever: models that do not take them say so."""


class AnthropicPlugin(StainlessPlugin):
    name = "anthropic"
    capabilities = Capabilities(thinking=True, default_base_url="https://api.anthropic.com")
    rows = ROWS
    exceptions = EXCEPTIONS
    parameters = PARAMETERS
    path = "/v1/messages"

    def warm(self) -> None:
        import anthropic  # noqa: F401

        transport.warm("httpx2")

    def make(self, target: Target, http_client: Any, *, asynchronous: bool) -> Any:
        import anthropic

        transport.quiet("anthropic")
        kind: Any = anthropic.AsyncAnthropic if asynchronous else anthropic.Anthropic
        client = kind(
            api_key=target.api_key or "none",
            base_url=transport.base_url(target),
            http_client=http_client,
            max_retries=0,
            timeout=None,
            open_telemetry=False,
        )
        client._custom_headers = {}  # ANTHROPIC_CUSTOM_HEADERS: the environment adds nothing to a request
        return client

    def listed(self, client: Any, target: Target) -> bool | None:
        from anthropic import NotFoundError

        try:
            client.models.retrieve(target.model)
        except NotFoundError:
            return False if target.base_url == self.capabilities.default_base_url else None
        return True

    def resource(self, client: Any) -> Any:
        return client.messages

    def body(self, target: Target, request: Request) -> dict[str, Any]:
        return wire.emit_request(request, target.model)

    def parse(self, body: Any) -> Reply:
        return wire.parse_reply(body)

    def reader(self) -> Reader:
        return anthropic_stream.Reader()
