"""A policy's books: its budgets as a gate before each call, and each request's row afterwards, in one ledger."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from hroute.errors import LedgerError
from hroute.ledger import alerts, place
from hroute.ledger import ledger as ledgers
from hroute.ledger.alerts import Channels, Quiet
from hroute.ledger.ledger import Ledger, Settings
from hroute.ledger.records import Entry
from hroute.router import recording
from hroute.router.recording import Ended
from hroute.router.spending import Spending
from hroute.schema.condition import Range, tests
from hroute.schema.quantities import duration
from hroute.terms import secret
from hroute.terms.signal import MICRO

if TYPE_CHECKING:
    from hroute.errors import RequestError
    from hroute.router.answer import Answer
    from hroute.router.attempts import End, Log, Result, Step
    from hroute.router.plan import Asking, Gate, Plan
    from hroute.router.shadow import Shadowed
    from hroute.router.signals.extract import Extraction
    from hroute.schema.policy import Policy
    from hroute.terms.clock import Clock

complaints: Final = logging.getLogger("hroute.ledger")


class Books:
    """What an engine writes into `ledger` under `policy`; `rehearsal`: nothing is really sent, and no budget really spent.
    Safe between threads."""

    def __init__(self, policy: Policy, ledger: Ledger, *, rehearsal: bool = False) -> None:
        self.policy = policy
        self.ledger = ledger
        self.mode = "sandbox" if rehearsal else policy.mode
        ledger.thresholds = thresholds_of(policy)

    def under(self, policy: Policy) -> Books:
        """The same ledger for another policy, as after a reload."""
        return Books(policy, self.ledger, rehearsal=self.mode == "sandbox")

    def open(
        self, asking: Asking, extraction: Extraction, log: Log, clock: Clock, begun: float, streamed: bool
    ) -> Account:
        """The account of a request that arrived at `begun` (of `clock`) and was decided. `log` will hold its attempts."""
        return Account(self, asking, extraction, log, clock, begun, streamed)

    def spending(self, asking: Asking) -> Spending:
        """The budgets of a policy for one request; false where none concerns it."""
        return Spending(self.policy, self.ledger, asking, self.ledger.settings.reserve, mode=self.mode)

    def write(self, ended: Ended) -> None:
        """Hand a request that has ended to the ledger; the row is made on the ledger's own thread."""
        self.ledger.append(lambda: self._entries(ended))

    def write_aside(self, ended: Ended, shadowed: Shadowed) -> None:
        """Hand over what came of the shadow of a request whose own row was handed over before."""
        self.ledger.append(
            lambda: [recording.aside(self.policy, ended, shadowed, self.spending(ended.asking).estimate)]
        )

    def rate(self, request: str, verdict: str, note: str = "") -> None:
        """Keep what somebody thinks of the answer to a request. Raises UsageError (`hroute.router.verdicts`)."""
        from hroute.router import verdicts

        self.ledger.append(verdicts.verdict(request, verdict, note))

    def close(self) -> None:
        """Wait until everything is written; what could not be is said by the ledger."""
        self.ledger.close()

    def _entries(self, ended: Ended) -> list[Entry]:
        estimate = self.spending(ended.asking).estimate
        return recording.entries(self.policy, ended, self._key(), estimate, self.ledger.settings.signals)

    def _key(self) -> bytes | None:
        try:
            return self.ledger.key()
        except OSError as error:
            complaints.error("the key of the ledger cannot be used, so nothing is hashed: %s", error.strerror or error)
            return None


class Account:
    """The books of one request: its budgets as `gates`, and its row once it has ended, which is written once."""

    def __init__(
        self,
        books: Books,
        asking: Asking,
        extraction: Extraction,
        log: Log,
        clock: Clock,
        begun: float,
        streamed: bool,
    ) -> None:
        self._books = books
        self._clock = clock
        self._begun = begun
        self._log = log
        self._ended = Ended(asking, extraction, 0.0, streamed=streamed, mode=books.mode)
        self._plan: Plan | None = None
        self._written = False
        spending = books.spending(asking) if books.policy.budgets and books.policy.mode == "enforce" else None
        self.gates: tuple[Gate, ...] = (spending,) if spending else ()

    def watched(self, steps: Generator[Step, Result, End], plan: Plan) -> Generator[Step, Result, End]:
        """`steps` of the ladder over `plan`; where they are left in the middle, that is how the request ended."""
        self._plan = plan
        try:
            return (yield from steps)
        except BaseException as error:
            self._write(cause=recording.CRASHED if isinstance(error, Exception) else recording.CANCELLED)
            raise

    def answered(self, answer: Answer) -> None:
        self._write(answer=answer)

    def failed(self, error: RequestError, *, broke: bool = False) -> None:
        """The request has no answer; `broke`: it had begun to have one."""
        self._write(error=error, broke=broke)

    def shadowed(self, shadowed: Shadowed) -> None:
        """Its shadow has ended, after the request itself."""
        self._books.write_aside(self._ended, shadowed)

    def _write(self, **how: Any) -> None:
        if self._written:
            return
        self._written = True
        plan = self._plan
        ended = replace(
            self._ended,
            latency_ms=(self._clock.now() - self._begun) * 1000,
            route=plan.route if plan else (),
            skipped=(*(plan.skipped if plan else ()), *self._log.skipped),
            attempts=tuple(self._log.attempts),
            **how,
        )
        self._books.write(ended)


