"""The exit codes of all commands, and which error ends with which."""

from __future__ import annotations

from litestar_queues_core.errors import ConfigError, MissingAbilityError, QueueError, StoreError

NOT_DONE = 1
WRONG = 2
UNUSABLE = 3
UNABLE = 4
INTERRUPTED = 130

_CODES: tuple[tuple[type[Exception], int], ...] = (
    (StoreError, UNUSABLE),
    (MissingAbilityError, UNABLE),
    (ConfigError, WRONG),
    (ImportError, WRONG),
    (LookupError, WRONG),
)


def exit_code(error: QueueError) -> int:
    """Return how a command ends that *error* has ended.

    Returns:
        2 for wrong arguments or settings, 3 if the store cannot be used, 4 if it lacks an ability,
        1 for the rest.
    """
    return next((code for kind, code in _CODES if isinstance(error, kind)), NOT_DONE)
