"""Attempts in the worker itself, the default: on its event loop or in its threads."""

from __future__ import annotations

from litestar_queues_core.executors.local import LocalExecutor

__all__ = ["LocalExecutor"]
