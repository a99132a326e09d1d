"""A context window on every call: large enough, in few sizes, and what does not fit is not sent."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from hroute.providers.ollama import OllamaPlugin
from hroute.providers.ollama_window import BUCKETS, Loaded, context_for
from hroute.providers.protocol import ProviderError, Target
from hroute.providers.testing import Leave, request
from hroute.terms.message import Message, Request, Text, Unread
from hroute.terms.outcome import Outcome
from tests.providers.stages import Served


@pytest.fixture
def stage() -> Iterator[Served]:
    with Served("ollama") as made:
        yield made


@pytest.fixture
def plugin() -> Iterator[OllamaPlugin]:
    made = OllamaPlugin()
    yield made
    made.close()


def words(count: int, **more: Any) -> Request:
    return request("word " * count, **more)


def sent(stage: Served) -> dict[str, Any]:
    body: dict[str, Any] = stage.bodies()[-1]["body"]
    return body


def test_every_call_bears_a_window_also_the_shortest(stage: Served, plugin: OllamaPlugin) -> None:
    plugin.send(stage.target(), request("hi", max_tokens=50), Leave("ollama"))
    assert sent(stage)["options"]["num_ctx"] == 2048
    list(plugin.stream(stage.target(), request("hi", max_tokens=50), Leave("ollama")))
    assert sent(stage)["options"]["num_ctx"] == 2048


def test_3500_tokens_of_context_do_not_end_up_in_a_default_of_2048(stage: Served, plugin: OllamaPlugin) -> None:
    long = Request(
        (Message("user", (Text("What does the file say?"),)),), files=(("notes.txt", "word " * 3500),), max_tokens=300
    )
    reply = plugin.send(stage.target(), long, Leave("ollama"))
    window = sent(stage)["options"]["num_ctx"]
    assert window in BUCKETS
    assert window >= 3500 + 300
    assert reply.usage.input >= 3500 * 0.9, "the server saw all of it"


def test_windows_come_in_few_sizes() -> None:
    sizes = {context_for(words(n, max_tokens=200), 131072)[0] for n in range(10, 20000, 500)}
    assert sizes <= set(BUCKETS)
    assert len(sizes) <= 6


def test_a_longer_prompt_never_gets_a_smaller_window() -> None:
    sizes = [context_for(words(n, max_tokens=200), 131072)[0] for n in range(10, 20000, 100)]
    assert sizes == sorted(sizes)


def test_what_does_not_fit_is_a_lack_and_is_not_sent(stage: Served, plugin: OllamaPlugin) -> None:
    small = replace(stage.target(), context_window=4096)
    with pytest.raises(ProviderError) as caught:
        plugin.send(small, words(9000), Leave("ollama"))
    assert caught.value.failure.outcome is Outcome.CAPABILITY
    assert stage.calls() == 0


def test_the_window_is_never_larger_than_the_models() -> None:
    assert context_for(words(1500, max_tokens=4096), 6000)[0] == 6000


def test_a_generous_output_limit_shrinks_to_what_is_left() -> None:
    window, output = context_for(words(1000, max_tokens=100_000), 8192)
    assert window == 8192
    assert output is not None
    assert 256 <= output < 8192 - 1000


def test_an_image_takes_room() -> None:
    seen = Request((Message("user", (Text("look"), Unread("image", "image/png", "aGk="))),), max_tokens=1000)
    assert context_for(seen, None)[0] > context_for(request("look", max_tokens=1000), None)[0]


def test_a_window_that_the_policy_prescribes_is_sent_as_it_is(stage: Served, plugin: OllamaPlugin) -> None:
    fixed = replace(stage.target(), params={"num_ctx": 6000})
    plugin.send(fixed, request("hi", max_tokens=50), Leave("ollama"))
    assert sent(stage)["options"]["num_ctx"] == 6000
    with pytest.raises(ProviderError) as caught:
        plugin.send(fixed, words(9000, max_tokens=300), Leave("ollama"))
    assert caught.value.failure.outcome is Outcome.CAPABILITY


def test_a_prompt_that_the_server_cut_is_no_answer(
    stage: Served, plugin: OllamaPlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server says how much it saw: a window that the prompt alone fills was too small after all."""
    monkeypatch.setattr("hroute.providers.ollama_window.estimate", lambda _: 100.0)
    fixed = replace(stage.target(), params={"num_ctx": 500})
    ways: list[Callable[[], Any]] = [
        lambda: plugin.send(fixed, words(3000, max_tokens=100), Leave("ollama")),
        lambda: list(plugin.stream(fixed, words(3000, max_tokens=100), Leave("ollama"))),
    ]
    for way in ways:
        with pytest.raises(ProviderError) as caught:
            way()
        assert caught.value.failure.outcome is Outcome.CAPABILITY


def test_the_time_to_load_the_model_is_told_apart(stage: Served, plugin: OllamaPlugin) -> None:
    stage.fails("load", **{"for": 0.2})
    assert plugin.send(stage.target(), request(), Leave("ollama")).load_ms >= 100


def test_keep_alive_is_passed_on(stage: Served, plugin: OllamaPlugin) -> None:
    plugin.send(replace(stage.target(), params={"keep_alive": "10m"}), request(), Leave("ollama"))
    assert sent(stage)["keep_alive"] == "10m"


