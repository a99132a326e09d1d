"""A process that is killed in the middle of its work: `python -m tests.ledger.victim FILE SEED`.

Several threads reserve, record and settle without a pause. What is acknowledged (`flush` said so) is written to standard
output, one id a line, so that whoever killed it knows what must be there.
"""

from __future__ import annotations

import random
import sys
import threading
from pathlib import Path

from hroute.ledger.ledger import Held
from tests.ledger.rows import attempt, claim, ledger, row, started

FAR = 10**15


def main() -> None:
    file, seed = Path(sys.argv[1]), int(sys.argv[2])
    books = ledger(file.parent, name=file.name)
    out = threading.Lock()

    def work(number: int) -> None:
        chance = random.Random(seed * 100 + number)
        while True:
            written = []
            for _ in range(chance.randrange(1, 40)):
                request, cost = started(), chance.randrange(1, 1_000)
                held = books.reserve(request, [claim(500, limit=FAR, cap=FAR), claim(500, budget="bot", cap=None)])
                assert isinstance(held, Held)
                tries = tuple(attempt(cost=cost) for _ in range(chance.randrange(1, 3)))
                total = cost * len(tries)
                made = row(request.id, session=f"s{chance.randrange(9)}", tries=tries, cost=total)
                books.append(made)
                books.settle(held, total)
                written.append(request.id)
            if books.flush(30):
                with out:
                    sys.stdout.write("".join(f"{id}\n" for id in written))
                    sys.stdout.flush()

    for number in range(4):
        threading.Thread(target=work, args=(number,), daemon=True).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    main()
