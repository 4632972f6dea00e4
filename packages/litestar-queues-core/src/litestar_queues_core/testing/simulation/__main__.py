"""``python -m litestar_queues_core.testing.simulation``."""

from __future__ import annotations

from litestar_queues_core.testing.simulation.command import main

if __name__ == "__main__":
    raise SystemExit(main())
