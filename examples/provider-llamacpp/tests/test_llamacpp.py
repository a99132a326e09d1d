"""The real engine on a tiny model: the conformance suite of hroute, and what an engine in the process does beyond it."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import tiny_model
from hroute_provider_llamacpp import LlamaCppPlugin
from hroute_provider_llamacpp.engine import Heard, LlamaCpp, Missing, Model

from hroute import Client
from hroute.providers import registry, testing
from hroute.providers.protocol import Plugin, ProviderError, Target
from hroute.router.check import check_text
from hroute.terms.message import Done, Event, Message, Reply, Request, StopReason, Text, TextDelta, Unread, prompt
from hroute.terms.outcome import Failure, Outcome

MISSING = [name for name in ("xllamacpp", "gguf", "numpy") if find_spec(name) is None]
HOW = "pip install -e 'examples/provider-llamacpp[test]'"
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)} missing: {HOW}")


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model.write(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.fixture(scope="session")
def wordy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model, but its template says so much that no prompt fits into the smallest window that there is."""
    return tiny_model.write(
        tmp_path_factory.mktemp("wordy") / "wordy.gguf", template="word " * 100 + tiny_model.TEMPLATE
    )


class Troubled:
    """The real engine, and in front of it what an engine may run into that cannot be had on demand."""

    def __init__(self, stage: OnStage, model: Model) -> None:
        self._stage = stage
        self._real = LlamaCpp(model)

    def chat(self, body: str, heard: Heard) -> None:
        fault, details = self._stage.fault
        self._stage.arrived += 1
        if fault == "down":
            raise ConnectionError
        if fault in STATUS:
            heard(json.dumps({"error": {"code": STATUS[fault], "type": fault, "message": body}}))
        elif fault == "slow":
            time.sleep(PAUSE)
        else:
            self._real.chat(body, self._cutting(heard, details) if fault in ("cut", "stall") else heard)

    def close(self) -> None:
        self._real.close()

    def _cutting(self, heard: Heard, details: dict[str, Any]) -> Heard:
        left = 10

        def some(piece: str) -> bool:
            nonlocal left
            left -= 1
            if left == 0 and "for" in details:
                time.sleep(PAUSE)
            return heard(piece) if left > 0 else True

        return some


PAUSE = 1.5
"""Seconds: more than any check waits, and no more than that, for a program does not end before its engine has."""

STATUS = {
    "bad_request": 400, "unauthorized": 401, "no_credit": 402, "forbidden": 403, "rate_limit": 429, "server_error": 500,
    "unavailable": 503, "overloaded": 529,
}  # fmt: skip


class OnStage:
    """A stage for the suite. Random weights say what they are told to, where a grammar leaves them no other word."""

    def __init__(self, file: Path, wordy: Path) -> None:
        self.plugin = LlamaCppPlugin(lambda model: Troubled(self, model))
        self.fault: tuple[str, dict[str, Any]] = ("", {})
        self.arrived = 0
        self._file = file
        self._wordy = wordy
        self._said = "Hello."

    def target(self) -> Target:
        file = {"model_gone": self._file.with_name("gone.gguf"), "too_long": self._wordy}.get(self.fault[0], self._file)
        grammar = {"grammar": f"root ::= {json.dumps(self._said)}"}
        options = {"file": str(file), "gpu_layers": 0, "threads": 1}
        return Target("here", "tiny", context_window=256, first_token=10.0, idle=10.0, total=20.0, params=grammar, options=options)  # fmt: skip

    def fails(self, fault: str, **details: Any) -> None:
        self.fault = (fault, details)

    def says(self, text: str = "", tools: Sequence[tuple[str, dict[str, Any]]] = ()) -> None:
        self._said = text

    def calls(self) -> int:
        return self.arrived


@pytest.fixture
def stage(file: Path, wordy: Path) -> Iterator[OnStage]:
    made = OnStage(file, wordy)
    yield made
    made.plugin.close()


