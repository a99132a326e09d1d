"""Whatever comes in is answered in the client's dialect, by a 4xx where it is wrong, and never by a failure of ours."""

from __future__ import annotations

import gzip
import json
import math
import random
import socket
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hroute.errors import HrouteError
from hroute.gateway.asked import read
from hroute.gateway.doors import DOORS
from hroute.gateway.outgoing import Standing, outgoing
from hroute.providers.protocol import ProviderError
from hroute.router.attempts import Call
from hroute.router.engine import Engine
from hroute.wire.fields import Malformed
from tests.gateway.house import BODIES, KEYED, House, before_sandbox, policy_of, prompt
from tests.gateway.test_streams import WIRES
from tests.gateway.test_unread import SEEN, at, places

BODIES_SEEN = {**SEEN, "/v1/completions": prompt(suffix="b", stop=["c"], stream=True, stream_options={"include_usage": True}, n=1)}  # fmt: skip
DEEP: Any = []
for _ in range(120):
    DEEP = [DEEP]
ODD: list[Any] = [None, True, -1, 2**70, 0.5, math.nan, -math.inf, "", "\ud800", "\x00", "data:", "http://[", [], {}, [None], [[]], {"type": 5}, {"type": {}}, {"": None}, DEEP]  # fmt: skip


def changed(path: str, place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    body = json.loads(json.dumps(BODIES_SEEN[path]))
    at(body, place[:-1])[place[-1]] = value
    return body


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(policy_of("http://127.0.0.1:9"), environ=KEYED)


def leave(engine: Engine, path: str, raw: bytes) -> None:
    """What happens to a request until it leaves, over every wire; what is refused is refused in words of ours."""
    try:
        asked = read(DOORS[path], raw, {})
        run = engine.begin(asked.request, asked.given)
        step = next(run.steps)
        while not isinstance(step, Call):
            step = run.steps.send(None)
    except (Malformed, HrouteError):
        return
    for wire in WIRES.values():
        if wire.dialect == "openai_completions" and path != "/v1/completions":
            continue
        try:
            sent = outgoing(asked, step, wire, Standing(False, False, False), "me").call
        except ProviderError:
            continue
        assert isinstance(json.loads(sent.body), dict)
    run.steps.close()


def every_change(path: str) -> Iterator[bytes]:
    for place in places(BODIES_SEEN[path]):
        for value in ODD if place else ():
            yield json.dumps(changed(path, place, value)).encode()


@pytest.mark.parametrize("path", BODIES_SEEN)
def test_an_odd_value_at_any_known_place_breaks_nothing(engine: Engine, path: str) -> None:
    found = [*every_change(path)]
    random.Random(7).shuffle(found)
    for raw in found[:250]:
        leave(engine, path, raw)


@pytest.mark.slow
@pytest.mark.parametrize("path", BODIES_SEEN)
def test_every_odd_value_at_every_known_place_breaks_nothing(engine: Engine, path: str) -> None:
    for raw in every_change(path):
        leave(engine, path, raw)


WORDS = ["model", "messages", "role", "content", "type", "text", "tools", "input", "name", "arguments", "tool_calls", "function", "source", "data", "system", "stream", "metadata", "stop", "prompt", "suffix", "user", "assistant", "tool_result", "tool_use", "thinking", "image", "hroute_session", "hroute_pii", "max_tokens"]  # fmt: skip
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=8),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inside, max_size=6),
    max_leaves=20,
)


@pytest.mark.parametrize("path", BODIES_SEEN)
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(tree=st.dictionaries(st.sampled_from(WORDS), TREES, max_size=8), valid=st.booleans())
def test_no_tree_of_known_words_breaks_anything(engine: Engine, path: str, tree: dict[str, Any], valid: bool) -> None:
    body = {**BODIES[path](), **tree} if valid else tree
    leave(engine, path, json.dumps(body).encode())


@pytest.fixture(scope="module")
def here() -> Iterator[House]:
    with before_sandbox() as (found, _):
        yield found


