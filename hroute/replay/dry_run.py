"""Yesterday's log under tomorrow's policy: where every row would go, and what all of it would cost. Nothing is sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from hroute.errors import UsageError
from hroute.replay.compare import AsLogged, Before, Comparison, OnOneProvider, UnderPolicy
from hroute.replay.meter import Meter, Sum, Tokens, named, output_share, tokens_of
from hroute.replay.redecide import Redecider, Verdict
from hroute.replay.result import Constant, Group, Line, Moved, Result, Total, line_of, plain
from hroute.replay.rows import BadLine, Row
from hroute.router.decide import destinations
from hroute.router.pricing import REQUESTED
from hroute.schema.policy import Policy
from hroute.terms.signal import ABSENT, SIGNALS, Kind

OUT_TOKENS: Final = 176
"""Tokens of output that a row without a count is taken to have had: the answers of the seeds' café."""

NEAR: Final = 0.02
BAD_LINES_SHOWN: Final = 5
ESCALATING: Final = 0.10
"""The share of local answers that may have to be asked again elsewhere, at the low end of what is saved."""

OUTPUT_RANGE: Final = (0.5, 2.0)
"""Between which multiples an assumed length of output is taken to lie."""

_KEYS: Final = ("model", "day", "rule")
EVERY: Final = 500
"""Rows between two calls of `progress`."""


