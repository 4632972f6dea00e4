"""Draws pictures to work on; the same number gives the same picture."""

from __future__ import annotations

import io
from random import Random

from PIL import Image, ImageDraw, ImageOps

WIDTH, HEIGHT = 640, 480


def name_of(number: int) -> str:
    """Return the file name of a picture."""
    return f"picture-{number:03}.jpg"


def draw(number: int) -> bytes:
    """Return a picture of some discs before a background, as JPEG."""
    random = Random(number)
    light = Image.linear_gradient("L").resize((WIDTH, HEIGHT))
    picture = ImageOps.colorize(light, colour(random), colour(random))
    pen = ImageDraw.Draw(picture)
    for _ in range(12):
        centre = (random.randrange(WIDTH), random.randrange(HEIGHT))
        pen.circle(centre, random.randrange(10, 120), fill=colour(random))
    file = io.BytesIO()
    picture.save(file, "JPEG")
    return file.getvalue()


def colour(random: Random) -> tuple[int, int, int]:
    """Return any colour."""
    return random.randrange(256), random.randrange(256), random.randrange(256)
