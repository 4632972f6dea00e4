"""What is looked at before a server is trusted with jobs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from litestar_queues_core.errors import ConfigError, StoreError, StoreUnavailable
from litestar_queues_core.findings import Finding
from litestar_queues_resp.client import Client, Word

logger: logging.Logger = logging.getLogger("litestar_queues.resp")

Durability: TypeAlias = Literal["server", "aof", "replicas"]

OLDEST = (6, 2)


class Looked(NamedTuple):
    """What came of a look.

    Attributes:
        server: Name and version of the server.
        findings: What endangers jobs.
    """

    server: str
    findings: Sequence[Finding]


async def check_server(
    client: Client, *, durability: Durability, cluster: bool, moves: bool
) -> Looked:
    """Look whether a server can keep jobs.

    Args:
        client: Leads to the server.
        durability: What the server is asked for.
        cluster: Whether it is meant to be a node of a cluster.
        moves: Whether another server may take its place.

    Raises:
        ConfigError: It cannot; the message says what to change.
        StoreUnavailable: It cannot be reached, or cannot do it now.
    """
    facts = await _facts(client)
    findings: list[Finding] = []
    if facts:
        check_kind(facts, cluster=cluster, moves=moves)
        findings += check_memory(facts)
        findings += await _check_disk(client, facts)
    findings += await _check_durability(client, durability, facts)
    return Looked(description(facts), findings)


def description(facts: Mapping[str, str]) -> str:
    """Return the name and the version of a server."""
    if "valkey_version" in facts:
        return f"Valkey {facts['valkey_version']}"
    return f"Redis {facts['redis_version']}" if "redis_version" in facts else "a server"


async def _facts(client: Client) -> dict[str, str]:
    """Return what INFO says; nothing if the user may not ask."""
    try:
        answer = await client.call("INFO")
    except ConfigError as error:
        if "NOPERM" not in str(error) and "permission" not in str(error).lower():
            raise
        logger.debug("the server is not looked at, for the user may not use INFO: %s", error)
        return {}
    lines = bytes(answer).decode(errors="replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))


def check_kind(facts: Mapping[str, str], *, cluster: bool, moves: bool) -> None:
    """Look whether it is the kind of server that the configuration says.

    Raises:
        ConfigError: It is not.
        StoreUnavailable: It is a replica, and may be a primary soon.
    """
    version = facts.get("redis_version", "")
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if parts and parts < OLDEST:
        raise ConfigError(
            f"the server is Redis {version}; the queue needs Redis 6.2, Valkey 7.2 or later"
        )
    mode = facts.get("server_mode") or facts.get("redis_mode")
    if mode == "sentinel":
        raise ConfigError(
            "the server is a Sentinel, which keeps nothing: name it in sentinels=[(host, port)], "
            "and what it calls the primary in service_name="
        )
    clustered = facts.get("cluster_enabled") == "1" or mode == "cluster"
    if clustered and not cluster:
        raise ConfigError("the server is a node of a cluster: say cluster=True")
    if facts.get("role") not in {None, "master"}:
        primary = f"{facts.get('master_host')}:{facts.get('master_port')}"
        replica = f"the server is a read-only replica of {primary}"
        if moves:
            raise StoreUnavailable(f"{replica}; it is not known yet who is the primary")
        raise ConfigError(
            f"{replica}: name the primary, or the sentinels that know it (sentinels=, "
            "service_name=)"
        )


def check_memory(facts: Mapping[str, str]) -> list[Finding]:
    """Look whether the server might throw jobs away when its memory is full.

    Raises:
        ConfigError: It will.
    """
    policy = facts.get("maxmemory_policy", "noeviction")
    if policy == "noeviction":
        return []
    fix = "set maxmemory-policy to noeviction, or use a server that is no cache"
    if policy.startswith("allkeys") and facts.get("maxmemory", "0") != "0":
        raise ConfigError(
            f"the server evicts any key when its memory is full (maxmemory-policy {policy}), so "
            f"jobs would vanish: {fix}"
        )
    message = f"maxmemory-policy is {policy}, so the server may evict keys"
    return [Finding("warning", "memory", message, fix)]


async def _check_disk(client: Client, facts: Mapping[str, str]) -> list[Finding]:
    if facts.get("aof_enabled") != "0" or await _setting(client, "save") != "":
        return []
    message = "the server keeps nothing on disk, so a restart loses all jobs"
    fix = "set appendonly to yes, and appendfsync to everysec or always"
    return [Finding("warning", "disk", message, fix)]


async def largest_value(client: Client) -> int | None:
    """Return how many bytes a value may have that the server takes, if that can be known."""
    size = await _setting(client, "proto-max-bulk-len")
    return int(size) if size else None


async def _setting(client: Client, name: str) -> str | None:
    """Return a setting of the server; ``None`` if the user may not ask, or it has none such."""
    try:
        answer = await client.call("CONFIG", "GET", name)
    except StoreUnavailable:
        raise
    except (ConfigError, StoreError) as error:
        logger.debug("the setting %s of the server is not known: %s", name, error)
        return None
    return bytes(answer[1]).decode() if answer else None


async def _check_durability(
    client: Client, durability: Durability, facts: Mapping[str, str]
) -> list[Finding]:
    if durability == "server":
        return []
    if durability == "aof" and facts.get("aof_enabled") == "0":
        raise ConfigError(
            'durability="aof" needs a server with an append-only file: set appendonly to yes'
        )
    if durability == "aof" and await _setting(client, "appendfsync") == "no":
        raise ConfigError(
            'durability="aof" would wait for ever, as the server never syncs its append-only '
            "file: set appendfsync to always or everysec"
        )
    findings: list[Finding] = []
    if durability == "replicas" and facts.get("connected_slaves") == "0":
        message = 'no replica is connected; with durability="replicas" no job is taken until one is'
        findings.append(Finding("warning", "replicas", message, "start one, or let it connect"))
    trial: tuple[Word, ...] = ("WAITAOF", 0, 0, 1) if durability == "aof" else ("WAIT", 0, 1)
    try:
        await client.call(*trial)
    except StoreError as error:
        if isinstance(error, StoreUnavailable):
            raise
        needs = "WAITAOF (Redis or Valkey 7.2)" if durability == "aof" else "WAIT"
        raise ConfigError(
            f'durability="{durability}" needs a server with {needs}; this one says: {error}'
        ) from error
    return findings
