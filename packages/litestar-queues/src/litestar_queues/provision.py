"""What one attempt of a task depends on, from its making to its end."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from litestar.di import Provide
from litestar.utils.sync import AsyncCallable

from litestar_queues.sessions import end_session, is_session

if TYPE_CHECKING:
    from litestar import Litestar
    from litestar.types import HTTPScope

GIVEN = frozenset({"app", "scope", "state"})
"""What a dependency can have although there is no request."""

_GATHERS = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Dependency:
    """A dependency of the application.

    Attributes:
        provide: Makes its value.
        required: The parameters it cannot be made without.
        optional: Those that have a default.
    """

    def __init__(self, provider: Any) -> None:
        self.provide: Provide = provider if isinstance(provider, Provide) else Provide(provider)
        made_by = self.provide.dependency
        function = made_by.func if isinstance(made_by, AsyncCallable) else made_by
        parameters = [
            one
            for one in inspect.signature(function).parameters.values()
            if one.kind not in _GATHERS
        ]
        self.required: list[str] = [one.name for one in parameters if one.default is one.empty]
        self.optional: list[str] = [one.name for one in parameters if one.default is not one.empty]


class Provision:
    """Makes values, each at most once, and leaves their end to a stack.

    Args:
        app: The application.
        find: Finds its dependencies by name.
        lacking: Says what a name needs that cannot be had here, if anything.
        stack: Ends what was made, in reverse, told of the attempt's error.
    """

    def __init__(
        self,
        app: Litestar,
        find: Callable[[str], Dependency | None],
        lacking: Callable[[str], str | None],
        stack: AsyncExitStack,
    ) -> None:
        self._app = app
        self._find = find
        self._lacking = lacking
        self._stack = stack
        self._scope = make_scope(app)
        self._fresh = frozenset(self._scope)
        self._made: dict[str, Any] = {}
        self._sessions: list[object] = []
        stack.push_async_exit(self._end_scope)

    async def value(self, name: str) -> Any:
        """Return the value of a dependency, or of what is given."""
        dependency = self._find(name)
        if dependency is None:
            return {"app": self._app, "scope": self._scope, "state": self._app.state}[name]
        if name not in self._made:
            needed = [*dependency.required]
            needed += [one for one in dependency.optional if not self._lacking(one)]
            arguments = {one: await self.value(one) for one in needed}
            self._made[name] = await self._enter(
                dependency.provide, await dependency.provide(**arguments)
            )
        return self._made[name]

    async def _enter(self, provide: Provide, made: Any) -> Any:
        if provide.has_async_generator_dependency:
            return await self._enter_async_generator(made)
        if provide.has_sync_generator_dependency:
            return self._enter_generator(made)
        if is_session(made) and not provide.use_cache and made not in self._sessions:
            self._sessions.append(made)
            self._stack.push_async_exit(partial(end_session, made))
        return made

    async def _enter_async_generator(self, generator: AsyncGenerator[Any, None]) -> Any:
        context = asynccontextmanager(lambda: generator)()
        value = await context.__aenter__()

        async def leave(*exc: Any) -> None:
            # Whether it swallows the error or not: what failed has failed.
            await context.__aexit__(*exc)

        self._stack.push_async_exit(leave)
        return value

    def _enter_generator(self, generator: Generator[Any, None, None]) -> Any:
        context = contextmanager(lambda: generator)()
        value = context.__enter__()

        def leave(*exc: Any) -> None:
            context.__exit__(*exc)

        self._stack.push(leave)
        return value

    async def _end_scope(self, kind: object, error: BaseException | None, _: object) -> None:
        """End what providers have put into the scope, as the end of a request would.

        The application's ``before_send`` hooks do that.  Sessions are ended already, and told so by
        their absence: a hook may hide that its commit has failed.
        """
        self._forget_sessions()
        if self._fresh.issuperset(self._scope) and not self._scope["state"]:
            return
        status = 200 if kind is None else 500
        for hook in self._app.before_send:
            await hook(
                {"type": "http.response.start", "status": status, "headers": []},
                cast("HTTPScope", self._scope),
            )

    def _forget_sessions(self) -> None:
        for key, value in list(self._scope.items()):
            if isinstance(value, dict):
                kept = cast("dict[str, object]", value)
                for name in [name for name, one in kept.items() if one in self._sessions]:
                    del kept[name]
                if not kept and key not in self._fresh:
                    del self._scope[key]


def make_scope(app: Litestar) -> dict[str, Any]:
    """Return the scope of a request that nobody has made."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "app": app,
        "litestar_app": app,
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/",
        "raw_path": b"/",
        "root_path": "",
        "path_params": {},
        "query_string": b"",
        "headers": [],
        "client": None,
        "server": None,
        "extensions": {},
        "session": {},
        "user": None,
        "auth": None,
        "state": {},
    }
