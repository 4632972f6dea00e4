"""Attempts in Cloud Run jobs: ``pip install 'litestar-queues[cloudrun]'``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from litestar_queues_core.errors import adapter

with adapter("cloudrun"):
    CloudRunExecutionConfig: type[Any] = import_module(
        "litestar_queues_cloudrun"
    ).CloudRunExecutionConfig

__all__ = ["CloudRunExecutionConfig"]
