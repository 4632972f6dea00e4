"""Our store on PostgreSQL against other Python queues and bare statements, on the same server."""

from __future__ import annotations

import postgres_servers
from measuring import Figure
from peer_runs import main
from peers.catalogue import OURS_ON_POSTGRES as OURS, PEERS

OTHERS = [peer for peer in PEERS if peer.server == "postgres"]


def compare(drains: dict[str, float]) -> list[Figure]:
    """Return how many times the drain of each other ours is."""
    if OURS.title not in drains:
        return []
    return [
        Figure(
            what=f"ours: times the drain of {peer.title}",
            value=drains[OURS.title] / drains[peer.title],
            unit="x",
            target=f">= {peer.times}" if peer.times else "",
        )
        for peer in OTHERS
        if peer.title in drains
    ]


if __name__ == "__main__":
    main(__doc__, postgres_servers, [OURS, *OTHERS], compare)