@pytest.fixture
def plugin() -> Iterator[LlamaCppPlugin]:
    made = LlamaCppPlugin()
    yield made
    made.close()


@pytest.fixture
def target(file: Path) -> Target:
    options = {"file": str(file), "gpu_layers": 0, "threads": 1}
    return Target("here", "tiny", context_window=512, total=30.0, params={"temperature": 0}, options=options)


def send(plugin: Plugin, target: Target, asked: Request) -> Reply:
    return plugin.send(target, asked, testing.Leave(target.name))


def failure(plugin: Plugin, target: Target, asked: Request) -> Failure:
    with pytest.raises(ProviderError) as caught:
        send(plugin, target, asked)
    return caught.value.failure


NOTHING_TO_TELL = {"check_retry_after_is_read"}  # an engine in the process asks nobody to come back later


@pytest.mark.parametrize("check", [c for c in testing.CHECKS if c.__name__ not in NOTHING_TO_TELL], ids=testing.name_of)
def test_the_plugin_conforms(stage: OnStage, check: Callable[[Plugin, Any], None]) -> None:
    check(stage.plugin, stage)


def test_a_prompt_that_does_not_fit_is_a_capability_outcome(plugin: LlamaCppPlugin, target: Target) -> None:
    failed = failure(plugin, target, prompt("word " * 400))
    assert (failed.outcome, failed.status, failed.code) == (Outcome.CAPABILITY, 400, "exceed_context_size_error")


def test_tokens_are_counted_by_the_engine(plugin: LlamaCppPlugin, target: Target) -> None:
    first = send(plugin, target, prompt("Count these letters.", max_tokens=7))
    again = send(plugin, target, prompt("Count these letters.", max_tokens=7))
    rendered = "user: Count these letters.\nassistant:"
    assert first.usage.input == len(rendered) + 1  # a token a byte, and the one that begins a text
    assert first.usage.output == 7
    assert first.stop is StopReason.LENGTH
    assert again.usage.cache_read > 0
    assert again.usage.input + again.usage.cache_read == first.usage.input


def test_the_time_to_load_is_told_once_and_apart(plugin: LlamaCppPlugin, target: Target) -> None:
    assert send(plugin, target, prompt("Hi.", max_tokens=1)).load_ms > 0
    assert send(plugin, target, prompt("Hi.", max_tokens=1)).load_ms == 0


def test_an_answer_may_be_held_to_a_schema(plugin: LlamaCppPlugin, target: Target) -> None:
    schema = {"type": "object", "properties": {"open": {"enum": ["yes", "no"]}}, "required": ["open"], "additionalProperties": False}  # fmt: skip
    asked = prompt("Open?", max_tokens=300, response_format="json_schema", json_schema=schema, params={"temperature": 1.0, "seed": 1})  # fmt: skip
    reply = send(plugin, target, asked)
    assert json.loads(reply.text)["open"] in ("yes", "no")


def test_a_window_that_is_full_ends_the_answer_as_cut_by_length(plugin: LlamaCppPlugin, target: Target) -> None:
    reply = send(plugin, replace(target, context_window=256), prompt("Hi.", params={"grammar": "root ::= [a-z] root"}, max_tokens=5_000))  # fmt: skip
    assert reply.stop is StopReason.LENGTH
    assert reply.usage.output < 256


ENDLESS = prompt("Hi.", params={"grammar": "root ::= [a-z] root"}, max_tokens=100_000)


class Counting(LlamaCpp):
    """The real engine; `ended` once it has let go of an answer, `pieces` that it made of it."""

    pieces = 0
    ended = 0

    def chat(self, body: str, heard: Heard) -> None:
        def counted(piece: str) -> bool:
            self.pieces += 1
            time.sleep(0.005)  # a tiny model is too quick to be interrupted
            return heard(piece)

        super().chat(body, counted)
        self.ended += 1


