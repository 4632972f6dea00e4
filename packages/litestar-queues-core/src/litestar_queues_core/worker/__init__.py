"""The worker, part by part: fetcher, runner, keeper, maintenance, stop ladder."""

from __future__ import annotations

from litestar_queues_core.worker.worker import Worker

__all__ = ["Worker"]
