"""The queue keeps a request until somebody has its one result, whoever dies on the way."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hroute.errors import LedgerError, UsageError
from hroute.ledger.queue import Claim, Queue, place
from hroute.terms.ids import uuid7

ROOT = Path(__file__).parents[2]
NOW = 1_800_000_000_000
LEASE = 600_000
BODY = {"prompt": "a secret of the café ☕"}


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    made = Queue(tmp_path / "queue")
    yield made
    made.close()


def kept(queue: Queue, number: int = 1, **more: int) -> str:
    id = uuid7(NOW + number)
    queue.keep(id, {**BODY, "n": number}, now=NOW, rule="private", **more)
    return id


def taken(queue: Queue, now: int = NOW, lease: int = LEASE) -> Claim:
    claim = queue.claim(now=now, lease=lease)
    assert claim is not None
    return claim


def worker_that_dies(queue: Queue, *lines: str) -> None:
    """Another process that opens the queue, does what `lines` say, and is killed."""
    code = [
        "import os, signal, time", "from hroute.ledger.queue import Queue", f"queue = Queue({str(queue.folder)!r})",
        f"claim = queue.claim(now={NOW}, lease={LEASE})", *lines, "os.kill(os.getpid(), signal.SIGKILL)",
    ]  # fmt: skip
    done = subprocess.run([sys.executable, "-c", "\n".join(code)], cwd=ROOT, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL


def test_nothing_is_created_before_the_first_item(queue: Queue) -> None:
    assert queue.items() == []
    assert queue.claim(now=NOW, lease=LEASE) is None
    queue.sweep(now=NOW)
    assert not queue.folder.exists()


def test_bodies_and_the_table_are_for_their_owner_only(queue: Queue) -> None:
    old = os.umask(0)
    try:
        id = kept(queue)
        queue.finish(taken(queue), {"text": "hello"}, now=NOW)
    finally:
        os.umask(old)
    assert id
    for path in [queue.folder, *queue.folder.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_no_text_stands_in_the_table(queue: Queue) -> None:
    kept(queue)
    queue.finish(taken(queue), {"text": "the answer"}, now=NOW)
    queue.close()
    raw = (queue.folder / "queue.db").read_bytes()
    assert b"secret" not in raw
    assert b"the answer" not in raw


def test_an_item_goes_from_waiting_to_its_one_result(queue: Queue) -> None:
    id = kept(queue)
    assert queue.body(id) == {**BODY, "n": 1}
    claim = taken(queue)
    assert [(i.id, i.state) for i in queue.items()] == [(id, "running")]
    assert queue.finish(claim, {"text": "hello"}, now=NOW + 5)
    (item,) = queue.items()
    assert (item.state, item.attempts, item.updated) == ("done", 1, NOW + 5)
    assert queue.result(id) == {"text": "hello"}
    assert queue.body(id) is None
    assert not queue.finish(claim, {"text": "again"}, now=NOW)
    assert queue.result(id) == {"text": "hello"}


def test_what_is_due_is_taken_once_and_the_longest_due_first(queue: Queue) -> None:
    late, early, later = (
        kept(queue, 1, next_try=NOW + 10),
        kept(queue, 2, next_try=NOW),
        kept(queue, 3, next_try=NOW + 99),
    )
    assert taken(queue, NOW + 50).item.id == early
    assert taken(queue, NOW + 50).item.id == late
    assert queue.claim(now=NOW + 50, lease=LEASE) is None
    assert taken(queue, NOW + 99).item.id == later


def test_named_items_are_taken_before_their_time(queue: Queue) -> None:
    id = kept(queue, next_try=NOW + LEASE)
    other = kept(queue, 2)
    claim = queue.claim(now=NOW, lease=LEASE, among=(id,))
    assert claim is not None
    assert claim.item.id == id
    assert queue.claim(now=NOW, lease=LEASE, among=(id,)) is None
    assert taken(queue).item.id == other


def test_what_failed_waits_until_its_next_try_or_is_given_up(queue: Queue) -> None:
    id = kept(queue)
    assert queue.put_back(taken(queue), "HR903", now=NOW, next_try=NOW + 60)
    assert queue.claim(now=NOW + 59, lease=LEASE) is None
    assert queue.put_back(taken(queue, NOW + 60), "HR903", now=NOW, next_try=None)
    (item,) = queue.items()
    assert (item.state, item.attempts, item.error) == ("failed", 2, "HR903")
    assert queue.claim(now=NOW * 2, lease=LEASE) is None
    assert queue.retry(id, now=NOW)
    assert taken(queue).item.id == id


def test_a_claim_whose_lease_is_over_writes_nothing_any_more(queue: Queue) -> None:
    id = kept(queue)
    slow = taken(queue)
    quick = taken(queue, NOW + LEASE + 1)
    assert quick.item.id == id
    assert not queue.finish(slow, {"text": "slow"}, now=NOW)
    assert not queue.put_back(slow, "HR903", now=NOW, next_try=NOW)
    assert queue.finish(quick, {"text": "quick"}, now=NOW)
    assert queue.result(id) == {"text": "quick"}
    assert list((queue.folder / "results").iterdir()) == [queue.folder / "results" / f"{id}.json"]


def test_what_a_killed_worker_had_taken_is_free_at_once(queue: Queue) -> None:
    id = kept(queue)
    worker_that_dies(queue)
    assert [i.state for i in queue.items()] == ["running"]
    assert taken(queue).item.id == id
    assert len(list((queue.folder / "workers").iterdir())) == 1


def test_a_result_whose_writer_died_before_the_row_is_the_result(queue: Queue) -> None:
    id = kept(queue)
    worker_that_dies(
        queue, "from hroute.ledger.private_files import write", f"write(queue.folder / 'results' / '{id}.json', {{'text': 'first'}})"
    )  # fmt: skip
    assert queue.claim(now=NOW, lease=LEASE) is None
    assert [i.state for i in queue.items()] == ["done"]
    assert queue.result(id) == {"text": "first"}


def test_a_sweep_closes_what_the_dead_left(queue: Queue) -> None:
    done, lost = kept(queue, 1), kept(queue, 2)
    (queue.folder / "results" / f"{done}.json").write_text('{"text": "x"}')
    (queue.folder / "bodies" / f"{lost}.json").unlink()
    stray, fresh = queue.folder / "bodies" / f"{uuid7(NOW)}.json", queue.folder / "bodies" / f"{uuid7(NOW)}.json"
    half = queue.folder / "results" / f"{done}.json.1.2.part"
    for path, age in ((stray, 7200), (fresh, 10), (half, 7200)):
        path.write_text("{}")
        os.utime(path, (NOW / 1000 - age,) * 2)
    queue.sweep(now=NOW)
    assert {i.id: (i.state, i.error) for i in queue.items()} == {done: ("done", ""), lost: ("failed", "no_body")}
    assert list((queue.folder / "bodies").iterdir()) == [fresh]
    assert [p.name for p in (queue.folder / "results").iterdir()] == [f"{done}.json"]


def test_a_dropped_item_leaves_nothing_and_its_worker_writes_nothing(queue: Queue) -> None:
    id = kept(queue)
    claim = taken(queue)
    assert queue.drop(id)
    assert not queue.finish(claim, {"text": "late"}, now=NOW)
    assert not queue.drop(id)
    assert queue.items() == []
    assert [p for kind in ("bodies", "results") for p in (queue.folder / kind).iterdir()] == []


def test_an_id_is_named_by_a_unique_end(queue: Queue) -> None:
    first, _ = kept(queue, 1), kept(queue, 2)
    assert queue.find(first).id == first
    assert queue.find(first[-8:].upper()).id == first
    for wrong in ("", "zzz", first[:9]):
        with pytest.raises(UsageError):
            queue.find(wrong)


@pytest.mark.parametrize("id", ["", "../../etc/passwd", "a/b", "x"])
def test_an_id_is_never_a_path(queue: Queue, id: str) -> None:
    with pytest.raises(UsageError):
        queue.keep(id, BODY, now=NOW)


def test_many_threads_never_take_the_same_item(queue: Queue) -> None:
    ids = {kept(queue, n) for n in range(24)}
    others = [Queue(queue.folder) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda n: others[n % 4].claim(now=NOW, lease=LEASE), range(40)))
    assert sorted(c.item.id for c in claims if c) == sorted(ids)
    for other in others:
        other.close()


def test_a_table_that_is_none_is_one_clear_error(queue: Queue) -> None:
    kept(queue)
    queue.close()
    (queue.folder / "queue.db").write_bytes(b"no database" * 99)
    with pytest.raises(LedgerError, match="cannot be used") as caught:
        queue.items()
    assert not isinstance(caught.value.__cause__, sqlite3.Error)


def test_the_place_follows_the_environment() -> None:
    assert place({"HROUTE_QUEUE": "/q"}) == "/q"
    assert place({"XDG_STATE_HOME": "/s"}) == "/s/hroute/queue"
    assert place({"HOME": "/h"}) == "/h/.local/state/hroute/queue"