@pytest.fixture
def engine(target: Target) -> Iterator[Counting]:
    made = Counting(Model(Path(target.options["file"]), 4096, 0, 1))
    yield made
    made.close()


def until_ended(engine: Counting, times: int) -> bool:
    limit = time.monotonic() + 10
    while engine.ended < times and time.monotonic() < limit:
        time.sleep(0.01)
    return engine.ended == times


def test_a_timeout_stops_the_engine_which_answers_the_next(engine: Counting, target: Target) -> None:
    plugin = LlamaCppPlugin(lambda _: engine)
    assert failure(plugin, replace(target, total=0.3), ENDLESS).outcome is Outcome.TIMEOUT
    assert until_ended(engine, 1)
    assert engine.pieces < 1_000
    assert send(plugin, target, prompt("Hi.", max_tokens=3)).usage.output == 3


def test_a_cancelled_call_stops_the_engine(engine: Counting, target: Target) -> None:
    plugin = LlamaCppPlugin(lambda _: engine)

    async def main() -> None:
        call = asyncio.create_task(plugin.asend(target, ENDLESS, testing.Leave("here")))
        while engine.pieces < 5:
            await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(main())
    assert until_ended(engine, 1)
    assert engine.pieces < 1_000


def test_a_stream_that_nobody_reads_on_stops_the_engine(engine: Counting, target: Target) -> None:
    events = LlamaCppPlugin(lambda _: engine).stream(target, ENDLESS, testing.Leave("here"))
    assert isinstance(next(iter(events)), TextDelta)
    events.close()  # type: ignore[attr-defined]
    assert until_ended(engine, 1)


def test_calls_from_many_tasks_share_one_model(plugin: LlamaCppPlugin, target: Target) -> None:
    async def main() -> list[list[Event]]:
        async def one() -> list[Event]:
            asked = prompt("Hi.", max_tokens=20, params={"grammar": "root ::= [a-z] root"})
            return [event async for event in plugin.astream(target, asked, testing.Leave("here"))]

        return await asyncio.gather(*(one() for _ in range(6)))

    for events in asyncio.run(main()):
        assert isinstance(events[-1], Done)
        assert events[-1].reply.usage.output == 20


def test_the_engine_listens_on_no_network(engine: Counting) -> None:
    assert engine._server.listening_address.startswith("unix://")
    folder = Path(engine._folder.name)
    assert folder.stat().st_mode & 0o077 == 0
    engine.close()
    assert not folder.exists()


CLOSES = """
import sys, threading
from pathlib import Path
from hroute_provider_llamacpp.engine import LlamaCpp, Model

model = Model(Path(sys.argv[1]), 4096, 0, 1)
body = '{"messages": [{"role": "user", "content": "Hi."}], "max_tokens": 1000, "stream": true, "grammar": "root ::= [a-z] root"}'
begun, over = threading.Event(), threading.Event()

def stalls(piece):
    begun.set()
    return over.wait(60)

busy = LlamaCpp(model)
writer = threading.Thread(target=busy.chat, args=(body, stalls))
writer.start()
begun.wait()
for _ in range(30):
    LlamaCpp(model).close()
busy.close()
over.set()
writer.join()
print("closed")
"""


def test_an_engine_closes_at_once_however_soon_and_whatever_is_being_written(file: Path) -> None:
    """In a process of its own: what hangs here hangs with every thread of Python."""
    package = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", CLOSES, str(file)], cwd=package, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "closed", done.stderr


def test_closing_waits_for_no_model_that_is_being_loaded(target: Target) -> None:
    """Whoever loads it closes it, and its call fails."""
    loading, go_on = threading.Event(), threading.Event()

    class Slow:
        closed = False

        def chat(self, body: str, heard: Heard) -> None:
            raise ConnectionError if self.closed else AssertionError

        def close(self) -> None:
            self.closed = True

    engine = Slow()

    def load(model: Model) -> Slow:
        loading.set()
        go_on.wait(30)
        return engine

    plugin = LlamaCppPlugin(load)
    failures: list[Failure] = []
    call = threading.Thread(target=lambda: failures.append(failure(plugin, target, prompt("Hi."))))
    call.start()
    assert loading.wait(30)
    plugin.close()
    go_on.set()
    call.join(30)
    assert engine.closed
    assert [failed.outcome for failed in failures] == [Outcome.TRANSPORT]


