"""`hroute explain --id`: a request of the ledger under the policy of its day and today's."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import TYPE_CHECKING

from hroute.cli import exits, ledger, policies, streams
from hroute.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hroute.schema.policy import Policy


def run(id: str, given: str | None, *, as_json: bool, verbose: bool) -> int:
    """Find the row, decide it again under both policies, show both and what differs."""
    from hroute.cli.render import recalled as render
    from hroute.ledger import report
    from hroute.replay.recalled import recall
    from hroute.router import switching
    from hroute.router.experience import Experience

    policy = policies.load(given)
    place = ledger.place(given)
    with ledger.view(place) as view:
        ids = [] if view is None else report.named(view, id)
        if view is None or len(ids) != 1:
            raise _unnamed(id, ids, policy, kept=view is not None)
        found = recall(view, ids[0], policy, _hash(place.where))
    if found is None:
        raise _unnamed(id, [], policy, kept=True)
    earlier = Experience(policy, os.environ)
    warm = earlier.warm_in(found.row["session_key"], found.row["ts"])
    earlier.close()
    now = found.now.decision
    switch = None if now is None else switching.switch(policy, warm, now.route_to)
    if as_json:
        streams.emit("explain", render.as_json(found, switch))
        return exits.DONE
    streams.line(render.text(found, switch, zone=place.zone, verbose=verbose, colour=streams.wants_colour(sys.stdout)))
    return exits.DONE


def _unnamed(id: str, ids: list[str], policy: Policy, *, kept: bool) -> UsageError:
    if ids:
        return UsageError(
            f"`{id}` names {len(ids)} requests or more", help="give more of its digits: " + ", ".join(ids)
        )
    if not kept:
        return UsageError("nothing is recorded yet", help="the ledger begins with the first request")
    keep = policy.ledger.get("keep")
    gone = f"rows older than {keep} are dropped (`ledger: {{keep: {keep}}}`)" if keep else "or its row was pruned"
    return UsageError(f"`{id}` names no request", help=f"hroute logs lists them; {gone}")


def _hash(where: str) -> Callable[[str], str] | None:
    """How this ledger hashes names; None where its key is not here."""
    from hroute.ledger import place
    from hroute.router.recording import keyed

    file = place.key_file(where, os.environ)
    try:
        return partial(keyed, place.read_key(file)) if file is not None and os.path.exists(file) else None
    except OSError:
        return None
