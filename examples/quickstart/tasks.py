"""What happens to a picture in the background."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageStat

from litestar_queues import TaskExecutionContext, task

DATA = Path(os.environ.get("QUICKSTART_DATA", "quickstart-data"))
ORIGINALS = DATA / "originals"
THUMBNAILS = DATA / "thumbnails"
SIZE = (160, 120)


@dataclass
class Report:
    """What is known of a picture once it has been processed; colours are ``#rrggbb``."""

    width: int
    height: int
    average: str
    palette: list[str]
    thumbnail: str


@task("pictures.process", queue="pictures", retries=3, retry_policy=0.5, unique_by="arguments")
def process_picture(name: str, *, _task_context: TaskExecutionContext) -> Report:
    """Make the thumbnail of an uploaded picture, and measure its colours."""
    tell = _task_context.sync.progress
    with Image.open(ORIGINALS / name) as file:
        picture = file.convert("RGB")
    tell(1, 3, "read")
    average = tuple(map(round, ImageStat.Stat(picture).mean))
    palette = main_colours(picture, 5)
    tell(2, 3, "measured")
    publish(thumbnail(picture), name, attempt=_task_context.attempt)
    tell(3, 3, "published")
    return Report(
        width=picture.width,
        height=picture.height,
        average=hexadecimal(average),
        palette=palette,
        thumbnail=f"/thumbnails/{name}",
    )


def main_colours(picture: Image.Image, count: int) -> list[str]:
    """Return the colours that cover most of the picture."""
    colours = picture.quantize(count, Image.Quantize.MAXCOVERAGE).getpalette() or []
    return [hexadecimal(tuple(colours[at : at + 3])) for at in range(0, 3 * count, 3)]


def thumbnail(picture: Image.Image) -> Image.Image:
    """Return a small copy of the picture, of the same proportions."""
    small = picture.copy()
    small.thumbnail(SIZE, Image.Resampling.LANCZOS)
    return small


def publish(picture: Image.Image, name: str, *, attempt: int) -> None:
    """Put the thumbnail where browsers find it; refused at first for one picture in seven.

    A job can run twice if its worker dies, so the file appears whole or not at all.
    """
    if attempt == 1 and zlib.crc32(name.encode()) % 7 == 0:
        raise ConnectionError(f"the shelf is busy, no room for {name}")
    THUMBNAILS.mkdir(parents=True, exist_ok=True)
    unfinished = THUMBNAILS / f"{name}.part"
    picture.save(unfinished, "JPEG")
    unfinished.replace(THUMBNAILS / name)


def hexadecimal(colour: tuple[int, ...]) -> str:
    """Return a colour as ``#rrggbb``."""
    return "#" + bytes(colour).hex()
