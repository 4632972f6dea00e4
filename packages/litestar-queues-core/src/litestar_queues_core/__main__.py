"""``python -m litestar_queues_core``: workers without Litestar."""

from __future__ import annotations

from litestar_queues_core.command import main

if __name__ == "__main__":
    raise SystemExit(main())
