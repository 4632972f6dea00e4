"""Huey."""

from __future__ import annotations

from huey import RedisHuey

from peers.counting import URL, done

huey = RedisHuey("peers", url=URL)


@huey.task(name="noop")
def noop(number: int) -> None:
    """Do nothing."""
    done(number)


def enqueue(jobs: int) -> None:
    """Enqueue one by one; there is no other way."""
    for number in range(jobs):
        noop(number)
