"""Which server has the queue: the only one, the one that sentinels name, a node of a cluster.

A search is a generator: it yields whom to ask what, is sent the answer, or thrown what went wrong,
and returns the server.  So it is written once for event loops and threads.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from litestar_queues_core.errors import ConfigError, QueueError, StoreError, StoreUnavailable
from litestar_queues_resp.client import Word
from litestar_queues_resp.endpoint import Endpoint
from litestar_queues_resp.library import Library

CONNECT_SECONDS = 5.0
"""How long a server may take to let us in; less than a call may take in all."""

SEARCH_SECONDS = 2.0
"""How long a sentinel or a node of a cluster may take to say where the queue is."""

Question: TypeAlias = tuple[Endpoint, tuple[Word, ...]]
Search: TypeAlias = Generator[Question, Any, Endpoint]


class Topology(Protocol):
    """Where the queue is."""

    def primary(self) -> Search:
        """Look for the server that takes writes.

        Raises:
            StoreUnavailable: There is none now.
            ConfigError: There can be none.
        """
        ...

    def endpoints(self) -> Sequence[Endpoint]:
        """Return the servers that were named."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How the server of a queue is reached.

    Attributes:
        library: Makes the connections.
        topology: Tells which server it is.
        protocol: The version of the protocol to speak: 2 or 3.
        met: The places of servers that have let us in.
    """

    library: Library
    topology: Topology
    protocol: int
    met: set[str] = field(default_factory=set[str], compare=False)

    def unreachable(self, endpoint: Endpoint, error: BaseException) -> QueueError:
        """Return what it means that connecting to a server has failed."""
        return endpoint.unreachable(error, new=str(endpoint) not in self.met)


class Alone:
    """One server, at an address that does not change."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def endpoints(self) -> Sequence[Endpoint]:
        """Return it."""
        return [self._endpoint]

    def primary(self) -> Search:
        """Return it."""
        yield from ()
        return self._endpoint


class Sentinels:
    """The primary of that name, according to the first sentinel that knows it.

    Args:
        sentinels: Whom to ask.
        name: What they call it.
        data: How the servers are reached, but for their address.
    """

    def __init__(self, sentinels: Sequence[Endpoint], name: str, data: Endpoint) -> None:
        self._sentinels = [*sentinels]
        self._name = name
        self._data = data

    def endpoints(self) -> Sequence[Endpoint]:
        """Return the sentinels."""
        return self._sentinels

    def primary(self) -> Search:
        """Ask one sentinel after the other; the one that answered is asked first next time."""
        problems = list[str]()
        silent = False
        for sentinel in [*self._sentinels]:
            question = (sentinel, ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._name))
            try:
                address = yield question
            except StoreUnavailable as error:
                silent = True
                problems.append(str(error))
                continue
            if address is not None:
                self._sentinels = [sentinel, *(one for one in self._sentinels if one != sentinel)]
                return self._data.at(address[0].decode(), int(address[1]))
            problems.append(f"{sentinel}: it knows no {self._name!r}")
        told = "; ".join(problems)
        if silent:
            raise StoreUnavailable(f"no sentinel names the primary {self._name!r}: {told}")
        raise ConfigError(f"service_name {self._name!r} is not what sentinels call it: {told}")


class Cluster:
    """The node of a cluster that has the slot of a key.

    Args:
        nodes: Some of the nodes; the others are learnt.
        key: It lies in the slot.
    """

    def __init__(self, nodes: Sequence[Endpoint], key: str) -> None:
        self._named = [*nodes]
        self._learnt = list[Endpoint]()
        self._key = key
        self._slot: int | None = None

    def endpoints(self) -> Sequence[Endpoint]:
        """Return the nodes that were named."""
        return self._named

    def primary(self) -> Search:
        """Ask one node after the other where the slot is."""
        problems = list[str]()
        for node in [*self._learnt, *self._named]:
            try:
                return (yield from self._ask(node))
            except StoreUnavailable as error:
                problems.append(str(error))
            except StoreError as error:
                if "cluster support disabled" in str(error):
                    raise ConfigError(f"{error}; it is no cluster: drop cluster=True") from error
                raise
        raise StoreUnavailable(f"no node of the cluster tells who has the queue: {problems}")

    def _ask(self, node: Endpoint) -> Search:
        if self._slot is None:
            self._slot = yield node, ("CLUSTER", "KEYSLOT", self._key)
        ranges = yield node, ("CLUSTER", "SLOTS")
        primaries = [(first, last, self._address(node, place)) for first, last, place, *_ in ranges]
        found = [place for first, last, place in primaries if first <= self._slot <= last]
        if not found:
            raise StoreUnavailable(f"{node}: no node of the cluster has slot {self._slot}")
        others = [place for _, _, place in primaries if str(place) != str(found[0])]
        self._learnt = [found[0], *others]
        return found[0]

    def _address(self, node: Endpoint, place: Sequence[Any]) -> Endpoint:
        """Return a node's address; one without a host has the host of whoever told us."""
        host = (place[0] or b"").decode()
        if host in {"", "?"}:
            host = node.settings.get("host", "localhost")
        return node.at(host, place[1])


async def found(search: Search, ask: Callable[..., Awaitable[Any]]) -> Endpoint:
    """Run a search; *ask* is awaited with an endpoint and the words of a command."""
    try:
        question = next(search)
        while True:
            try:
                answer = await ask(*question)
            except QueueError as error:
                question = search.throw(error)
            else:
                question = search.send(answer)
    except StopIteration as end:
        return _endpoint(end)


def found_blocking(search: Search, ask: Callable[..., Any]) -> Endpoint:
    """Run a search in a thread."""
    try:
        question = next(search)
        while True:
            try:
                answer = ask(*question)
            except QueueError as error:
                question = search.throw(error)
            else:
                question = search.send(answer)
    except StopIteration as end:
        return _endpoint(end)


def _endpoint(end: StopIteration) -> Endpoint:
    endpoint: Endpoint = end.value
    return endpoint
