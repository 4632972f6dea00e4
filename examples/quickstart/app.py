"""A picture service: upload a picture, and its thumbnail and a report are made in the background.

``litestar run`` serves it, ``litestar queues worker`` does the work.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Any

from anyio import Path
from litestar import Litestar, Request, get, put
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, PathParameter
from litestar.response import File
from tasks import DATA, ORIGINALS, THUMBNAILS, Report, process_picture

from litestar_queues import QueueConfig, QueuePlugin, QueueService, WorkerConfig
from litestar_queues.backends.sqlite import SQLiteBackendConfig
from litestar_queues_core import Progress

PictureName = Annotated[str, PathParameter(pattern=r"^\w[\w-]*\.jpg$")]
Queue = NamedDependency[QueueService]


@dataclass
class JobView:
    """What clients see of a job."""

    id: str
    status: str
    failures: int
    rescues: int
    progress: Progress | None
    error: str | None
    report: Report | None


@put("/pictures/{name:str}", status_code=202)
async def upload(
    name: PictureName, request: Request[Any, Any, Any], queue_service: Queue
) -> dict[str, str]:
    """Keep the picture and enqueue its processing; the same picture waits only once."""
    await Path(ORIGINALS / name).write_bytes(await request.body())
    result = await queue_service.enqueue(process_picture, name)
    return {"job": result.id, "see": f"/jobs/{result.id}"}


@get("/jobs/{job_id:str}")
async def show_job(job_id: FromPath[str], queue_service: Queue) -> JobView:
    """Show where a job stands, and what came of it."""
    found = await queue_service.get(job_id)
    if found is None or (job := found.record) is None:
        raise NotFoundException(f"no job has the id {job_id}")
    return JobView(
        id=found.id,
        status=job.status,
        failures=job.attempt,
        rescues=job.rescues,
        progress=found.progress,
        error=found.error,
        report=found.result,
    )


@get("/summary")
async def summary(queue_service: Queue) -> dict[str, int]:
    """Show how many jobs stand where."""
    totals: Counter[str] = Counter()
    for count in (await queue_service.count()).counts:
        totals[count.status] += count.value
    return dict(totals)


@get("/thumbnails/{name:str}")
async def show_thumbnail(name: PictureName) -> File:
    """Return a thumbnail."""
    if not await Path(THUMBNAILS / name).exists():
        raise NotFoundException(f"{name} has no thumbnail yet")
    return File(THUMBNAILS / name, media_type="image/jpeg", content_disposition_type="inline")


def make_folders() -> None:
    """Make the folders that pictures are kept in."""
    for folder in (ORIGINALS, THUMBNAILS):
        folder.mkdir(parents=True, exist_ok=True)


queues = QueuePlugin(
    config=QueueConfig(
        queue_backend=SQLiteBackendConfig(path=DATA / "queue.db"),
        # A worker that dies is noticed after 3 seconds; the default of 30 suits most applications.
        worker=WorkerConfig(placement="external", concurrency=4, lease=3),
    )
)
app = Litestar(
    [upload, show_job, summary, show_thumbnail], plugins=[queues], on_startup=[make_folders]
)
