"""A Policy -> YAML of its resolved form, which loads back as the same policy."""

from __future__ import annotations

from typing import Any

from hroute.schema.policy import Policy


def dump(policy: Policy) -> str:
    """YAML with every default, tier and definition written out; `load_text` of it gives an equal policy."""
    import yaml

    class Plain(yaml.SafeDumper):
        """Without anchors: the same list in two places is written twice."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    text = yaml.dump(_unshared(policy.data), Dumper=Plain, sort_keys=False, allow_unicode=True, width=120)
    return str(text)


def _unshared(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _unshared(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_unshared(item) for item in value]
    return value
