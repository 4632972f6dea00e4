"""Running scripts in one namespace."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from litestar_queues_core.errors import ConfigError
from litestar_queues_resp.client import BlockingClient, Client, ScriptMissing, Word
from litestar_queues_resp.scripts import LuaScript, script

_PREFIX = re.compile(r"[A-Za-z0-9_.:/-]{1,100}")


def namespace(prefix: str) -> str:
    """Return what the names of all keys begin with; the braces put them into one slot.

    Raises:
        ConfigError: It is no fit prefix.
    """
    if not _PREFIX.fullmatch(prefix):
        raise ConfigError(
            "the prefix of a queue's keys must be 1 to 100 letters, digits or characters of "
            f"_.:/-, not {prefix!r}"
        )
    return f"{{{prefix}}}"


class Caller:
    """Runs scripts.

    Args:
        client: Sends them.
        prefix: Of the namespace.

    Attributes:
        client: Sends them.
        key: What the names of all keys begin with.  It is the one key that scripts are said to use,
            and no key has that name: so a node of a cluster from which the slot is being moved
            refuses them at once, and none runs on half of the keys.
        offset_ms: How far the clock of this store is ahead of the server's; for tests.
        written: A command that writes something, so that a connection can wait until that is safe.
    """

    def __init__(self, client: Client, prefix: str) -> None:
        self.client = client
        self.key: str = namespace(prefix)
        self.offset_ms: int = 0
        self.written: Sequence[Word] = ("SET", f"{self.key}:u", 1)

    async def run(self, name: str, *args: Word) -> Any:
        """Run a script; raises like :meth:`Client.call`."""
        return await self.run_words(name, args)

    async def run_words(self, name: str, args: Sequence[Word]) -> Any:
        """Run a script whose many arguments are in a list."""
        chosen = script(name)
        try:
            return await self.client.call(*self.by_name(chosen, args))
        except ScriptMissing:
            return await self.client.call(*self.whole(chosen, args))

    async def run_then(self, name: str, args: Sequence[Word], *after: Sequence[Word]) -> list[Any]:
        """Run a script, and commands behind it on the same connection."""
        chosen = script(name)
        try:
            return await self.client.together(self.by_name(chosen, args), *after)
        except ScriptMissing:
            return await self.client.together(self.whole(chosen, args), *after)

    def run_blocking(self, client: BlockingClient, name: str, *args: Word) -> Any:
        """Run a script on a connection that blocks its thread."""
        chosen = script(name)
        try:
            return client.call(*self.by_name(chosen, args))
        except ScriptMissing:
            return client.call(*self.whole(chosen, args))

    def by_name(self, chosen: LuaScript, args: Sequence[Word]) -> Sequence[Word]:
        """Return the command that runs a script which the server knows."""
        return ("EVALSHA", chosen.sha, 1, self.key, self.offset_ms, *args)

    def whole(self, chosen: LuaScript, args: Sequence[Word]) -> Sequence[Word]:
        """Return the command that teaches the server a script and runs it, in one step."""
        return ("EVAL", chosen.text, 1, self.key, self.offset_ms, *args)
