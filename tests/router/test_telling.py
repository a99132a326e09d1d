"""A budget's alert on its way to somebody: signed over real HTTP, and never unsigned where the policy wants a signature."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from hroute.ledger.ledger import at
from hroute.router.bookkeeping import Telling, channels_of
from hroute.router.client import Client
from hroute.schema.policy import Budget, Threshold
from hroute.terms.message import Done
from hroute.terms.money import Price
from hroute.terms.usage import Usage
from tests.router.stage import KEYED, FakePlugin, policy, provider, rule, said

PRICED = Price(3_000_000_000, 15_000_000_000)
COST = 105_000
HALF = Budget("daily", 2 * COST, "day", at=(Threshold(0.5, "alert"),))


@dataclass
class Mailbox:
    """A webhook on this machine that notes what it gets."""

    address: str = ""
    posted: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            box.posted.append(({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    box.address = f"http://127.0.0.1:{server.server_port}/hook"
    Thread(target=server.serve_forever, daemon=True).start()
    yield box
    server.shutdown()
    server.server_close()


def spend(tmp_path: Path, alerts: dict[str, Any], environ: dict[str, str]) -> None:
    """One call that takes a budget over its threshold, in a process that then ends."""
    answer: Done = said(usage=Usage(input=10, output=5))
    plugin = FakePlugin(otherwise=answer)
    written = policy([provider("first", price=PRICED)], rule(["first"]), budgets=(HALF,), alerts=alerts)
    books = at(str(tmp_path / "l.db"), key_file=str(tmp_path / "k"))
    books.told = Telling(books, channels_of(written, environ))
    asking = Client.from_policy(
        policy=written, environ=KEYED, ledger=books, load=lambda _: plugin, facts=lambda _: plugin.capabilities
    )
    asking.complete("hi")
    books.close(10)


def test_a_webhook_gets_what_it_can_verify_with_the_key_that_the_policy_names(tmp_path: Path, mailbox: Mailbox) -> None:
    alerts = {"webhook": mailbox.address, "signing_key": "env:HOOK_KEY", "log": False}
    spend(tmp_path, alerts, {"HOOK_KEY": "a key of ours"})
    ((headers, body),) = mailbox.posted
    assert json.loads(body)["alerts"][0]["budget"] == "daily"
    stamp, _, mac = headers["x-hroute-signature"].partition(",")
    signed = stamp.removeprefix("t=").encode() + b"." + body
    assert mac == "v1=" + hmac.new(b"a key of ours", signed, "sha256").hexdigest()


def test_without_the_key_that_the_policy_names_nothing_goes_out_unsigned(
    tmp_path: Path, mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    spend(tmp_path, {"webhook": mailbox.address, "signing_key": "env:HOOK_KEY", "slack": mailbox.address}, {})
    ((headers, body),) = mailbox.posted
    assert list(json.loads(body)) == ["text"]
    assert "x-hroute-signature" not in headers
    assert "`alerts: signing_key` is not set: nobody is told by webhook" in caplog.text
