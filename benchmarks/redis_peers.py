"""Our store on Redis or Valkey against other Python queues, on the same server."""

from __future__ import annotations

import servers
from measuring import Figure
from peer_runs import main
from peers.catalogue import OURS, PEERS


def compare(drains: dict[str, float]) -> list[Figure]:
    """Return ours against the fastest other."""
    ours = drains.pop(OURS.title, None)
    if ours is None or not drains:
        return []
    fastest = max(drains, key=lambda title: drains[title])
    what = f"ours: times the drain of the fastest other, {fastest}"
    return [Figure(what=what, value=ours / drains[fastest], unit="x", target=">= 6")]


if __name__ == "__main__":
    main(__doc__, servers, [OURS, *(peer for peer in PEERS if peer.server == "redis")], compare)
