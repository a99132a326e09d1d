"""The outcome table, row by row, from the vendors' own SDKs over real sockets: what was answered, and what it is to us.

Each row is played by `hroute sandbox serve` (its server, in a thread) and met by all four ways of calling.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.utils import formatdate
from itertools import chain
from typing import Any, Final

import pytest

from hroute.providers import registry
from hroute.providers.outcomes import COMMON, Row
from hroute.providers.protocol import Plugin, ProviderError, Target
from hroute.providers.testing import CANARY, Leave, request
from hroute.terms.message import Request, StopReason
from hroute.terms.outcome import Failure, Outcome
from tests.providers.stages import KEY, Served

VENDORS: Final = {"anthropic": "", "openai": "/v1", "ollama": ""}

ANYWHERE: Final = [
    # The same at every vendor: the status decides.
    (400, {}, Outcome.CALLER_FAULT),
    (422, {}, Outcome.CALLER_FAULT),
    (418, {}, Outcome.CALLER_FAULT),
    (401, {}, Outcome.CREDENTIAL),
    (402, {}, Outcome.CREDENTIAL),
    (403, {}, Outcome.CREDENTIAL),
    (404, {}, Outcome.CREDENTIAL),
    (410, {}, Outcome.CREDENTIAL),
    (408, {}, Outcome.TIMEOUT),
    (409, {}, Outcome.SERVER),
    (413, {}, Outcome.CAPABILITY),
    (429, {}, Outcome.CAPACITY),
    (529, {}, Outcome.CAPACITY),
    (500, {}, Outcome.SERVER),
    (502, {}, Outcome.SERVER),
    (503, {}, Outcome.SERVER),
    (504, {}, Outcome.SERVER),
    (599, {}, Outcome.SERVER),
    # A redirect is not followed.
    (301, {"headers": {"location": "http://127.0.0.1:9/elsewhere"}}, Outcome.SERVER),
    (307, {"headers": {"location": "http://127.0.0.1:9/elsewhere"}}, Outcome.SERVER),
    # What the vendor says beside the status.
    (400, {"text": "the prompt exceeds the maximum context length"}, Outcome.CAPABILITY),
    (400, {"text": "this model does not support tools"}, Outcome.CAPABILITY),
    (400, {"text": "this model does not support image input"}, Outcome.CAPABILITY),
    (400, {"text": "Your credit balance is too low to access the API"}, Outcome.CREDENTIAL),
    (422, {"text": "input is too long for the requested model"}, Outcome.CAPABILITY),
    (400, {"text": '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'}, Outcome.CAPABILITY),  # vLLM
    (400, {"text": "This response_format type is unavailable now"}, Outcome.CAPABILITY),  # DeepSeek
    (422, {"text": "response_format.type `json_schema` is unavailable now"}, Outcome.CAPABILITY),
    (400, {"text": "'response_format.type' must be 'json_schema' or 'text'"}, Outcome.CAPABILITY),  # LM Studio
    (500, {"text": "image input is not supported - hint: you may need to provide the mmproj"}, Outcome.CAPABILITY),  # llama.cpp
    (400, {"text": "max_tokens: 128000 > 64000, which is the maximum allowed number of output tokens"}, Outcome.CAPABILITY),
    (400, {"text": "max_tokens is too large: 4096. This model supports at most 2048 completion tokens"}, Outcome.CAPABILITY),
]  # fmt: skip

ACCOUNT: Final = [
    "contract_spend_limit_reached", "enforced_spend_limit_reached", "linked_organization_spend_limit_reached",
    "linked_organization_billing_unavailable", "organization_on_hold", "organization_type_not_supported",
    "parent_organization_required", "cmek_key_disabled", "cmek_key_network_blocked", "claude_code_key_creator_not_member",
]  # fmt: skip

OWN: Final = {
    "anthropic": [
        (529, {"code": "overloaded_error"}, Outcome.CAPACITY),
        (429, {"code": "rate_limit_error"}, Outcome.CAPACITY),
        (401, {"code": "authentication_error"}, Outcome.CREDENTIAL),
        (402, {"code": "billing_error"}, Outcome.CREDENTIAL),
        (403, {"code": "permission_error"}, Outcome.CREDENTIAL),
        (404, {"code": "not_found_error"}, Outcome.CREDENTIAL),
        (413, {"code": "request_too_large"}, Outcome.CAPABILITY),
        (429, {"code": "rate_limit_error", "text": "You have reached your spend limit"}, Outcome.CREDENTIAL),
        *((400, {"code": code}, Outcome.CREDENTIAL) for code in ACCOUNT),
        (500, {"code": "api_error"}, Outcome.SERVER),
        (504, {"code": "timeout_error"}, Outcome.SERVER),
        (400, {"code": "invalid_request_error"}, Outcome.CALLER_FAULT),
        (400, {"code": "invalid_request_error", "text": "prompt is too long: 210000 tokens > 200000"}, Outcome.CAPABILITY),
    ],
    "openai": [
        (429, {"code": "insufficient_quota"}, Outcome.CREDENTIAL),
        (429, {"code": "billing_hard_limit_reached"}, Outcome.CREDENTIAL),
        (403, {"code": "billing_not_active"}, Outcome.CREDENTIAL),
        (404, {"code": "model_not_found"}, Outcome.CREDENTIAL),
        (401, {"code": "invalid_api_key"}, Outcome.CREDENTIAL),
        (400, {"code": "context_length_exceeded"}, Outcome.CAPABILITY),
        (400, {"code": "exceed_context_size_error"}, Outcome.CAPABILITY),
        (400, {"code": "string_above_max_length"}, Outcome.CAPABILITY),
        (400, {"code": "content_filter"}, Outcome.CAPABILITY),  # Azure
        (429, {"code": "rate_limit_exceeded"}, Outcome.CAPACITY),
        (503, {"code": "server_is_overloaded"}, Outcome.CAPACITY),
        (503, {"code": "slow_down"}, Outcome.CAPACITY),
        (429, {"code": "rate_limit_error"}, Outcome.CAPACITY),
        (402, {"text": "Insufficient Balance"}, Outcome.CREDENTIAL),  # DeepSeek
    ],
    "ollama": [
        (503, {"text": "server busy, please try again. maximum pending requests exceeded"}, Outcome.CAPACITY),
        (500, {"text": "input length exceeds the context length"}, Outcome.CAPABILITY),
        (500, {"text": "model requires more system memory (9 GiB) than is available"}, Outcome.CAPABILITY),
        (404, {"text": 'model "x" not found, try pulling it first'}, Outcome.CREDENTIAL),
        (500, {"text": "model 'x' not found, try pulling it first"}, Outcome.CREDENTIAL),
        (400, {"text": "registry.ollama.ai/library/x does not support tools"}, Outcome.CAPABILITY),
        (429, {"text": "You exceeded your current quota, please check your plan"}, Outcome.CREDENTIAL),
        (500, {"text": "llama runner process has terminated"}, Outcome.SERVER),
    ],
}  # fmt: skip


def failures(plugin: Plugin, target: Target, sent: Request | None = None) -> list[Failure]:
    """How `send`, `stream`, `asend` and `astream` fail; all four must."""
    sent = sent or request()

    def stream() -> None:
        for _ in plugin.stream(target, sent, Leave(target.name)):
            pass

    async def asend() -> None:
        try:
            await plugin.asend(target, sent, Leave(target.name))
        finally:
            await plugin.aclose()  # type: ignore[attr-defined]

    async def astream() -> None:
        try:
            async for _ in plugin.astream(target, sent, Leave(target.name)):
                pass
        finally:
            await plugin.aclose()  # type: ignore[attr-defined]

    ways = (
        lambda: plugin.send(target, sent, Leave(target.name)),
        stream,
        lambda: asyncio.run(asend()),
        lambda: asyncio.run(astream()),
    )
    found = []
    for way in ways:
        with pytest.raises(ProviderError) as caught:
            way()
        assert caught.value.__cause__ is None
        found.append(caught.value.failure)
    return found


@contextmanager
def stage(vendor: str) -> Iterator[tuple[Plugin, Served]]:
    with Served(vendor, VENDORS[vendor], keep_bodies=False) as made:
        plugin = registry.load(vendor)
        try:
            yield plugin, made
        finally:
            plugin.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_status_and_every_code_of_a_vendor_has_its_outcome(vendor: str) -> None:
    with stage(vendor) as (plugin, served):
        for status, details, wanted in (*ANYWHERE, *OWN[vendor]):
            served.fails("error", status=status, **details)
            for failure in failures(plugin, served.target()):
                row = f"{vendor} {status} {details}"
                assert failure.outcome is wanted, f"{row} became {failure.outcome}"
                assert failure.status == status, row
                shown = f"{failure!r} {failure.message}"
                assert CANARY not in shown, row
                assert KEY not in shown, row
                assert not details.get("text") or details["text"] not in shown, f"{row} quotes its vendor"


def test_every_row_of_every_table_is_played_above() -> None:
    for vendor, played in OWN.items():
        for row in __import__(f"hroute.providers.{vendor}", fromlist=["ROWS"]).ROWS:
            assert is_played(row, [*played, *ANYWHERE]), f"{vendor}: {row}"
    for row in COMMON:
        assert is_played(row, [*ANYWHERE, *chain.from_iterable(OWN.values())]), row


def is_played(row: Row, played: list[tuple[int, dict[str, Any], Outcome]]) -> bool:
    return any(
        row.fits(status, (details.get("code", ""),), details.get("text", "").lower()) for status, details, _ in played
    )


@pytest.mark.parametrize("vendor", VENDORS)
def test_how_long_to_wait_is_read_in_every_form(vendor: str) -> None:
    forms = [
        ({"retry-after": "7"}, 7, 7),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5, 1.5),
        ({"retry-after": formatdate(time.time() + 60, usegmt=True)}, 40, 60),
        ({}, None, None),
    ]
    with stage(vendor) as (plugin, served):
        for headers, least, most in forms:
            served.fails("error", status=429, headers=headers)
            for failure in failures(plugin, served.target()):
                if least is None or most is None:
                    assert failure.retry_after is None
                else:
                    assert failure.retry_after is not None
                    assert least <= failure.retry_after <= most


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_redirect_is_followed_nowhere(vendor: str) -> None:
    with stage(vendor) as (plugin, served), Served("elsewhere", keep_bodies=False) as elsewhere:
        for status in (301, 302, 303, 307, 308):
            served.fails("error", status=status, headers={"location": f"{elsewhere.server.url}/v1/messages"})
            failures(plugin, served.target())
        assert elsewhere.calls() == 0


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_broken_connection_is_a_matter_of_transport(vendor: str) -> None:
    with stage(vendor) as (plugin, served):
        at = served.target()
        assert at.base_url is not None
        path = VENDORS[vendor]
        unplugged = free_port()
        places = {
            "connection refused": f"http://127.0.0.1:{unplugged}{path}",
            "the host name is not known": f"http://{'x' * 64}.invalid:80{path}",
            "TLS": at.base_url.replace("http://", "https://"),
        }
        for why, url in places.items():
            for failure in failures(plugin, replace(at, name=why, base_url=url)):
                assert failure.outcome is Outcome.TRANSPORT, why
                assert why == "TLS" or failure.message == why
        for fault, details in (("down", {}), ("cut", {"at": 0.4})):
            served.says("One two three four five six seven eight nine ten eleven twelve.")
            served.fails(fault, **details)
            assert {failure.outcome for failure in failures(plugin, at)} == {Outcome.TRANSPORT}, fault


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_kind_of_waiting_too_long_is_a_timeout(vendor: str) -> None:
    with stage(vendor) as (plugin, served), deaf() as port:
        at = served.target()
        served.says("One two three four five six seven eight nine ten eleven twelve.")
        silent = replace(at, name="silent", base_url=f"http://127.0.0.1:{port}{VENDORS[vendor]}", connect=0.1)
        assert {failure.outcome for failure in failures(plugin, silent)} == {Outcome.TIMEOUT}, "connect"
        served.fails("slow", **{"for": 5})
        late = failures(plugin, replace(at, first_token=0.1, total=0.2))
        assert {failure.outcome for failure in late} == {Outcome.TIMEOUT}, "first token, total"
        served.fails("stall", **{"for": 5, "at": 0.5})
        stalled = replace(at, idle=0.1, total=0.3)
        assert {failure.outcome for failure in failures(plugin, stalled)} == {Outcome.TIMEOUT}, "idle"
        drawn = replace(at, idle=3.0, total=0.3)
        assert {failure.outcome for failure in failures(plugin, drawn)} == {Outcome.TIMEOUT}, "total of a stream"


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_stream_without_its_end_is_bad_content(vendor: str) -> None:
    with stage(vendor) as (plugin, served):
        served.says("One two three four five six seven eight nine ten eleven twelve.")
        served.fails("cut", clean=True, at=0.6)
        sync, asynchronous = failures(plugin, served.target())[1::2]
        assert (sync.outcome, asynchronous.outcome) == (Outcome.BAD_CONTENT, Outcome.BAD_CONTENT)


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_model_that_declines_by_its_vendor_s_own_sign_is_told(vendor: str) -> None:
    if vendor == "ollama":
        pytest.skip("Ollama has no such sign")
    with stage(vendor) as (plugin, served):
        served.fails("refusal", declared=True)
        reply = plugin.send(served.target(), request(), Leave(vendor))
        assert reply.stop is StopReason.REFUSAL


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        port: int = made.getsockname()[1]
        return port


@contextmanager
def deaf() -> Iterator[int]:
    """A port whose line of connections is full: a further one is neither accepted nor refused."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting: list[Any] = []
        try:
            for _ in range(4):
                one = socket.socket()
                one.setblocking(False)
                one.connect_ex(listener.getsockname())
                waiting.append(one)
            time.sleep(0.05)
            yield listener.getsockname()[1]
        finally:
            for one in waiting:
                one.close()
