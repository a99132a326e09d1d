"""Keys of the gateway's own clients: kept as hashes only, each with whose cost it is and what it may do.

A key is 32 random bytes, so one keyed hash is enough: there is nothing to guess, and a lookup costs microseconds. The
pepper lies in a file of its own; without it the hashes say nothing.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from hroute.errors import UsageError
from hroute.router.plan import Leaving, Skipped, Why
from hroute.schema.policy import Budget, Policy, Provider, Threshold
from hroute.terms.signal import SIGNALS, Value, coerce

PREFIX: Final = "hrk_"
"""Every key begins so: it is told apart from a vendor's credential at a glance, and by scanners for leaked keys."""
HEADER: Final = "x-hroute-key"
VARIABLE: Final = "HROUTE_CLIENTS"
_BYTES: Final = 32
_ID: Final = 8  # characters of a key that name it


@dataclass(frozen=True, slots=True)
class Client:
    """One client. `hash` is that of its key, `id` the part of the key by which it is found. `signals` stand where a request
    says nothing, `fixed` are names that a request may not say; `routes` are rules and providers that may serve it (empty:
    all); `monthly` is in nano-dollars."""

    name: str
    id: str
    hash: str
    created: int = 0
    signals: Mapping[str, str] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    monthly: int | None = None
    per_minute: int | None = None
    admin: bool = False


class Clients:
    """The clients in a file, read again when it changes. Safe between threads."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._read: tuple[float, int] | None = None
        self._by_id: dict[str, Client] = {}
        self._pepper = b""

    def all(self) -> tuple[Client, ...]:
        """By name. Raises UsageError where the file cannot be used."""
        self._refresh()
        return tuple(sorted(self._by_id.values(), key=lambda client: client.name))

    def find(self, key: str) -> Client | None:
        """Whose key it is; None where it is nobody's."""
        self._refresh()
        client = self._by_id.get(key.removeprefix(PREFIX)[:_ID]) if key.startswith(PREFIX) else None
        known = client.hash if client else "0" * 64
        fits = hmac.compare_digest(_hash(self._pepper, key), known)
        return client if client and fits else None

    def add(self, client: Client) -> str:
        """Keep `client`, and give its key, which nobody can be told again. Raises UsageError where the name is taken."""
        with self._changing() as found:
            if client.name in found:
                raise UsageError(f"there is a client `{client.name}`", help="revoke it first, or choose another name")
            key = PREFIX + secrets.token_hex(_ID // 2) + secrets.token_urlsafe(_BYTES)
            id = key.removeprefix(PREFIX)[:_ID]
            found[client.name] = replace(client, id=id, hash=_hash(self._pepper, key), created=int(time.time()))
        return key

    def revoke(self, name: str) -> bool:
        """Forget a client; its key opens nothing from now on. False where there was none."""
        with self._changing() as found:
            return found.pop(name, None) is not None

    def _refresh(self) -> None:
        stamp = _stamp(self.path)
        if stamp == self._read:
            return
        with self._lock:
            self._by_id = {client.id: client for client in _load(self.path).values()}
            self._pepper = _pepper(self.path) if stamp else b""
            self._read = stamp

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Client]]:
        os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
        with _locked(self.path + ".lock"):
            self._pepper = _pepper(self.path)
            found = _load(self.path)
            yield found
            _save(self.path, found)
        self._read = None


def path_of(environ: Mapping[str, str]) -> str:
    """The file: `$HROUTE_CLIENTS`, else `hroute/clients.json` in the XDG data directory."""
    if environ.get(VARIABLE):
        return environ[VARIABLE]
    base = environ.get("XDG_DATA_HOME") or os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".local/share")
    return os.path.join(base, "hroute", "clients.json")


def without_key(headers: dict[str, str]) -> tuple[dict[str, str], str | None]:
    """The headers without a key of ours, wherever it stood, and the key."""
    bearer = headers.get("authorization", "")
    places = {HEADER: headers.get(HEADER), "x-api-key": headers.get("x-api-key"), "authorization": _token(bearer)}  # fmt: skip
    ours = {name: value for name, value in places.items() if value and (name == HEADER or value.startswith(PREFIX))}
    if not ours:
        return headers, None
    return {name: value for name, value in headers.items() if name not in ours}, next(iter(ours.values()))


