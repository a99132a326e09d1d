"""Presidio adds what needs a language model, opens no connection, and taints where it fails or is late.

The pipeline of these tests knows two names by heart: what is tested is the way to a model and back, not a model.
"""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from hroute.cli.render.policy import scope
from hroute.router.signals import presidio
from hroute.router.signals.extract import BlockCache, Extraction
from hroute.router.signals.presidio import Hurried, OutOfTime, Presidio
from hroute.router.signals.scanner import Place
from hroute.schema.policy import Policy, PresidioSettings
from hroute.terms.message import Message, Request, Text, Tool, prompt
from tests.router.signals.conftest import policy_of

SETTINGS = PresidioSettings(model="nowhere")


def asking(more: str) -> Policy:
    return policy_of(f"version: 1\nrouting_rules: []\nsignals: {{pii: {{presidio: {more}}}}}\n")


class Known(Presidio):
    """Finds the name Jane; may raise, or wait for `open`."""

    def __init__(self, fault: Exception | None = None, gate: threading.Event | None = None) -> None:
        super().__init__(SETTINGS)
        self.fault, self.gate, self.read = fault, gate, 0

    def load(self) -> Any:
        return None

    def scan(self, text: str) -> tuple[Place, ...]:
        self.read += 1
        if self.fault:
            raise self.fault
        if self.gate:
            self.gate.wait(10)
        at = text.find("Jane")
        return (Place("person", at, at + 4),) if at >= 0 else ()


def with_scanner(monkeypatch: pytest.MonkeyPatch, scanner: Presidio) -> None:
    monkeypatch.setattr(presidio, "scanner_for", lambda *_: scanner)


def test_what_it_finds_stands_beside_what_patterns_find(monkeypatch: pytest.MonkeyPatch) -> None:
    with_scanner(monkeypatch, Known())
    extraction = Extraction(asking("true"), prompt("Jane's SSN is 078-05-1120"), {})
    assert extraction.ask("pii") == {"person", "us_ssn"}
    assert extraction.ask("contains_pii") is True
    assert ("person", 0, 4) in [(f.kind, f.start, f.end) for f in extraction.findings]


def test_kinds_that_the_policy_does_not_look_for_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with_scanner(monkeypatch, Known())
    policy = policy_of("version: 1\nrouting_rules: []\nsignals: {pii: {kinds: [email], presidio: true}}\n")
    assert Extraction(policy, prompt("Jane"), {}).ask("pii") == frozenset()


def test_a_policy_that_does_not_ask_for_it_never_meets_it(monkeypatch: pytest.MonkeyPatch, policy: Policy) -> None:
    monkeypatch.setattr(presidio, "scanner_for", lambda *_: pytest.fail("asked"))
    assert Extraction(policy, prompt("Jane"), {}).ask("pii") == frozenset()


def test_a_model_that_raises_taints_and_its_words_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    with_scanner(monkeypatch, Known(ValueError("Jane")))
    extraction = Extraction(asking("true"), prompt("Jane"), {})
    assert extraction.ask("pii") == {"unspecified"}
    assert extraction.ask("contains_pii") is True
    assert "Jane" not in repr(extraction.findings)


def test_a_model_that_runs_out_of_time_taints(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    with_scanner(monkeypatch, Known(gate=gate))
    try:
        assert Extraction(asking("{timeout: 10ms}"), prompt("hello"), {}).ask("pii") == {"unspecified"}
    finally:
        gate.set()


def test_the_time_is_that_of_the_request_and_not_of_each_part() -> None:
    now = [0.0]
    scanner = Known()
    hurried = Hurried(scanner, 2.0, clock=lambda: now[0])
    assert hurried.scan("Jane") == (Place("person", 0, 4),)
    now[0] = 1.9
    hurried.scan("next")
    now[0] = 2.1
    with pytest.raises(OutOfTime):
        hurried.scan("last")
    assert scanner.read == 2


def test_scans_that_hang_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presidio, "_RUNNING", threading.BoundedSemaphore(2))
    gate = threading.Event()
    scanner = Known(gate=gate)
    try:
        for _ in range(5):
            with pytest.raises(OutOfTime):
                Hurried(scanner, 0.02).scan("hello")
        assert scanner.read == 2
    finally:
        gate.set()


