"""Views of a policy: its decision tree as text or diagram, and what is proved of it and what no proof can see."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from hroute.cli.render import values
from hroute.cli.render.text import count, pad, visible, width
from hroute.schema.condition import tests
from hroute.schema.policy import Guarantee, Policy, Rule
from hroute.terms.signal import SIGNALS, UNSPECIFIED

if TYPE_CHECKING:
    from hroute.router.analysis.guarantee import Proof
    from hroute.router.tree import Node


def plain(policy: Policy) -> Any:
    """The resolved policy as JSON holds it."""
    return {**values.plain(policy.data), "hash": policy.hash}


def destination(rule: Rule) -> str:
    """`claude_sonnet, then gpt4o`, or `refused`."""
    if rule.route is None:
        return "refused"
    return ", then ".join((rule.route.to, *rule.route.fallback))


def tree(policy: Policy) -> str:
    """The decision tree: one line a question's answer, indented; cheap questions come first."""
    from hroute.router.index import Index
    from hroute.router.tree import branches

    return "\n".join(_outline(policy, branches(Index(policy)), ""))


def mermaid(policy: Policy) -> str:
    """The decision tree as a mermaid flowchart."""
    from hroute.router.index import Index
    from hroute.router.tree import branches

    lines = ["flowchart TD"]
    _draw(policy, branches(Index(policy)), lines, [0])
    return "\n".join(lines)


def feature_name(policy: Policy, feature: str) -> str:
    """A signal by its name; a text test in words instead of its key."""
    test = policy.texts.get(feature)
    if test is None:
        return feature
    from hroute.router.analysis.witness import text_name

    return visible(text_name(test))


def scope(policy: Policy, proofs: Iterable[Proof]) -> str:
    """What is proved for every request the policy can see, and what is not."""
    proofs = tuple(proofs)
    names = max((width(p.guarantee) for p in proofs), default=0)
    lines = ["Proved for every request the policy can see"]
    lines += [f"  {pad(p.guarantee, names)}   {'proven' if p.proven else 'NOT PROVEN'}   {p.reason}" for p in proofs]
    if not proofs:
        lines.append("  nothing: the policy states no guarantee")
    lines += ["", "Not proved"]
    lines += [f"  {text}" for text in _blind_spots(policy)]
    return "\n".join(lines)


def scope_json(policy: Policy, proofs: Iterable[Proof]) -> dict[str, object]:
    """The same for a program."""
    proven = [{"guarantee": p.guarantee, "proven": p.proven, "reason": p.reason} for p in proofs]
    return {"proven": proven, "not_proved": list(_blind_spots(policy))}


def _blind_spots(policy: Policy) -> Iterator[str]:
    """What stands outside every proof, most important first."""
    from hroute.router.signals import measured
    from hroute.router.signals.kinds import NOT_FOUND

    settings = policy.signals.pii
    sought = sorted(kind for kind in settings.kinds if kind not in (*NOT_FOUND, UNSPECIFIED))
    silent = sorted(kind for kind in sought if kind not in settings.counts)
    yield "What a detector misses: a proof speaks of requests whose data was found."
    yield f"  looked for    {', '.join(sought) or 'nothing'}"
    if silent:
        yield f"  not counted   {', '.join(silent)} alone leave contains_pii false"
    if settings.presidio is None:
        yield f"  never found   {', '.join(NOT_FOUND)} (names, places without a number): only a caller can say them, or a model"
        yield "                (signals: {pii: {presidio: true}})"
    else:
        asked = ", ".join(settings.presidio.entities)
        yield f"  by a model    {visible(asked)}, as far as Presidio with {visible(settings.presidio.model)} knows them: measure it by hroute eval"
    if settings.allow:
        yield f"  let through   {count(len(settings.allow), 'value')} that the policy calls nothing"
    yield "  Detectors know formats, checksums and cue words; a number written in words passes unseen."
    if weak := measured.misses(settings.kinds):
        yield f"  missed        {weak}; less than 2 % of the others measured (docs/signals-measured.md, {measured.MEASURED})"
    if policy.signals.unread_taints:
        yield "Images, audio and documents are not read: each counts as personal data."
    else:
        yield "Images, audio and documents are not read, and this policy lets them count as clean."
    if policy.signals.trust_caller:
        yield "A caller's contains_pii=false is believed (signals.contains_pii.trust_caller)."
    for guarantee in policy.guarantees:
        given = sorted(set(_only_given(guarantee)))
        if given:
            yield f"{guarantee.name}: a request whose caller does not say {', '.join(given)} is not covered."
    for provider in policy.providers.values():
        if provider.local is not False and _used(policy, provider.name):
            yield f"{provider.name} is on {'this machine' if provider.local is True else 'your network'}; whether that process calls elsewhere cannot be seen."
        if provider.vouched:
            yield f"{provider.name} is a command that the policy vouches for: {visible(provider.vouched)}"


def _only_given(guarantee: Guarantee) -> Iterator[str]:
    conditions = [guarantee.when] if guarantee.unless is None else [guarantee.when, guarantee.unless]
    for condition in conditions:
        yield from (t.signal for t in tests(condition) if not SIGNALS[t.signal].extracted)


def _used(policy: Policy, name: str) -> bool:
    return any(rule.route is not None and name in rule.route.chain for rule in policy.all_rules)


def _outline(policy: Policy, node: Node, indent: str) -> Iterator[str]:
    if node.feature is None:
        yield f"{indent}{_leaf(policy, node)}"
        return
    question = feature_name(policy, node.feature)
    for branch in node.branches:
        said = f"{indent}{question}: {visible(branch.label)}"
        if branch.node.feature is None:
            yield f"{said}  ->  {_leaf(policy, branch.node)}"
        else:
            yield said
            yield from _outline(policy, branch.node, indent + "  ")


def _leaf(policy: Policy, node: Node) -> str:
    if node.rule is None:
        return "... (the drawing stops here)"
    rule = policy.all_rules[node.rule]
    return f"{rule.name}: {destination(rule)}"


def _draw(policy: Policy, node: Node, lines: list[str], counter: list[int]) -> str:
    own = f"n{counter[0]}"
    counter[0] += 1
    if node.feature is None:
        lines.append(f'  {own}["{_quoted(_leaf(policy, node))}"]')
        return own
    lines.append(f'  {own}{{"{_quoted(feature_name(policy, node.feature))}"}}')
    for branch in node.branches:
        target = _draw(policy, branch.node, lines, counter)
        lines.append(f'  {own} -->|"{_quoted(branch.label)}"| {target}')
    return own


def _quoted(text: str) -> str:
    """Text inside a mermaid label: its own quotes and brackets as entities."""
    return "".join(f"#{ord(c)};" if c in '"<>#&|`' else c for c in visible(text))