def _token(authorization: str) -> str:
    """What a bearer bears; the scheme is written in any case (RFC 9110, 11.1)."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else authorization


def given_by(client: Client, given: Mapping[str, Value]) -> dict[str, Value]:
    """The signals of a request of `client`: what it may not say itself is as its key says, or not said at all.

    A taint is raised by whoever says so, and lowered by nobody.
    """
    own = {name: coerce(name, value) for name, value in client.signals.items()}
    allowed = {name: v for name, v in given.items() if name not in client.fixed or SIGNALS[name].taint}
    return {**own, **allowed, "client": client.name}


def with_budgets(policy: Policy, clients: tuple[Client, ...]) -> Policy:
    """`policy` with what each client may spend in a month as a budget of its own."""
    added = tuple(
        Budget(f"client {c.name}", c.monthly, "month", where={"client": (c.name,)}, at=(Threshold(1.0, "refuse"),))
        for c in clients
        if c.monthly is not None
    )
    return replace(policy, budgets=(*policy.budgets, *added)) if added else policy


@dataclass(frozen=True, slots=True)
class Allowed:
    """The gate of a client that only some routes are open to: `providers` are those that they lead to."""

    client: str
    providers: frozenset[str]

    def refuses(self, provider: Provider) -> Skipped | None:
        if provider.name in self.providers:
            return None
        return Skipped(provider.name, Why.CLIENT, f"the key of client {self.client} does not open it")

    def postpones(self, provider: Provider) -> bool:
        return False

    def enter(self, provider: Provider) -> Skipped | Leaving | None:
        return self.refuses(provider)


def allowed(client: Client, policy: Policy) -> Allowed | None:
    """The gate of `client` under `policy`; None where all is open to it."""
    if not client.routes:
        return None
    rules = {r.name: r.route.chain for r in policy.all_rules if r.route is not None}
    names: set[str] = set()
    for name in client.routes:
        names |= {*rules.get(name, ()), *policy.tiers.get(name, ()), *((name,) if name in policy.providers else ())}
    return Allowed(client.name, frozenset(names))


class Rates:
    """How many requests each client has made: a bucket that holds a minute's worth and fills steadily."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._left: dict[str, tuple[float, float]] = {}

    def wait(self, client: Client) -> float:
        """Seconds that `client` has to wait; 0 lets this request pass and counts it."""
        if client.per_minute is None:
            return 0.0
        now, most = self._now(), float(client.per_minute)
        left, at = self._left.get(client.id, (most, now))
        left = min(most, left + (now - at) * most / 60)
        if left < 1:
            self._left[client.id] = (left, now)
            return (1 - left) * 60 / most
        self._left[client.id] = (left - 1, now)
        return 0.0


def _hash(pepper: bytes, key: str) -> str:
    return hmac.new(pepper, key.encode("utf-8", "surrogatepass"), "sha256").hexdigest()


def _stamp(path: str) -> tuple[float, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns / 1e9, found.st_ino


def _load(path: str) -> dict[str, Client]:
    try:
        with open(path, encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise UsageError(f"others can read {path}", help=f"chmod 600 {path}")
            data = json.load(file)
        return {row["name"]: _client(row) for row in data["clients"]}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is not what `hroute keys client` writes: {type(error).__name__}") from None


def _client(row: Mapping[str, Any]) -> Client:
    return Client(**{**row, "fixed": tuple(row.get("fixed", ())), "routes": tuple(row.get("routes", ()))})


def _save(path: str, clients: Mapping[str, Client]) -> None:
    """Whole or not at all, readable by its owner alone."""
    part = f"{path}.{os.getpid()}.part"
    descriptor = os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"clients": [asdict(client) for client in clients.values()]}, file, indent=1)
    os.replace(part, path)


def _pepper(path: str) -> bytes:
    name = path + ".pepper"
    with suppress(FileExistsError):
        descriptor = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_BYTES))
    with open(name, "rb") as file:
        return file.read(_BYTES)


@contextmanager
def _locked(path: str) -> Iterator[None]:
    """One process at a time changes the file."""
    import fcntl

    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
