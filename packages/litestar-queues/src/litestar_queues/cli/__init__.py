"""``litestar queues``: run workers, look at the queue, change what is in it."""

from __future__ import annotations

from copy import copy

import click
from litestar.cli._utils import LitestarGroup

from litestar_queues.cli.browse import events, list_jobs, show, status
from litestar_queues.cli.change import cancel, prune, revive
from litestar_queues.cli.check import check
from litestar_queues.cli.run_job import run_job
from litestar_queues.cli.schedules import schedules, tick
from litestar_queues.cli.work import work

__all__ = ["queues"]

EXIT_CODES = """\
Exit codes: 0 done; 1 something asked for was not done, or `check` found a problem; 2 wrong
arguments or settings; 3 the store cannot be used; 4 the store or this version lacks the ability.
"""


@click.group(cls=LitestarGroup, name="queues", no_args_is_help=True, epilog=EXIT_CODES)
def queues() -> None:
    """Run queue workers, and look after the jobs."""


_retry = copy(revive)
_retry.name = "retry"
_retry.help = "The same as revive."
_LOOKING = (status, list_jobs, show, events, schedules, check)
_CHANGING = (cancel, revive, _retry, prune)
for _command in (work, run_job, tick, *_LOOKING, *_CHANGING):
    queues.add_command(_command)
