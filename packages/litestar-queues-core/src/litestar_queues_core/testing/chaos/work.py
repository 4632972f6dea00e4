"""What the jobs of a run do."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from litestar_queues_core.config import QueueConfig, QueueEventConfig
from litestar_queues_core.context import TaskExecutionContext
from litestar_queues_core.events import COMPLETED
from litestar_queues_core.model import Event
from litestar_queues_core.options import check_task_options
from litestar_queues_core.registry import Registry
from litestar_queues_core.retry import RetryPolicy
from litestar_queues_core.service import QueueService
from litestar_queues_core.task import AsyncTask
from litestar_queues_core.testing.chaos.ledger import make_book
from litestar_queues_core.testing.chaos.notes import ExpectedError, Notebook, What
from litestar_queues_core.testing.chaos.settings import DATA
from litestar_queues_core.testing.chaos.targets import ChaosTarget, SupportsLedger

NOTES = "notes"
KEYS = 5

SHARES = {"quick": 40, "slow": 30, "flaky": 10, "delayed": 10, "keyed": 10, "long": 5}
"""Of a hundred jobs or so, how many behave how."""


class Request:
    """A job to enqueue: how it behaves, for how long, and its options."""

    def __init__(self, rng: random.Random, *, lease: float, keys: bool) -> None:
        shares = {name: share for name, share in SHARES.items() if keys or name != "keyed"}
        (self.behaviour,) = rng.choices(list(shares), list(shares.values()))
        self.seconds: float = {
            "slow": rng.uniform(0.2, 1.0),
            "long": rng.uniform(1.2, 1.6) * lease,
        }.get(self.behaviour, rng.uniform(0.0, 0.05))
        self.options: dict[str, Any] = {}
        if self.behaviour == "delayed":
            self.options["run_after"] = rng.uniform(0.0, 2.0) * lease
        if self.behaviour == "keyed":
            self.options["key"] = f"key-{rng.randrange(KEYS)}"


async def _work(behaviour: str, seconds: float, _task_context: TaskExecutionContext) -> int:
    """Take *seconds*, and return the number of this delivery."""
    notebook: Notebook = _task_context.state
    with notebook.running(_task_context):
        await asyncio.sleep(seconds)
        if behaviour == "flaky" and _task_context.attempt == 1:
            raise ExpectedError("the first attempt")
    return _task_context.delivery


work: AsyncTask[..., int] = AsyncTask(
    _work,
    "chaos.work",
    check_task_options(
        {"retries": 3, "retry_policy": RetryPolicy(first=0.2, ceiling=1.0), "max_rescues": 100}
    ),
)


class AnnouncementNotes:
    """An event sink that notes which completions are announced."""

    def __init__(self, notebook: Notebook) -> None:
        self._notebook = notebook

    async def publish(self, events: Sequence[Event]) -> None:
        """Note them."""
        for event in events:
            if event.type == COMPLETED:
                self._notebook.note(What.ANNOUNCED, event.job_id, event.delivery)


def make_service(target: ChaosTarget, notebook: Notebook) -> QueueService:
    """Return the service of one process, not opened."""
    registry = Registry()
    registry.add(work)
    if isinstance(target, SupportsLedger):
        registry.add(make_book(target))
    events = QueueEventConfig(enabled=True, sink=AnnouncementNotes(notebook))
    return QueueService(
        QueueConfig(queue_backend=target.config(DATA), event_config=events), registry=registry
    )


def notes_of(workspace: Path) -> Path:
    """Return the file of all notes."""
    return workspace / NOTES