def test_a_conversation_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scanner, cache = Known(), BlockCache()
    with_scanner(monkeypatch, scanner)
    long = "Jane writes. " * 40
    for _ in range(3):
        assert Extraction(asking("true"), prompt(long), {}, cache=cache).ask("pii") == {"person"}
    assert scanner.read == 1


def test_a_long_text_is_read_in_pieces_and_no_place_moves() -> None:
    text = "word " * 30_000
    pieces = list(presidio._pieces(text))
    assert len(pieces) > 2
    assert "".join(piece for _, piece in pieces) == text
    assert all(text[at : at + len(piece)] == piece for at, piece in pieces)
    assert "".join(p for _, p in presidio._pieces("x" * 120_000)) == "x" * 120_000


def test_what_is_not_installed_taints_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = PresidioSettings(model="no_such_pipeline_here")
    assert presidio.missing(settings) in ("presidio-analyzer", "no_such_pipeline_here")
    monkeypatch.setattr(presidio, "find_spec", lambda name: None)
    assert presidio.missing(settings) == "presidio-analyzer"
    assert Extraction(asking("{model: no_such_pipeline_here}"), prompt("hi"), {}).ask("pii") == {"unspecified"}


def test_scope_says_what_is_found_by_a_model_and_without_one_that_nothing_finds_names(policy: Policy) -> None:
    assert "never found   person, location" in scope(policy, ())
    assert "PERSON, LOCATION, as far as Presidio with en_core_web_sm knows them" in scope(asking("true"), ())


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every attempt to open a connection or to look up a name."""
    seen: list[str] = []

    def refuse(*given: Any, **_: Any) -> Any:
        seen.append(repr(given[-1]))
        raise OSError("no network in this test")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    return seen


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """A spaCy pipeline on disk that knows a person and a town."""
    pytest.importorskip("presidio_analyzer", reason="the extra `presidio` is not installed")
    spacy = pytest.importorskip("spacy")
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "PERSON", "pattern": "Jane Doe"}, {"label": "GPE", "pattern": "Leipzig"}])
    nlp.to_disk(tmp_path / "pipeline")
    return tmp_path / "pipeline"


def test_the_real_one_finds_names_and_places_without_a_connection(pipeline: Path, attempts: list[str]) -> None:
    text = "I met Jane Doe near the station in Leipzig, write to jane.doe@example.org or www.example.org"
    extraction = Extraction(asking(f"{{model: {pipeline}}}"), prompt(text), {})
    assert extraction.ask("pii") == {"person", "location", "email"}
    assert {text[f.start : f.end] for f in extraction.findings} == {"Jane Doe", "Leipzig", "jane.doe@example.org"}
    assert attempts == []


def test_the_real_one_is_never_asked_for_addresses_for_which_it_fetches_a_list(
    pipeline: Path, attempts: list[str]
) -> None:
    policy = asking(f"{{model: {pipeline}, entities: [EMAIL_ADDRESS, PERSON, US_SSN, UK_NHS, URL], score: 0.3}}")
    text = "jane@example.org, Jane Doe, NHS 943 476 5919, https://example.org/x?mail=a@b.example.com"
    kinds = Extraction(policy, prompt(text), {}).ask("pii")
    assert isinstance(kinds, frozenset)
    assert {"person", "email", "medical_record"} <= kinds
    assert attempts == []


def test_the_real_one_reads_every_part_and_calls_allowed_names_nothing(pipeline: Path, attempts: list[str]) -> None:
    policy = policy_of(
        f"version: 1\nrouting_rules: []\nsignals: {{pii: {{allow: [leipzig], presidio: {{model: {pipeline}}}}}}}\n"
    )
    request = Request((Message("user", (Text("hi"),)),), system="You serve Jane Doe in Leipzig.", tools=(Tool("t", "d", {}),))  # fmt: skip
    extraction = Extraction(policy, request, {})
    assert extraction.ask("pii") == {"person"}
    assert extraction.ask("pii_in") == {"system"}
    assert attempts == []


def test_the_real_one_never_fetches_a_pipeline_that_is_missing(pipeline: Path, attempts: list[str]) -> None:
    assert presidio.missing(PresidioSettings(model="en_core_web_none")) == "en_core_web_none"
    assert Extraction(asking("{model: en_core_web_none}"), prompt("hi"), {}).ask("pii") == {"unspecified"}
    assert attempts == []
