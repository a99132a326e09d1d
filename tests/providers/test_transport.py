"""Nothing but the policy says where bytes go: no environment, no redirect, no name that only claims to be local."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from hroute.errors import UsageError
from hroute.providers import addresses, registry, transport
from hroute.providers.protocol import ProviderError, Target
from hroute.providers.testing import CANARY, Leave, request
from hroute.providers.timer import Timer
from hroute.terms.outcome import Outcome
from tests.providers.stages import KEY, Served

PATHS = {"anthropic": "", "openai": "/v1", "ollama": ""}
plugins = pytest.mark.parametrize("plugin", PATHS)


class Trap:
    """A listener that remembers whatever comes, answers by redirecting to `to`, and can be told to redirect to itself."""

    def __init__(self, status: int = 200, to: str = "") -> None:
        trap = self
        self.hits: list[str] = []
        self.headers: list[dict[str, str]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                trap.hits.append(self.path)
                trap.headers.append({k.lower(): v for k, v in self.headers.items()})
                self.rfile.read(int(self.headers.get("content-length", 0)))
                self.send_response(status)
                if to:
                    self.send_header("location", to)
                self.send_header("content-length", "0")
                self.end_headers()

            do_GET = do_CONNECT = do_POST

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def trap() -> Iterator[Trap]:
    made = Trap()
    yield made
    made.close()


@pytest.fixture
def load() -> Iterator[Callable[[str], Any]]:
    made: list[Any] = []

    def loader(plugin: str) -> Any:
        made.append(registry.load(plugin))
        return made[-1]

    yield loader
    for plugin in made:
        plugin.close()


def environment(url: str) -> dict[str, str]:
    """Every variable that an SDK or its HTTP library obeys, pointed at the trap."""
    header = "x-from-environment: yes"
    return {
        **dict.fromkeys(("ANTHROPIC_BASE_URL", "OPENAI_BASE_URL", "OPENAI_API_BASE", "OLLAMA_HOST"), url),
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"), url),
        **dict.fromkeys(("ANTHROPIC_CUSTOM_HEADERS", "OPENAI_CUSTOM_HEADERS"), header),
        **dict.fromkeys(("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OLLAMA_API_KEY"), "sk-of-the-environment"),
        "OPENAI_ORG_ID": "org-of-the-environment",
        "OPENAI_PROJECT_ID": "project-of-the-environment",
        "ANTHROPIC_PROFILE": "profile-of-the-environment",
        "ANTHROPIC_LOG": "debug",
        "OPENAI_LOG": "debug",
        "NO_PROXY": "",
        "no_proxy": "",
    }  # fmt: skip


@plugins
def test_no_variable_of_the_environment_leads_a_request_elsewhere(
    plugin: str, trap: Trap, load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(trap.url).items():
        monkeypatch.setenv(name, value)
    with Served(plugin, PATHS[plugin]) as stage:
        load(plugin).send(stage.target(), request(), Leave(plugin))
        assert stage.calls() == 1
    assert trap.hits == []


@plugins
@pytest.mark.parametrize("key", [KEY, None], ids=["with a key", "without a key"])
def test_no_variable_of_the_environment_adds_to_a_request(
    plugin: str, key: str | None, load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = Trap(status=500)
    for name, value in environment("http://127.0.0.1:9").items():
        monkeypatch.setenv(name, value)
    target = Target("x", "m", listener.url, key)
    try:
        with pytest.raises(ProviderError):
            load(plugin).send(target, request(), Leave("x"))
    finally:
        listener.close()
    sent = json.dumps(listener.headers)
    assert listener.headers
    assert "environment" not in sent
    assert (KEY in sent) == (key is not None)


@plugins
def test_an_sdk_told_to_log_everything_logs_no_prompt(plugin: str) -> None:
    code = f"""
import sys; sys.path.insert(0, ".")
from hroute.providers import registry
from hroute.providers.testing import Leave, request
from tests.providers.stages import Served
with Served({plugin!r}, {PATHS[plugin]!r}) as stage:
    registry.load({plugin!r}).send(stage.target(), request(), Leave({plugin!r}))