GOOD = {path: json.dumps(BODIES[path]()).encode() for path in BODIES}
WRONG: dict[str, Any] = {
    "nothing": lambda raw: b"",
    "a text": lambda raw: b'"hello"',
    "a list": lambda raw: b"[" + raw + b"]",
    "null": lambda raw: b"null",
    "cut": lambda raw: raw[:-3],
    "two": lambda raw: raw + raw,
    "a byte order mark": lambda raw: b"\xef\xbb\xbf" + raw,
    "utf-16": lambda raw: raw.decode().encode("utf-16"),
    "latin-1": lambda raw: raw.replace(b"hello", b"h\xe9llo"),
    "not a number": lambda raw: raw.replace(b"{", b'{"temperature": NaN, ', 1),
    "infinity": lambda raw: raw.replace(b"{", b'{"temperature": -Infinity, ', 1),
    "a huge number": lambda raw: raw.replace(b"{", b'{"temperature": ' + b"9" * 5000 + b", ", 1),
    "deep": lambda raw: raw.replace(b"{", b'{"deep": ' + b"[" * 100_000 + b"]" * 100_000 + b", ", 1),
    "deep enough": lambda raw: raw.replace(b"{", b'{"deep": ' + b"[" * 600 + b"]" * 600 + b", ", 1),
    "a key twice": lambda raw: raw.replace(b"{", b'{"model": "other", ', 1),
    "a comment": lambda raw: b"/* */" + raw,
    "form": lambda raw: b"model=x&messages=y",
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "no model": lambda raw: raw.replace(b'"model"', b'"modem"'),
    "a model that is no text": lambda raw: json.dumps({**json.loads(raw), "model": ["x"]}).encode(),
}


def is_told(path: str, status: int, body: dict[str, Any]) -> bool:
    error = body["error"]
    anthropics = body.get("type") == "error"
    return 400 <= status < 500 and isinstance(error["message"], str) and error["type"] != "" and anthropics is (path == "/v1/messages")  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("path", BODIES)
def test_a_malformed_body_is_a_4xx_in_the_dialect(here: House, path: str, name: str) -> None:
    answer = here.post(path, WRONG[name](GOOD[path]))
    assert is_told(path, answer.status_code, answer.json()), (answer.status_code, answer.text)


MEDIA = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp", "", "application/json-patch+json"]  # fmt: skip


@pytest.mark.parametrize("path", BODIES)
def test_what_is_not_plain_json_is_a_415(here: House, path: str) -> None:
    for media in MEDIA:
        answer = here.client.post(here.url + path, content=GOOD[path], headers={"content-type": media})
        assert answer.status_code == 415, media
        assert is_told(path, 415, answer.json())
    for coding in ("gzip", "deflate", "br", "zstd", "gzip, identity"):
        answer = here.post(path, gzip.compress(GOOD[path]), content_encoding=coding)
        assert answer.status_code == 415, coding
    for media in ("application/json", "application/json; charset=utf-8", "Application/JSON"):
        assert here.client.post(here.url + path, content=GOOD[path], headers={"content-type": media}).status_code == 200


def raw_http(here: House, head: str, body: bytes) -> tuple[int, bytes]:
    """One request as it is written, on a connection of its own."""
    host, port = here.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 20) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n" + body)
        connection.shutdown(socket.SHUT_WR) if "HALF" in head else None
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return int(answer.split(b" ", 2)[1]) if answer else 0, answer.partition(b"\r\n\r\n")[2]


HEAD = "POST {path} HTTP/1.1\nHost: 127.0.0.1\nContent-Type: application/json\nConnection: close\n"


@pytest.mark.parametrize("path", BODIES)
def test_bodies_in_chunks_and_without_a_length(here: House, path: str) -> None:
    head, raw = HEAD.format(path=path), GOOD[path]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(raw[n : n + 7]), raw[n : n + 7]) for n in range(0, len(raw), 7))
    assert raw_http(here, head + "Transfer-Encoding: chunked\n", chunks + b"0\r\n\r\n")[0] == 200
    status, told = raw_http(here, head, b"")
    assert is_told(path, status, json.loads(told))
    assert raw_http(here, head + "Transfer-Encoding: chunked\nContent-Length: 5\n", chunks + b"0\r\n\r\n")[0] in (200, 400)  # fmt: skip
    assert raw_http(here, head + "Content-Length: 99999999999\n", raw)[0] == 413
    assert raw_http(here, head + "Content-Length: -5\n", raw)[0] == 400
    assert raw_http(here, head + "Transfer-Encoding: chunked\n", b"zz\r\n")[0] == 400
    assert raw_http(here, head.replace("HTTP/1.1", "HTTP/1.0") + f"Content-Length: {len(raw)}\n", raw)[0] == 200
    assert raw_http(here, head + f"X-Long: {'x' * 70_000}\nContent-Length: {len(raw)}\n", raw)[0] in (400, 431)


def test_the_gateway_lives_after_all_this(here: House) -> None:
    for path in BODIES:
        assert here.post(path, BODIES[path]()).status_code == 200
