"""Enqueue with one queue and print the seconds that took: ``python -m peers saq``.

A module may have ``prepare`` too, which makes its tables; that is not counted.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import time
from collections.abc import Callable
from typing import Any

from peers.counting import JOBS


def main(name: str) -> None:
    """Enqueue; opening and closing the connection is counted, importing is not."""
    module = importlib.import_module(f"peers.{name}")
    if hasattr(module, "prepare"):
        call(module.prepare)
    began = time.perf_counter()
    call(module.enqueue, JOBS)
    print(time.perf_counter() - began)


def call(function: Callable[..., Any], *arguments: object) -> None:
    """Call it, in an event loop if it wants one."""
    if asyncio.iscoroutinefunction(function):
        asyncio.run(function(*arguments))
    else:
        function(*arguments)


if __name__ == "__main__":
    main(sys.argv[1])