def test_the_server_is_told_to_say_so_rather_than_to_cut(stage: Served, plugin: OllamaPlugin) -> None:
    plugin.send(stage.target(), request(), Leave("ollama"))
    assert (sent(stage)["truncate"], sent(stage)["shift"]) == (False, False)


def test_a_server_that_says_that_it_does_not_fit_lacks_room(
    stage: Served, plugin: OllamaPlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hroute.providers.ollama_window.estimate", lambda _: 100.0)
    with pytest.raises(ProviderError) as caught:
        plugin.send(stage.target(), words(9000, max_tokens=100), Leave("ollama"))
    assert (caught.value.failure.outcome, caught.value.failure.status) == (Outcome.CAPABILITY, 400)


def test_a_model_that_stays_loaded_keeps_its_window(stage: Served, plugin: OllamaPlugin) -> None:
    at = replace(stage.target(), model="sticky")
    for prompt, window in (
        (words(900), 2048),
        (words(3000), 8192),
        (words(10), 8192),
        (words(6000), 16384),
        (words(9), 16384),
    ):
        plugin.send(at, replace(prompt, max_tokens=200), Leave("ollama"))
        assert sent(stage)["options"]["num_ctx"] == window
    plugin.send(replace(at, model="another"), request("hi", max_tokens=50), Leave("ollama"))
    assert sent(stage)["options"]["num_ctx"] == 2048


def test_a_window_that_could_not_be_loaded_is_not_kept(stage: Served, plugin: OllamaPlugin) -> None:
    at = replace(stage.target(), model="large")
    stage.fails("error", status=500, text="model requires more system memory (90 GiB) than is available")
    with pytest.raises(ProviderError):
        plugin.send(at, words(6000, max_tokens=200), Leave("ollama"))
    stage.server.play.reset()
    stage.says("ok")
    stage.server.play.add((), replace=True)
    plugin.send(at, request("hi", max_tokens=50), Leave("ollama"))
    assert sent(stage)["options"]["num_ctx"] == 2048


def test_what_is_loaded_is_forgotten_when_the_model_is_gone() -> None:
    clock = [0.0]
    loaded = Loaded(lambda: clock[0])
    for keep_alive, later, window in ((None, 299.0, 8192), (None, 301.0, 0), ("10m", 599.0, 8192), (0, 0.1, 0), (-1, 1e9, 8192), ("-1", 1e9, 8192), ("1h", 3601.0, 0), ("soon", 301.0, 0)):  # fmt: skip
        clock[0] = 0.0
        loaded.note("m", 8192, keep_alive)
        clock[0] = later
        assert loaded.window("m") == window, (keep_alive, later)


def test_the_model_s_own_window_is_the_limit_where_the_policy_names_none(stage: Served, plugin: OllamaPlugin) -> None:
    """The sandbox says of every model that it was trained with 32,768 tokens."""
    with pytest.raises(ProviderError) as caught:
        plugin.send(replace(stage.target(), model="trained"), words(30_000, max_tokens=300), Leave("ollama"))
    assert caught.value.failure.outcome is Outcome.CAPABILITY
    assert stage.calls() == 0


class Showing:
    """An Ollama that says of its model what `shown` holds, and counts who asks."""

    def __init__(self, shown: dict[str, Any], status: int = 200) -> None:
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                outer.asked.append(self.path)
                answer = {
                    "model": "m",
                    "message": {"role": "assistant", "content": "hi"},
                    "done": True,
                    "eval_count": 1,
                }
                show = self.path.endswith("/api/show")
                body = json.dumps(shown if show else answer).encode()
                self.send_response(status if show else 200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def target(self, **more: Any) -> Target:
        return Target("ollama", "m", f"http://127.0.0.1:{self.server.server_address[1]}", **more)


@pytest.mark.parametrize("shown", [{"remote_host": "https://ollama.com:443"}, {"remote_model": "gpt-oss:120b"}])
def test_a_model_that_is_served_elsewhere_is_never_asked_as_a_local_one(
    shown: dict[str, Any], plugin: OllamaPlugin
) -> None:
    server = Showing(shown)
    ways: list[Callable[[Target], Any]] = [
        lambda at: plugin.send(at, request(), Leave("ollama")),
        lambda at: list(plugin.stream(at, request(), Leave("ollama"))),
        lambda at: asyncio.run(plugin.asend(at, request(), Leave("ollama"))),
    ]
    for way in ways:
        with pytest.raises(ProviderError) as caught:
            way(server.target(local=True))
        assert caught.value.failure.outcome is Outcome.CREDENTIAL
        assert "served by" in caught.value.failure.message
    assert set(server.asked) == {"/api/show"}, "not a word of the prompt left"
    assert plugin.send(server.target(), request(), Leave("ollama")).text == "hi", "who claims nothing may use it"
    server.server.shutdown()


@pytest.mark.parametrize(("shown", "status"), [({"error": "no such page"}, 404), ({"error": "x"}, 500), ([], 200)])
def test_a_server_that_cannot_say_what_a_model_is_is_asked_all_the_same(
    shown: Any, status: int, plugin: OllamaPlugin
) -> None:
    server = Showing(shown, status)
    for _ in range(3):
        assert plugin.send(server.target(local=True), request(), Leave("ollama")).text == "hi"
    assert server.asked == ["/api/show", *["/api/chat"] * 3], "and not at every call"
    server.server.shutdown()
