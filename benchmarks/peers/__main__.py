"""Enqueue with one queue and print the seconds that took: ``python -m peers saq``."""

from __future__ import annotations

import asyncio
import importlib
import sys
import time

from peers.counting import JOBS


def main(name: str) -> None:
    """Enqueue; opening and closing the connection is counted, importing is not."""
    enqueue = importlib.import_module(f"peers.{name}").enqueue
    began = time.perf_counter()
    if asyncio.iscoroutinefunction(enqueue):
        asyncio.run(enqueue(JOBS))
    else:
        enqueue(JOBS)
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main(sys.argv[1])