def test_a_model_that_is_not_there_is_named(plugin: LlamaCppPlugin, target: Target) -> None:
    failed = failure(plugin, replace(target, options={"file": "~/nowhere/gone.gguf"}), prompt("Hi."))
    assert failed.outcome is Outcome.CREDENTIAL
    assert failed.message == "there is no model file `gone.gguf`"


def test_a_file_that_is_no_model_is_told(plugin: LlamaCppPlugin, target: Target, tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_text("no model")
    failed = failure(plugin, replace(target, options={"file": str(tmp_path / "bad.gguf")}), prompt("Hi."))
    assert failed.message == "llama.cpp cannot open `bad.gguf`"


def test_a_missing_package_is_told(target: Target) -> None:
    def without(model: Model) -> LlamaCpp:
        raise Missing("the Python package `xllamacpp` is not installed")

    assert "xllamacpp" in failure(LlamaCppPlugin(without), target, prompt("Hi.")).message


def test_what_it_cannot_read_is_refused_before_the_model_is_loaded(target: Target) -> None:
    def never(model: Model) -> LlamaCpp:
        raise AssertionError

    seen = Request((Message("user", (Text("See."), Unread("image", "image/png", "aGk="))),))
    assert failure(LlamaCppPlugin(never), target, seen).outcome is Outcome.CAPABILITY


# -- as a package: found by its entry point, checked, routed to -----------------------------------------------------------


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package as an installer leaves it: its metadata, with the entry points of its pyproject.toml."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    info = tmp_path / f"hroute_provider_llamacpp-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    entries = project["entry-points"][registry.GROUP]
    (info / "entry_points.txt").write_text(
        f"[{registry.GROUP}]\n" + "".join(f"{k} = {v}\n" for k, v in entries.items())
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    registry._announced.cache_clear()
    yield
    registry._announced.cache_clear()


POLICY = """
providers:
  here: {{plugin: llamacpp, model: tiny, local: true, options: {{file: {file}, gpu_layers: 0}}}}
routing_rules:
  - {{name: private, condition: {{contains_pii: true}}, route_to: here, fallback: null}}
guarantees:
  - {{name: stays, when: {{contains_pii: true}}, only: {{local: true}}}}
"""


@pytest.mark.usefixtures("installed")
def test_check_knows_the_plugin_and_proves_what_rests_on_it(file: Path) -> None:
    checked = check_text(POLICY.format(file=file))
    assert checked.findings == ()
    assert [proof.proven for proof in checked.proven] == [True]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("options", "code"),
    [("{file: x.gguf, layers: 3}", "HR011"), ("{gpu_layers: 3}", "HR013"), ("{file: x, threads: 0}", "HR012")],
)
def test_check_reads_the_options_by_the_plugins_own_schema(options: str, code: str) -> None:
    written = re.sub(r"options: {.*?}}", f"options: {options}}}", POLICY.format(file="x"))
    assert [finding.code for finding in check_text(written).errors] == [code]


@pytest.mark.usefixtures("installed")
def test_private_data_is_answered_in_the_process(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HROUTE_CACHE", "")
    (tmp_path / "policy.yaml").write_text(POLICY.format(file=file))
    with Client.from_policy(str(tmp_path / "policy.yaml")) as client:
        answer = client.complete("My card is 4111 1111 1111 1111.", max_tokens=5)
    assert (answer.actual_provider, answer.actual_model, answer.cost_usd) == ("here", "tiny", 0)
    assert answer.usage.output == 5
