"""Dramatiq."""

from __future__ import annotations

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from peers.counting import URL, done

dramatiq.set_broker(RedisBroker(url=URL))


@dramatiq.actor
def noop(number: int) -> None:
    """Do nothing."""
    done(number)


def enqueue(jobs: int) -> None:
    """Enqueue one by one; a group does the same."""
    for number in range(jobs):
        noop.send(number)
