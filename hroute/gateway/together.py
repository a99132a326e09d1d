"""What several workers have counted, as one page: each lays its counts down in a directory, and whoever is asked adds up.

What a worker that has gone had counted stays in the sums, so that no counter runs backwards; what it was doing does not.
The counts of the others are a second old at most.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

Sample = tuple[str, dict[str, str], float]
Family = tuple[str, str, str, list[Sample]]
"""Name, explanation, kind, samples."""


@dataclass(frozen=True, slots=True)
class Sums:
    """The counts of `registry` and of all other workers that share `folder`; a collector, as Prometheus' client has it."""

    registry: CollectorRegistry
    folder: Path
    worker: int
    _own: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_own", f"{self.worker}-{os.getpid()}.json")

    def lay_down(self) -> None:
        """Write the counts of this worker where the others find them."""
        fresh = self.folder / f"{self._own}.new"
        fresh.write_text(json.dumps({"pid": os.getpid(), "families": list(_families(self.registry))}))
        fresh.replace(self.folder / self._own)

    def collect(self) -> Iterable[Metric]:
        """All families, added up."""
        whole: dict[str, Metric] = {}
        sums: dict[tuple[str, str, tuple[tuple[str, str], ...]], float] = {}
        living = 1
        for family in _families(self.registry):
            _add(whole, sums, family)
        for pid, families in self._others():
            alive = _is_alive(pid)
            living += alive
            for family in families:
                if alive or family[2] not in ("gauge", "info"):
                    _add(whole, sums, family)
        for (name, sample, labels), value in sums.items():
            whole[name].add_sample(sample, dict(labels), value)
        workers = Metric("hroute_workers", "Workers that serve, whose counts are added up here", "gauge")
        workers.add_sample("hroute_workers", {}, living)
        return [*whole.values(), workers]

    def _others(self) -> Iterator[tuple[int, list[Family]]]:
        for path in sorted(self.folder.glob("*.json")):
            if path.name != self._own:
                told = json.loads(path.read_text())
                yield told["pid"], told["families"]


def _families(registry: Any) -> Iterator[Family]:
    for metric in registry.collect():
        samples = [(sample.name, sample.labels, sample.value) for sample in metric.samples]
        yield metric.name, metric.documentation, metric.type, samples


def _add(
    whole: dict[str, Metric], sums: dict[tuple[str, str, tuple[tuple[str, str], ...]], float], family: Family
) -> None:
    name, explanation, kind, samples = family
    whole.setdefault(name, Metric(name, explanation, kind))
    for sample, labels, value in samples:
        key = (name, sample, tuple(sorted(labels.items())))
        before = sums.get(key)
        if before is None:
            sums[key] = value
        elif kind == "info":
            sums[key] = max(before, value)
        elif sample.endswith("_created"):
            sums[key] = min(before, value)
        else:
            sums[key] = before + value


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
