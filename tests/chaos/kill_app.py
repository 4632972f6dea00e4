"""The application of the kill test: a task that leaves a line for every time it is run."""

from __future__ import annotations

import asyncio
import os

from litestar_queues_core import QueueConfig, QueueService, get_current_task_context, task
from litestar_queues_sql.sqlite import SQLiteBackendConfig

LEASE = 3.0
DATABASE = "QUEUE_KILL_DATABASE"
JOURNAL = "QUEUE_KILL_JOURNAL"
SECONDS = "QUEUE_KILL_SECONDS"


@task("kill.work", max_rescues=100)
async def work(number: int) -> int:
    """Run for a moment, and leave a line: id, delivery."""
    context = get_current_task_context()
    await asyncio.sleep(float(os.environ[SECONDS]))
    journal = os.open(os.environ[JOURNAL], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(journal, f"{context.id} {context.delivery}\n".encode())
    os.close(journal)
    return number


def service() -> QueueService:
    """Return the service of one process."""
    return QueueService(QueueConfig(queue_backend=SQLiteBackendConfig(path=os.environ[DATABASE])))
