"""Plain logging for processes of this library's own."""

from __future__ import annotations

import logging

FORMAT = "%(asctime)s %(levelname)-7s %(process)d %(name)s: %(message)s"


def log_plainly(level: int | str) -> None:
    """Log to standard error from *level* on, unless something has configured logging already."""
    logging.basicConfig(level=level, format=FORMAT)
