"""What a look at a store, its workers and its code finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

__all__ = ["Finding", "Level", "SupportsCheck"]

Level: TypeAlias = Literal["ok", "warning", "problem"]


class Finding(NamedTuple):
    """What one check has found.

    Attributes:
        level: ``problem`` if jobs are not run, or may be lost; ``warning`` if that may come of it;
            ``ok``.
        about: What was looked at.
        message: What was found.
        fix: What to do about it; empty if there is nothing to do.
    """

    level: Level
    about: str
    message: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.message}; {self.fix}" if self.fix else self.message


@runtime_checkable
class SupportsCheck(Protocol):
    """A store that can look for what keeps it from doing its work well."""

    async def check(self) -> Sequence[Finding]:
        """Look, change nothing, and cost little: it is asked of systems at work.

        What cannot be looked at, for want of rights, is a finding too.  What is said at the start
        with an error, because the store cannot be used at all, need not be said again.
        """
        ...
