"""`hroute schema`: the JSON Schema of the policy file, for an editor; with a policy, its own names to choose from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from hroute.cli import exits, policies, streams

if TYPE_CHECKING:
    from hroute.schema.policy import Policy

SCHEMA: Final = Path(__file__).parents[1] / "schema" / "policy.schema.json"

HELP = """Print the JSON Schema of the policy file.

With --policy the editor is offered that policy's own names (providers, tiers, definitions, intents) wherever one may stand.

\b
Example:
  hroute schema -p routing-config.yaml > hroute/schema/policy.schema.json
"""


def register(app: typer.Typer) -> None:
    app.command("schema", help=HELP)(schema)


def schema(
    policy: Annotated[
        str | None,
        typer.Option("-p", "--policy", metavar="FILE", help="Offer the names of this policy.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same: the schema is JSON.")] = False,
) -> int:
    """Print it, indented; with --json on one line."""
    found = plain() if policy is None else enumerated(policies.load(policy))
    streams.line(json.dumps(found, indent=None if as_json else 2, ensure_ascii=False))
    return exits.DONE


def plain() -> dict[str, Any]:
    """The schema as it is kept."""
    found: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return found


def enumerated(policy: Policy) -> dict[str, Any]:
    """The schema with the policy's names offered. A name that is not among them stays allowed: whoever adds a provider
    needs no new schema, and `hroute check` knows an unknown name."""
    from hroute.terms.signal import BUILT_IN_INTENTS

    found = plain()
    definitions: Mapping[str, Any] = policy.data.get("define") or {}
    offers: dict[str, Iterable[str]] = {
        "provider_name": policy.providers,
        "target_name": (*policy.providers, *policy.tiers),
        "tier_name": policy.tiers,
        "definition_name": definitions,
        "intent_name": (*policy.intents, *BUILT_IN_INTENTS),
    }
    for name, offered in offers.items():
        if choices := list(dict.fromkeys(offered)):
            found["$defs"][name] = {
                "title": found["$defs"][name]["title"],
                "anyOf": [{"enum": choices}, {"type": "string", "minLength": 1}],
            }
    return found
