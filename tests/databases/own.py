"""Servers that make a database for each test, whatever the system."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tests.databases.program import Program

D = TypeVar("D", bound="OwnDatabase[Any]")
S = TypeVar("S", bound="DatabaseServer[Any]")


class DatabaseServer(Program, Generic[D]):
    """A server of databases."""

    @abstractmethod
    def ask(self, statement: str, *values: Any, database: str = ...) -> list[tuple[Any, ...]]:
        """Let the superuser execute a statement, and return its rows.

        A blocking call with a connection of its own; the statement commits by itself.
        """

    @abstractmethod
    def create_database(self) -> D:
        """Make an empty database for ``app``."""

    @contextmanager
    def database(self) -> Generator[D]:
        """Make an empty database for ``app``, and drop it afterwards."""
        made = self.create_database()
        try:
            yield made
        finally:
            made.drop()


@dataclass(frozen=True)
class OwnDatabase(ABC, Generic[S]):
    """A database of one test.

    Attributes:
        server: Where it is.
        name: Its name.
    """

    server: S
    name: str

    def ask(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Let the superuser execute a statement in it, and return its rows; a blocking call."""
        return self.server.ask(statement, *values, database=self.name)

    @abstractmethod
    def connections(self) -> list[tuple[Any, ...]]:
        """Return number, state and last statement of each connection there is to it."""

    @abstractmethod
    def end(self, number: int) -> None:
        """End a connection from the server's side; harmless if it has ended."""

    def terminate(self) -> int:
        """End all connections to it from the server's side, and return how many there were."""
        found = self.connections()
        for number, *_ in found:
            self.end(number)
        return len(found)

    @abstractmethod
    def drop(self) -> None:
        """Drop it."""