def run(
    policy: Policy,
    rows: Iterable[Row | BadLine],
    *,
    baseline: str | None = None,
    against: Policy | None = None,
    since: datetime | None = None,
    by: str | None = None,
    out_tokens: int = OUT_TOKENS,
    near: float = NEAR,
    all_signals: bool = False,
    each: Callable[[dict[str, Any]], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Result:
    """Decide every row again and add up what it costs, in memory that does not grow with the log.

    `baseline` names the provider that "all on one" is compared with (else the policy's own, else the default's route);
    given, it is also what `same` and `changed` compare with, unless `against` gives another policy; with neither, rows
    are compared with where they say that they went, where they do. `since` leaves out older rows, `by` groups by a
    signal, `model`, `day` or `rule`. `each` gets one JSON-ready object a row, `progress` the number of rows so far.
    Raises UsageError for a provider or a key that does not exist.
    """
    tally = _Tally(policy, baseline, against, by, out_tokens, near)
    seen = 0
    for row in rows:
        if isinstance(row, BadLine):
            tally.bad(row)
        elif since is None or (row.ts is not None and row.ts >= _aware(since)):
            line = tally.add(row, all_signals, each is not None)
            if each is not None and line is not None:
                each(line)
        else:
            tally.left_out += 1
        seen += 1
        if progress is not None and seen % EVERY == 0:
            progress(seen)
    if progress is not None:
        progress(seen)
    return tally.result()


class _Slot:
    """The running sums of one line of the table."""

    __slots__ = ("baseline", "cost", "requests")

    def __init__(self) -> None:
        self.requests = 0
        self.cost = Sum()
        self.baseline = Sum()

    def add(self, cost: int | None, baseline: int | None) -> None:
        self.requests += 1
        self.cost.add(cost)
        self.baseline.add(baseline)


class _Tally:
    """Everything that is counted while the log streams by."""

    def __init__(
        self, policy: Policy, baseline: str | None, against: Policy | None, by: str | None, out_tokens: int, near: float
    ) -> None:
        self.policy = policy
        self.baseline = named(policy, baseline or policy.baseline or _default_provider(policy)).name
        self.by = _checked_key(by)
        self.out_tokens = out_tokens
        self.near_margin = near
        self.redecider = Redecider(policy)
        self.meter = Meter(policy)
        self.comparison = Comparison(self._before(against, baseline), policy)
        self.explicit = against is not None or baseline is not None
        self.constants = {name: Sum() for name in constants(policy)}
        self.routes: dict[tuple[str | None, str | None], _Slot] = {}
        self.groups: dict[str, _Slot] = {}
        self.whole = _Slot()
        self.bounds = _Bounds()
        self.unknown: Counter[str] = Counter()
        self.misfits: Counter[str] = Counter()
        self.requests = self.left_out = self.untold = self.near = 0
        self.assumed_output = self.estimated_input = self.unsized = 0
        self.bad_lines = 0
        self.bad_shown: list[BadLine] = []
        self.first: datetime | None = None
        self.last: datetime | None = None

    def bad(self, line: BadLine) -> None:
        self.bad_lines += 1
        if len(self.bad_shown) < BAD_LINES_SHOWN:
            self.bad_shown.append(line)

    def add(self, row: Row, all_signals: bool, wants_line: bool) -> dict[str, Any] | None:
        """Count one row; its line for `--each` where that is wanted."""
        verdict = self.redecider.decide(row, all_signals=all_signals)
        tokens = tokens_of(row, verdict, self.out_tokens)
        costs = {name: self.meter.cost(name, tokens.usage, row.ts, row.model) for name in self.constants}
        cost = self._money(row, verdict, tokens, costs)
        self._facts(row, verdict, tokens)
        self.comparison.add(row, verdict, tokens.usage, cost)
        if verdict.told and self.redecider.near(row, verdict, self.near_margin):
            self.near += 1
        return line_of(row, verdict, cost) if wants_line else None

    def _money(self, row: Row, verdict: Verdict, tokens: Tokens, costs: dict[str, int | None]) -> int | None:
        """The row's cost under the policy (the dearest, where its way cannot be told), added to every sum."""
        for name, amount in costs.items():
            self.constants[name].add(amount)
        ways = {decision.chain for decision in verdict.decisions}
        amounts = [self._cost(chain, costs, row, tokens) for chain in ways]
        known = [amount for amount in amounts if amount is not None]
        cost = max(known) if len(known) == len(amounts) else None
        baseline = costs[self.baseline]
        self.routes.setdefault((verdict.rule, verdict.route_to), _Slot()).add(cost, baseline)
        if self.by is not None:
            self.groups.setdefault(_key(self.by, row, verdict), _Slot()).add(cost, baseline)
        self.whole.add(cost, baseline)
        if cost is not None and baseline is not None:
            self._bound(verdict, tokens, costs, spread=cost - min(known))
        return cost

    def _bound(self, verdict: Verdict, tokens: Tokens, costs: dict[str, int | None], *, spread: int) -> None:
        """What could be otherwise about this row: its way, the length of its answer, an escalation."""
        self.bounds.undecided += spread
        usage, assumed = tokens.usage, tokens.assumed_output
        if usage is None:
            return
        chain = verdict.decisions[0].chain
        if assumed:
            self.bounds.baseline_output += output_share(self.meter.price(self.baseline), usage, assumed)
            if chain:
                self.bounds.output += output_share(self.meter.price(chain[0]), usage, assumed)
        if len(chain) > 1 and self.policy.providers[chain[0]].local:
            self.bounds.escalation += costs.get(chain[1]) or 0
            self.bounds.escalation_output += output_share(self.meter.price(chain[1]), usage, assumed)

    def _cost(self, chain: tuple[str, ...], costs: dict[str, int | None], row: Row, tokens: Tokens) -> int | None:
        if not chain:
            return 0
        return costs[chain[0]] if chain[0] in costs else self.meter.cost(chain[0], tokens.usage, row.ts, row.model)

    def _facts(self, row: Row, verdict: Verdict, tokens: Tokens) -> None:
        self.requests += 1
        self.untold += not verdict.told
        self.assumed_output += tokens.assumed_output > 0
        self.estimated_input += tokens.estimated_input
        self.unsized += tokens.usage is None
        if not verdict.told:
            self.unknown.update(verdict.unknown)
        self.misfits.update(row.misfits)
        if row.ts is not None:
            self.first = row.ts if self.first is None else min(self.first, row.ts)
            self.last = row.ts if self.last is None else max(self.last, row.ts)

    def _before(self, against: Policy | None, baseline: str | None) -> Before:
        if against is not None:
            return UnderPolicy(against, self.redecider)
        return OnOneProvider(self.baseline, self.meter) if baseline is not None else AsLogged(self.meter)

    def result(self) -> Result:
        compared = self.comparison
        has = self.explicit or compared.compared > 0
        order = {rule.name: place for place, rule in enumerate(self.policy.all_rules)}
        routes = sorted(
            self.routes.items(), key=lambda item: (order.get(item[0][0] or "", len(order)), item[0][1] or "")
        )
        return Result(
            policy=self.policy.hash,
            path=self.policy.path,
            baseline=self.baseline,
            requests=self.requests,
            left_out=self.left_out,
            bad_lines=self.bad_lines,
            bad=tuple(self.bad_shown),
            first=self.first,
            last=self.last,
            routes=tuple(self._line(rule, to, slot) for (rule, to), slot in routes),
            groups=tuple(self._group(key, slot) for key, slot in sorted(self.groups.items())),
            constants=tuple(Constant(name, amount.total) for name, amount in self.constants.items()),
            total=self._total(),
            compared=compared.compared,
            same=compared.same if has else None,
            changed=compared.changed if has else None,
            cannot_tell=compared.cannot_tell if has else self.untold,
            newly_reaching=dict(compared.newly.most_common()) if has else None,
            maybe_reaching=dict(compared.maybe.most_common()) if has else None,
            moves=tuple(
                Moved(m.before, m.after, m.rule, m.requests, m.then.total, m.now.total)
                for m in sorted(compared.moves.values(), key=lambda m: -m.requests)
            ),
            untold=self.untold,
            unknown=dict(self.unknown.most_common()),
            near=self.near,
            misfits=dict(self.misfits.most_common()),
            out_tokens=self.out_tokens,
            assumed_output=self.assumed_output,
            estimated_input=self.estimated_input,
            unsized=self.unsized,
            unpriced=tuple(name for name in self.constants if not self._priced(name)),
        )

    def _priced(self, provider: str) -> bool:
        """Whether a price is known: of a provider of any model, for the models that the rows asked for."""
        if self.policy.providers[provider].model == REQUESTED and self.requests:
            return not self.constants[provider].unknown
        return self.meter.price(provider) is not None

    def _line(self, rule: str | None, route_to: str | None, slot: _Slot) -> Line:
        share = slot.requests / self.requests
        return Line(rule, route_to, slot.requests, share, slot.cost.total, slot.baseline.total)

    def _group(self, key: str, slot: _Slot) -> Group:
        return Group(key, slot.requests, slot.requests / self.requests, slot.cost.total, slot.baseline.total)

    def _total(self) -> Total:
        before = self.comparison.then.total if self.comparison.compared else None
        return self.bounds.total(self.whole.cost.total, self.whole.baseline.total, before)


@dataclass(slots=True)
class _Bounds:
    """Nano-dollars that rest on something the log does not say; `total` makes the interval of what is saved.

    With k the true length of assumed output over the assumed one, e the share of local answers that escalate, and the
    rows whose way cannot be told somewhere between their cheapest and dearest way:

        cost(k, e) = cost + (k - 1) output + e (escalation + (k - 1) escalation_output)
        saved      = 1 - cost(1, 0) / baseline
        saved_low  = the least of 1 - cost(k, ESCALATING) / baseline(k) over k in OUTPUT_RANGE and 1
        saved_high = the greatest of 1 - (cost(k, 0) - undecided) / baseline(k) over the same k
    """

    undecided: int = 0
    output: int = 0
    baseline_output: int = 0
    escalation: int = 0
    escalation_output: int = 0

    def total(self, cost: int | None, baseline: int | None, before: int | None) -> Total:
        escalated = None if cost is None else cost + round(ESCALATING / 2 * self.escalation)
        if cost is None or baseline is None or baseline <= 0:
            return Total(cost, baseline, None, None, None, escalated, before)
        lows, highs = [], []
        for k in (1.0, *OUTPUT_RANGE):
            whole = baseline + (k - 1) * self.baseline_output
            spent = cost + (k - 1) * self.output
            again = ESCALATING * (self.escalation + (k - 1) * self.escalation_output)
            lows.append(1 - (spent + again) / whole)
            highs.append(1 - (spent - self.undecided) / whole)
        return Total(cost, baseline, 1 - cost / baseline, min(lows), max(highs), escalated, before)


def constants(policy: Policy) -> tuple[str, ...]:
    """Every single provider that could have served everything: those declared, and of the catalogue those in use."""
    used = {name for rule in policy.all_rules for name in destinations(policy, rule)} | {policy.baseline}
    chosen = [name for name, provider in policy.providers.items() if not provider.catalogued or name in used]
    return tuple(chosen)


def _default_provider(policy: Policy) -> str:
    route = policy.default.route
    if route is not None:
        return route.to
    return next(iter(policy.providers))


def _checked_key(by: str | None) -> str | None:
    if by is not None and by not in _KEYS and (by not in SIGNALS or SIGNALS[by].kind is Kind.TEXT):
        raise UsageError(f"rows cannot be grouped by `{by}`", help="give a signal, model, day or rule")
    return by


def _key(by: str, row: Row, verdict: Verdict) -> str:
    if by == "model":
        return row.model or "-"
    if by == "day":
        return row.ts.date().isoformat() if row.ts is not None else "-"
    if by == "rule":
        return verdict.rule or "-"
    value = verdict.signals.get(by, ABSENT)
    if value is ABSENT and verdict.ask is not None:
        value = verdict.ask(by)
    if value is ABSENT or value == frozenset():
        return "-"
    return ", ".join(sorted(value)) if isinstance(value, frozenset) else str(plain(value)).lower()


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
