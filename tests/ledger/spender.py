"""One of several processes that spend from one budget at the same time: `python -m tests.ledger.spender FILE CALLERS CALLS`.

Each caller reserves, "calls" (what it costs differs from what was reserved) and settles; what was really spent, what was
turned away and by how much reservations were exceeded is written as JSON.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from hroute.ledger.ledger import Held, Ledger
from tests.ledger.rows import claim, ledger, row, started

RESERVED = 5_000_000
"""Half a cent."""


@dataclass
class Tally:
    spent: int = 0
    admitted: int = 0
    denied: int = 0
    excess: int = 0  # what calls cost above their reservations, all together


def actual(chance: random.Random, ceiling: bool) -> int:
    return chance.randrange(0, RESERVED + 1) if ceiling else chance.randrange(0, 2 * RESERVED)


def call(books: Ledger, tally: Tally, lock: threading.Lock, chance: random.Random, ceiling: bool) -> int | None:
    """One call; what it has to sleep for is left to the caller: None, or the settled amount."""
    request = started()
    held = books.reserve(request, [claim(RESERVED)])
    if not isinstance(held, Held):
        with lock:
            tally.denied += 1
        return None
    cost = actual(chance, ceiling)
    with lock:
        tally.spent += cost
        tally.admitted += 1
        tally.excess += max(0, cost - RESERVED)
    books.append(row(request.id, cost=cost))
    books.settle(held, cost)
    return cost


def by_threads(books: Ledger, callers: int, calls: int, ceiling: bool = False, seed: int = 0) -> Tally:
    tally, lock = Tally(), threading.Lock()

    def work(number: int) -> None:
        chance = random.Random(seed * 1_000 + number)
        for _ in range(calls):
            call(books, tally, lock, chance, ceiling)
            time.sleep(chance.random() * 0.002)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tally


async def by_tasks(books: Ledger, callers: int, calls: int, ceiling: bool = False) -> Tally:
    tally, lock = Tally(), threading.Lock()

    async def work(number: int) -> None:
        chance = random.Random(number)
        for _ in range(calls):
            request = started()
            held = books.reserve(request, [claim(RESERVED)])
            await asyncio.sleep(chance.random() * 0.002)
            if not isinstance(held, Held):
                tally.denied += 1
                continue
            cost = actual(chance, ceiling)
            with lock:
                tally.spent += cost
                tally.admitted += 1
                tally.excess += max(0, cost - RESERVED)
            books.append(row(request.id, cost=cost))
            books.settle(held, cost)

    await asyncio.gather(*(work(n) for n in range(callers)))
    return tally


def main() -> None:
    file, callers, calls, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    books = ledger(file.parent, name=file.name)
    tally = by_threads(books, callers, calls, ceiling=len(sys.argv) > 5, seed=seed)
    written = books.close(30)
    print(json.dumps({**vars(tally), "written": written}))


if __name__ == "__main__":
    main()