"""
    env = {"PATH": os.environ["PATH"], "ANTHROPIC_LOG": "debug", "OPENAI_LOG": "debug"}
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=root, check=True)
    assert CANARY not in done.stdout + done.stderr
    assert KEY not in done.stdout + done.stderr


@plugins
def test_a_redirect_is_not_followed(plugin: str, trap: Trap, load: Callable[[str], Any]) -> None:
    for status in (301, 302, 307, 308):
        sender = Trap(status=status, to=f"{trap.url}/elsewhere")
        try:
            with pytest.raises(ProviderError) as caught:
                load(plugin).send(Target("x", "m", sender.url, KEY), request(), Leave("x"))
        finally:
            sender.close()
        assert caught.value.failure.outcome is Outcome.SERVER
        assert len([path for path in sender.hits if path != "/api/show"]) == 1
    assert trap.hits == []


@plugins
@pytest.mark.parametrize("claim", [True, "network"])
def test_a_provider_that_claims_to_be_local_is_dialled_only_where_it_is(
    plugin: str, claim: Any, load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def somewhere(host: str, *_: Any, **__: Any) -> Any:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 0)) for ip in ("127.0.0.1", "93.184.216.34")]

    def dialled(*_: Any, **__: Any) -> Any:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket, "getaddrinfo", somewhere)
    monkeypatch.setattr(socket, "create_connection", dialled)
    target = Target("x", "m", "http://gpu.example.com:11434", KEY, local=claim)
    with pytest.raises(ProviderError) as caught:
        load(plugin).send(target, request(), Leave("x"))
    assert caught.value.failure.outcome is Outcome.TRANSPORT
    assert "gpu.example.com" in asked

    async def main() -> None:
        made = registry.load(plugin)
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(type(loop), "create_connection", dialled)
        try:
            with pytest.raises(ProviderError) as refused:
                await made.asend(target, request(), Leave("x"))
        finally:
            await made.aclose()  # type: ignore[attr-defined]
        assert refused.value.failure.outcome is Outcome.TRANSPORT

    asked.clear()
    asyncio.run(main())
    assert "gpu.example.com" in asked


@plugins
def test_a_local_provider_on_loopback_is_reached(plugin: str, load: Callable[[str], Any]) -> None:
    with Served(plugin, PATHS[plugin]) as stage:
        target = replace(stage.target(), local=True)
        assert load(plugin).send(target, request(), Leave(plugin)).text
        by_name = replace(target, base_url=str(target.base_url).replace("127.0.0.1", "localhost"))
        assert load(plugin).send(by_name, request(), Leave(plugin)).text

        async def main() -> str:
            made = registry.load(plugin)
            reply = await made.asend(by_name, request(), Leave(plugin))
            await made.aclose()  # type: ignore[attr-defined]
            return reply.text

        assert asyncio.run(main())


@pytest.mark.parametrize(
    ("host", "claim", "near"),
    [("127.0.0.1", True, True), ("10.0.0.1", True, False), ("10.0.0.1", "network", True), ("8.8.8.8", "network", False), ("169.254.169.254", "network", False), ("0.0.0.0", True, False), ("::ffff:127.0.0.1", True, False)],
)  # fmt: skip
def test_an_address_is_admitted_as_it_was_claimed(host: str, claim: Any, near: bool) -> None:
    if near:
        assert addresses.admitted(host, claim) == (host,)
    else:
        with pytest.raises(PermissionError):
            addresses.admitted(host, claim)


def test_who_claims_nothing_is_dialled_by_name() -> None:
    assert addresses.admitted("api.example.com", False) == ("api.example.com",)


@plugins
def test_a_refused_connection_says_so(plugin: str, load: Callable[[str], Any]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        for local in (False, True):
            target = Target("x", "m", f"http://127.0.0.1:{port}", KEY, local=local)
            with pytest.raises(ProviderError) as caught:
                load(plugin).send(target, request(), Leave("x"))
            assert caught.value.failure.outcome is Outcome.TRANSPORT
            assert caught.value.failure.message == "connection refused"


def test_a_provider_without_an_address_is_not_sent_to_a_default() -> None:
    with pytest.raises(UsageError, match="no base_url"):
        transport.base_url(Target("x", "m"))


def test_a_unix_socket_is_spoken_to_by_its_path() -> None:
    target = Target("x", "m", "unix:/run/ollama.sock", local=True)
    assert transport.base_url(target) == "http://localhost"
    assert transport.client(target, "httpx")._transport._pool._uds == "/run/ollama.sock"


def test_the_sdks_loggers_are_quiet_even_where_a_program_logs_everything() -> None:
    logging.getLogger("anthropic").setLevel(logging.DEBUG)
    transport.quiet("anthropic")
    assert not logging.getLogger("anthropic").isEnabledFor(logging.INFO)


def test_a_timer_waits_for_the_first_token_then_for_the_next_and_never_past_the_total() -> None:
    now = [0.0]
    timer = Timer(Target("x", "m", connect=2, first_token=10, idle=3, total=20), stream=True, now=lambda: now[0])
    assert (timer.connect(), timer.read()) == (2, 10)
    now[0] = 4
    assert timer.read() == 6
    timer.said()
    assert timer.read() == 3
    now[0] = 19
    assert timer.read() == 1
    assert timer.connect() == 1
    now[0] = 21
    assert timer.read() < 0


def test_a_reply_in_one_piece_may_take_the_whole_time() -> None:
    timer = Timer(Target("x", "m", first_token=1, idle=1, total=20), stream=False, now=lambda: 0.0)
    assert timer.read() == 20


@pytest.mark.parametrize("family", ["httpx", "httpx2"])
def test_the_keys_of_connections_are_written_nowhere_and_strangers_certificates_not_believed(
    family: Any, tmp_path: Path
) -> None:
    code = f"""
from hroute.providers import transport
made = transport._trust({family!r})
assert made.keylog_filename is None
assert made.check_hostname and made.verify_mode == 2
print(made.cert_store_stats()["x509_ca"])
"""
    stranger = tmp_path / "ca.pem"
    stranger.write_text("no certificate")
    environment = {**os.environ, "SSLKEYLOGFILE": str(tmp_path / "keys"), "SSL_CERT_FILE": str(stranger)}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert int(ran.stdout) > 50


def test_an_environment_that_keeps_ollama_from_being_imported_is_named(tmp_path: Path) -> None:
    code = """
from hroute.errors import UsageError
from hroute.providers import registry
try:
    registry.load("ollama").warm()
except UsageError as error:
    assert "SSL_CERT_FILE" in error.message
else:
    raise AssertionError("it was imported")
"""
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "SSL_CERT_FILE": str(tmp_path / "no")}, check=True)
