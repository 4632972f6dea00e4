"""Where attempts run: in the worker's loop and threads, or in processes."""

from __future__ import annotations
