"""``python -m litestar_queues_core.testing.chaos``."""

from __future__ import annotations

from litestar_queues_core.testing.chaos.command import main

if __name__ == "__main__":
    raise SystemExit(main())
