"""What a run is made of; every process of it reads the same file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from litestar_queues_core.testing.chaos.targets import ChaosTarget, SupportsProxy, make_target

DATA = "chaos"
_FILE = "settings.json"


@dataclass(kw_only=True, slots=True)
class Settings:
    """What a run is made of.

    Attributes:
        store: The target, by name or as ``module:attribute``.
        faults: What is to happen.
        seed: Decides what happens when.
        seconds: How long faults happen.
        jobs_per_second: What the producers enqueue together.
        workers: Worker processes.
        producers: Producer processes.
        concurrency: Jobs that one worker runs at a time.
        lease: Their lease, in seconds.
        patience: How long everything may take to settle afterwards, in seconds.
        through: Host and port at which children reach the store, if not at its own.
    """

    store: str
    faults: Sequence[str]
    seed: int = 0
    seconds: float = 60.0
    jobs_per_second: float = 20.0
    workers: int = 3
    producers: int = 2
    concurrency: int = 10
    lease: float = 3.0
    patience: float = 120.0
    through: tuple[str, int] | None = None

    def write(self, workspace: Path) -> None:
        """Write them for the other processes."""
        (workspace / _FILE).write_text(json.dumps(asdict(self)))


def read_settings(workspace: Path) -> tuple[Settings, ChaosTarget]:
    """Return what this process, a child, takes part in."""
    settings = Settings(**json.loads((workspace / _FILE).read_text()))
    target = make_target(settings.store, workspace)
    if settings.through is not None and isinstance(target, SupportsProxy):
        target = target.through(*settings.through)
    return settings, target