def books_of(
    policy: Policy,
    environ: Mapping[str, str],
    ledger: Ledger | str | bool | None = None,
    *,
    rehearsal: bool = False,
) -> Books | None:
    """The books of `policy`: in `ledger` (a Ledger, a path or a URL), else where environment and policy say.

    None where no ledger is kept: `ledger` is False, `HROUTE_LEDGER` is empty, or there is no home to keep one in.
    Raises UsageError where the policy names a place that is not set.
    """
    if ledger is False:
        return None
    if isinstance(ledger, Ledger):
        return Books(policy, ledger, rehearsal=rehearsal)
    found = open_ledger(policy, environ, ledger if isinstance(ledger, str) else None)
    return None if found is None else Books(policy, found, rehearsal=rehearsal)


def open_ledger(policy: Policy, environ: Mapping[str, str], where: str | None = None) -> Ledger | None:
    """The ledger of `policy`, not opened before it is used; None where none is kept."""
    if where is None:
        where = place.find(policy.ledger, environ, beside=os.path.dirname(policy.path))
    if where is None:
        return None
    found = ledgers.at(where, settings_of(policy), key_file=place.key_file(where, environ))
    found.told = Telling(found, channels_of(policy, environ))
    return found


def thresholds_of(policy: Policy) -> tuple[float, ...]:
    """The scores at which some rule of the policy decides otherwise: its tests of `score`, and the cuts of `complexity`
    where a rule tests that."""
    tested = [test for rule in policy.rules for test in tests(rule.condition)]
    ends = [
        end
        for test in tested
        if test.signal == "score" and isinstance(test.want, Range)
        for end in (test.want.low, test.want.high)
    ]
    cuts = (policy.scoring.low, policy.scoring.high) if any(test.signal == "complexity" for test in tested) else ()
    return tuple(sorted({*cuts, *(round(end / MICRO, 4) for end in ends if end not in (None, 0, MICRO))}))


class Telling:
    """Sends alerts on a thread of its own, once something was settled: a webhook may be slow, the ledger must not be.
    Who is about to leave waits for it."""

    def __init__(self, ledger: Ledger, channels: Channels) -> None:
        self._ledger = ledger
        self._channels = channels
        self._busy = threading.Lock()

    def __call__(self, leaving: bool) -> None:
        if leaving:
            if self._busy.acquire(timeout=alerts.TIMEOUT):
                self._send()
        elif self._busy.acquire(blocking=False):
            threading.Thread(target=self._send, name="hroute-alerts", daemon=True).start()

    def _send(self) -> None:
        try:
            alerts.send(self._ledger.store(), self._channels, _post, self._ledger.owner)
        except LedgerError as error:
            complaints.error("alerts could not be read: %s", error.message)
        except Exception as error:  # an alert that cannot be sent must stop nothing
            complaints.error("alerts could not be sent: %s", type(error).__name__)
        finally:
            self._busy.release()


def _post(url: str, body: bytes, headers: Mapping[str, str], timeout: float) -> int:
    from hroute.providers.post import post

    return post(url, body, headers, timeout)


def channels_of(policy: Policy, environ: Mapping[str, str]) -> Channels:
    """Who is told, as `alerts:` of the policy says. A reference that is not set is said and left out; a webhook whose
    key is missing gets nothing, since who checks signatures must never learn to do without."""
    said = policy.alerts
    quiet, key = said.get("quiet_hours"), _named(said, "signing_key", environ)
    unsigned = "signing_key" in said and key is None
    return Channels(
        log=said.get("log", True) is not False,
        webhook=None if unsigned else _named(said, "webhook", environ),
        slack=_named(said, "slack", environ),
        secret=None if key is None else key.encode(),
        command=(command,) if isinstance(command := said.get("command", ()), str) else tuple(command),
        quiet=Quiet(quiet["from"], quiet["to"], quiet.get("timezone") or "UTC") if isinstance(quiet, Mapping) else None,
    )


def _named(said: Mapping[str, Any], name: str, environ: Mapping[str, str]) -> str | None:
    written = said.get(name)
    if not isinstance(written, str):
        return None
    found = secret.resolve(written, environ)
    if found is None:
        complaints.error(
            "`alerts: %s` is not set: nobody is told by %s", name, "webhook" if name == "signing_key" else "it"
        )
    return found


def settings_of(policy: Policy) -> Settings:
    """What `ledger:` of the policy says besides the place."""
    said = policy.ledger
    keep = said.get("keep")
    default = Settings()
    return Settings(
        zone=str(said.get("timezone") or default.zone),
        keep=None if keep is None else duration(keep),
        reserve="ceiling" if said.get("reserve") == "ceiling" else "quantile",
        signals=said.get("signals") or default.signals,
        durable=said.get("sync") == "full",
    )
