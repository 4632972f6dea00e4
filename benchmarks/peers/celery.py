"""Celery."""

from __future__ import annotations

from celery import Celery, group

from peers.counting import URL, done

app = Celery("peers", broker=URL)


@app.task(name="noop")
def noop(number: int) -> None:
    """Do nothing."""
    done(number)


def enqueue(jobs: int) -> None:
    """Enqueue as a group, which uses one connection for all."""
    group(noop.s(number) for number in range(jobs)).apply_async()
