"""The sandbox over HTTP, seen through the vendors' own SDKs and real sockets."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hroute.errors import UsageError
from hroute.providers.sandbox.script import Script
from hroute.providers.sandbox.server import MAX_BODY, SandboxServer, serve
from hroute.wire.grammar import violations
from tests.providers.sandbox.clients import CLIENTS, Heard, _openai

ways = pytest.mark.parametrize(("stream", "use_async"), [(False, False), (True, False), (False, True), (True, True)])
dialects = pytest.mark.parametrize("dialect", CLIENTS)


@contextmanager
def playing(
    *faults: dict[str, Any], answers: list[dict[str, Any]] | None = None, **more: Any
) -> Iterator[SandboxServer]:
    with serve(Script.from_data({"faults": list(faults), "answers": answers or []}), **more) as server:
        yield server


def call(
    server: SandboxServer, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, Any, dict[str, str]]:
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
    raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    connection.request(method, path, raw, headers)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    kind = response.headers.get("content-type", "")
    parsed = json.loads(content) if content and kind == "application/json" else content
    return response.status, parsed, {name.lower(): value for name, value in response.headers.items()}


@ways
@dialects
def test_each_sdk_hears_the_text_its_end_and_its_tokens(dialect, stream, use_async):
    with playing(answers=[{"text": "The shop opens at nine o'clock, every day of the week."}]) as server:
        heard = CLIENTS[dialect](server.url, stream=stream, use_async=use_async)
    assert heard.text == "The shop opens at nine o'clock, every day of the week."
    assert heard.stop in ("end_turn", "stop", "completed")
    assert heard.tokens[0] > 0
    assert heard.tokens[1] == 14
    if stream:
        assert heard.pieces > 3


@ways
@dialects
def test_each_sdk_hears_thinking_and_parallel_calls(dialect, stream, use_async):
    calls = [{"name": "weather", "input": {"city": "Kyiv"}}, {"name": "weather", "input": {"city": "Zürich"}}]
    answers = [{"text": "Looking it up.", "tools": calls, "thinking": "Two cities are asked for."}]
    with playing(answers=answers) as server:
        heard = CLIENTS[dialect](server.url, stream=stream, use_async=use_async, tools=True)
    assert heard.text == "Looking it up."
    assert heard.thinking == "Two cities are asked for."
    assert heard.calls == [("weather", {"city": "Kyiv"}), ("weather", {"city": "Zürich"})]
    if dialect in ("anthropic", "openai_chat"):
        assert heard.stop in ("tool_use", "tool_calls")


ERRORS = [
    ("bad_request", 400, "BadRequestError"),
    ("too_long", 400, "BadRequestError"),
    ("unauthorized", 401, "AuthenticationError"),
    ("no_credit", 402, ("APIStatusError", "PaymentRequiredError")),
    ("forbidden", 403, "PermissionDeniedError"),
    ("model_gone", 404, "NotFoundError"),
    ("rate_limit", 429, "RateLimitError"),
    ("server_error", 500, "InternalServerError"),
    ("unavailable", 503, ("InternalServerError", "ServiceUnavailableError")),
    ("overloaded", 529, ("InternalServerError", "OverloadedError")),
]


@pytest.mark.parametrize(("kind", "status", "name"), ERRORS)
@pytest.mark.parametrize("stream", [False, True])
def test_each_error_is_the_vendors_own_in_the_sdk(kind, status, name, stream):
    with playing({"kind": kind}) as server:
        for dialect in ("anthropic", "openai_chat", "openai_responses"):
            with pytest.raises(Exception, match=r".") as caught:
                CLIENTS[dialect](server.url, stream=stream, use_async=False)
            assert caught.value.status_code == status
            assert type(caught.value).__name__ in (name, *(name if isinstance(name, tuple) else ()))
        with pytest.raises(Exception, match=r".") as caught:
            CLIENTS["ollama"](server.url, stream=stream, use_async=False)
        assert caught.value.status_code == status


def test_a_rate_limit_says_when_to_come_back_in_the_header():
    with playing({"kind": 429, "retry_after": "7s"}) as server, pytest.raises(Exception, match=r".") as caught:
        CLIENTS["anthropic"](server.url, stream=False, use_async=False)
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.body["error"]["type"] == "rate_limit_error"


def test_an_overload_and_a_prompt_too_long_are_told_in_the_vendors_words():
    with playing({"kind": 529, "first": 1}, {"kind": "too_long", "after": 1}) as server:
        with pytest.raises(Exception, match="overloaded_error"):
            CLIENTS["anthropic"](server.url, stream=True, use_async=False)
        with pytest.raises(Exception, match="prompt is too long"):
            CLIENTS["anthropic"](server.url, stream=True, use_async=False)
        with pytest.raises(Exception, match=r".") as caught:
            CLIENTS["openai_chat"](server.url, stream=False, use_async=False)
    assert caught.value.code == "context_length_exceeded"


@pytest.mark.parametrize("stream", [False, True])
@dialects
def test_a_server_that_is_down_gives_no_answer_at_all(dialect, stream):
    with playing({"kind": "down"}) as server, pytest.raises(Exception, match=r".") as caught:
        CLIENTS[dialect](server.url, stream=stream, use_async=False)
    assert "status_code" not in vars(caught.value)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("use_async", [False, True])
@dialects
def test_a_cut_connection_breaks_the_reply_off(dialect, stream, use_async):
    with playing({"kind": "cut", "at": 0.5}) as server, pytest.raises(Exception, match=r".") as caught:
        CLIENTS[dialect](server.url, stream=stream, use_async=use_async)
    assert any(word in repr(caught.value).lower() for word in ("peer closed", "connection", "incomplete"))


def test_a_stream_that_closes_properly_lacks_only_its_end():
    with playing({"kind": "cut", "clean": True, "at": 0.5}) as server:
        heard = CLIENTS["openai_chat"](server.url, stream=True, use_async=False)
        assert heard.text
        assert heard.stop == ""
        body = {"model": "m", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "x"}]}
        status, stream, _ = call(server, "POST", "/v1/messages", body)
    assert status == 200
    assert violations("anthropic", stream) == ["no message_stop"]


@dialects
def test_a_slow_first_token_ends_in_the_clients_timeout(dialect):
    with playing({"kind": "slow", "for": "30s"}) as server, pytest.raises(Exception, match=r"(?i)time"):
        CLIENTS[dialect](server.url, stream=True, use_async=False, timeout=0.3)


@dialects
def test_a_stall_gives_the_beginning_and_then_nothing(dialect):
    with playing({"kind": "stall", "for": "30s", "at": 0.7}) as server, pytest.raises(Exception, match=r"(?i)time"):
        CLIENTS[dialect](server.url, stream=True, use_async=False, timeout=0.5)


def test_waiting_is_real_time_and_closing_the_server_ends_it():
    with playing({"kind": "latency", "values": ["300ms"]}) as server:
        start = time.monotonic()
        assert CLIENTS["ollama"](server.url, stream=False, use_async=False).text
        assert time.monotonic() - start >= 0.3


@pytest.mark.parametrize("stream", [False, True])
@dialects
def test_an_empty_reply_is_empty_and_ends_properly(dialect, stream):
    with playing({"kind": "empty"}) as server:
        heard = CLIENTS[dialect](server.url, stream=stream, use_async=False)
    assert heard.text == ""
    assert heard.stop in ("end_turn", "stop", "completed")


@dialects
def test_json_comes_fenced_or_broken(dialect):
    answers = [{"json": {"label": "complaint"}}]
    with playing({"kind": "fenced_json", "first": 1}, {"kind": "broken_json", "after": 1}, answers=answers) as server:
        fenced = CLIENTS[dialect](server.url, stream=True, use_async=False).text
        broken = CLIENTS[dialect](server.url, stream=True, use_async=False).text
    assert "```json\n{" in fenced
    assert broken.startswith('{"label"')
    assert not broken.endswith("}")


def test_a_refusal_is_a_text_and_may_be_declared():
    with playing({"kind": "refusal", "first": 4}, {"kind": "refusal", "declared": True, "after": 4}) as server:
        for declared, stops in (
            (False, ("end_turn", "stop", "completed")),
            (True, ("refusal", "content_filter", "stop")),
        ):
            for dialect in CLIENTS:
                heard = CLIENTS[dialect](server.url, stream=True, use_async=False)
                assert "can't help" in heard.text, declared
                assert heard.stop in stops


def test_a_window_too_small_loses_the_oldest_part_without_a_word():
    answers = [{"prompt": "the code is 4711", "text": "4711"}]
    turns = [
        {"role": "user", "content": "the code is 4711 " + "and more " * 900},
        {"role": "user", "content": "the code?"},
    ]
    with playing(answers=answers) as server:
        says = CLIENTS["ollama"]
        wide = says(server.url, stream=False, use_async=False, messages=turns, options={"num_ctx": 8192})
        narrow = says(server.url, stream=False, use_async=False, messages=turns, options={"num_ctx": 1024})
    assert wide.text == "4711"
    assert "4711" not in narrow.text
    assert narrow.tokens[0] <= 1024


def test_the_model_is_loaded_before_the_first_answer_and_says_how_long_it_took():
    import ollama

    with playing({"kind": "load", "for": "200ms"}) as server:
        api = ollama.Client(host=server.url, trust_env=False)
        first, second = (api.chat("m", [{"role": "user", "content": "hi"}]) for _ in range(2))
    assert first.load_duration == 200_000_000
    assert second.load_duration == 0


def test_a_schema_is_answered_in_its_shape_by_every_dialect():
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    forms: dict[str, dict[str, Any]] = {
        "anthropic": {"output_config": {"format": {"type": "json_schema", "schema": schema}}},
        "openai_chat": {"response_format": {"type": "json_schema", "json_schema": {"name": "r", "schema": schema}}},
        "openai_responses": {"text": {"format": {"type": "json_schema", "name": "r", "schema": schema}}},
        "ollama": {"format": schema},
    }
    with playing() as server:
        for dialect, form in forms.items():
            assert json.loads(CLIENTS[dialect](server.url, stream=False, use_async=False, **form).text) == {"n": 0}


def test_a_provider_is_named_by_the_first_part_of_the_path():
    with playing({"kind": 529, "provider": "claude_sonnet"}) as server:
        with pytest.raises(Exception, match=r"529|verloaded"):
            CLIENTS["anthropic"](f"{server.url}/claude_sonnet", stream=False, use_async=False)
        assert CLIENTS["anthropic"](f"{server.url}/claude_haiku", stream=False, use_async=False).text
        assert CLIENTS["openai_chat"](f"{server.url}/gpt4o", stream=False, use_async=False).text
        providers = [row["provider"] for row in call(server, "GET", "/_sandbox/calls")[1]["calls"]]
    assert providers == ["claude_sonnet", "claude_haiku", "gpt4o"]


def test_models_tokens_and_ollamas_pages_are_there():
    import anthropic
    import ollama

    with serve(Script(models=("llama3.1:8b", "sandbox"))) as server:
        assert [m.id for m in _openai(server.url, False, 5).models.list()] == ["llama3.1:8b", "sandbox"]
        http = anthropic.DefaultHttpxClient(trust_env=False)
        api = anthropic.Anthropic(base_url=server.url, api_key="dummy", max_retries=0, http_client=http)
        counted = api.messages.count_tokens(model="m", messages=[{"role": "user", "content": "a" * 400}])
        assert counted.input_tokens == 100
        assert [m.id for m in api.models.list()] == ["llama3.1:8b", "sandbox"]
        local = ollama.Client(host=server.url, trust_env=False)
        assert [m.model for m in local.list().models] == ["llama3.1:8b", "sandbox"]
        assert local.ps().models[0].model == "llama3.1:8b"
        assert local.show("llama3.1:8b").modelinfo["sandbox.context_length"] == 32768
        assert call(server, "GET", "/api/version")[1]["version"]


def test_faults_are_added_replaced_and_forgotten_while_it_serves():
    with playing() as server:

        def struck() -> int:
            return call(server, "POST", "/api/chat", {"model": "m", "messages": [], "stream": False})[0]

        assert struck() == 200
        assert call(server, "POST", "/_sandbox/faults", {"kind": "overloaded", "first": 1})[1] == {
            "faults": ["overloaded"]
        }
        assert [struck(), struck()] == [529, 200]
        call(server, "POST", "/_sandbox/faults", {"faults": [{"kind": 401}], "replace": True})
        assert struck() == 401
        call(server, "POST", "/_sandbox/reset", {})
        assert struck() == 200
        assert len(call(server, "GET", "/_sandbox/calls")[1]["calls"]) == 1
        status, error, _ = call(server, "POST", "/_sandbox/faults", [{"kind": "overlaoded"}])
        assert status == 400
        assert error["help"] == "did you mean `overloaded`?"


def test_the_record_of_calls_holds_no_credential_and_no_text():
    with playing() as server:
        body = {"model": "m", "messages": [{"role": "user", "content": "canary-5150"}], "stream": False}
        call(server, "POST", "/api/chat?key=s3cret", body, Authorization="Bearer s3cret", Cookie="s3cret")
        record = call(server, "GET", "/_sandbox/calls")[1]
    assert "s3cret" not in json.dumps(record)
    assert "canary" not in json.dumps(record)
    assert record["calls"][0]["credentials"] == ["authorization", "cookie"]


def test_the_log_has_a_line_a_call_without_its_text():
    lines: list[str] = []
    with playing({"kind": 529}, log=lines.append) as server:
        call(server, "POST", "/api/chat", {"model": "m", "messages": [{"role": "user", "content": "canary"}]})
    assert len(lines) == 1
    assert "529" in lines[0]
    assert "canary" not in lines[0]


BAD_BODIES = [b"", b"nonsense", b"[]", b"\xff\xfe", b'{"model": "m", "messages": 5, "input": 5}', b"[" * 99999]
BAD_BODIES += [b'{"messages": [], "input": []}', b'{"model": "m", "messages": [{}], "input": [{"type": "message"}]}']


@pytest.mark.parametrize("body", BAD_BODIES)
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions", "/v1/responses", "/api/chat"])
def test_a_bad_body_is_a_400_in_the_dialect(path, body):
    with playing() as server:
        status, error, _ = call(server, "POST", path, body)
    assert status == 400
    assert isinstance(error["error"], str if path == "/api/chat" else dict)


def test_a_body_too_large_and_a_path_unknown_are_refused():
    with playing() as server:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
        connection.putrequest("POST", "/v1/messages")
        connection.putheader("content-length", str(MAX_BODY + 1))
        connection.endheaders()
        assert connection.getresponse().status == 413
        assert call(server, "GET", "/v2/elsewhere")[0] == 404
        assert call(server, "POST", "/v1/elsewhere", {})[0] == 404
        assert call(server, "HEAD", "/")[0] == 200


def test_a_web_page_of_elsewhere_is_turned_away():
    with playing() as server:
        assert call(server, "GET", "/_sandbox/calls", Origin="https://example.com")[0] == 403
        assert call(server, "GET", "/_sandbox/calls", Host="rebound.example.com")[0] == 403
        assert call(server, "GET", "/_sandbox/calls", Origin="http://localhost:3000")[0] == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.com"])
def test_it_listens_on_this_machine_only(host):
    with pytest.raises(UsageError, match="this machine only"):
        serve(host=host)


def test_a_port_that_is_taken_is_named():
    with playing() as server, pytest.raises(UsageError, match="cannot listen"):
        serve(port=int(server.url.rpartition(":")[2]))


PATHS = [("anthropic", "/v1/messages"), ("openai_chat", "/v1/chat/completions"), ("openai_responses", "/v1/responses"), ("ollama", "/api/chat")]  # fmt: skip


@pytest.mark.parametrize(("dialect", "path"), PATHS)
def test_what_the_server_streams_obeys_the_grammar(dialect, path):
    answers = [{"text": "One two three.", "thinking": "Well.", "tools": [{"name": "f", "input": {}}, {"name": "g"}]}]
    turns = [{"role": "user", "content": "x"}]
    with playing(answers=answers) as server:
        body = {"model": "m", "max_tokens": 99, "stream": True, "messages": turns, "input": turns}
        status, stream, _ = call(server, "POST", path, body)
    assert status == 200
    assert violations(dialect, stream) == []


def test_the_same_script_gives_the_same_bytes():
    def heard() -> list[Heard]:
        with playing({"kind": 500, "probability": 0.3}) as server:
            found = []
            for n in range(10):
                status, body, _ = call(
                    server, "POST", "/api/chat", {"model": "m", "messages": [{"role": "user", "content": str(n)}]}
                )
                found.append((status, body))
            return found

    assert heard() == heard()
