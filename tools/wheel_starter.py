"""Build hook: a wheel carries the starter policy and its tests, which `hroute init` copies.

In a checkout `init` reads them at the root, so an editable install must not leave copies behind that grow stale; a
plain `force-include` would.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

STARTER = ("routing-config.yaml", "routing-config.test.yaml")


class WheelStarter(BuildHookInterface):  # type: ignore[type-arg]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "standard":
            for name in STARTER:
                build_data["force_include"][str(Path(self.root, name))] = f"hroute/cli/starter/{name}"
