"""A Policy -> YAML of its resolved form, which loads back as the same policy."""

from __future__ import annotations

from typing import Any, Final

from hroute.schema.policy import Policy

_PLAIN: Final = r"[A-Za-z_][A-Za-z0-9_./-]*(:[A-Za-z0-9_./-]+)*( [A-Za-z0-9_./-]+)*|[0-9]+(\.[0-9]+)?(ms|s|m|h|d|%)"
_WORDS: Final = frozenset(("y", "n", "yes", "no", "true", "false", "on", "off", "null"))
"""Words that some YAML takes for something else than a text."""


def dump(policy: Policy) -> str:
    """YAML with every default, tier and definition written out; `load_text` of it gives an equal policy."""
    import re

    import yaml

    plain = re.compile(_PLAIN)

    class Resolved(yaml.CSafeDumper):
        """Without anchors, and with quotes around every text that is not plainly a text in any version of YAML."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    def write_text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
        style = None if plain.fullmatch(text) and text.lower() not in _WORDS else "'" if text.isprintable() else '"'
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Resolved.add_representer(str, write_text)
    return str(
        yaml.dump(policy.data, Dumper=Resolved, sort_keys=False, default_flow_style=None, allow_unicode=True, width=120)
    )
