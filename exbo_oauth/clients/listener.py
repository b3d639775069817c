"""Events on their way to the caller's own function, which is called where it can hold nobody up: on another thread.

One event at a time, in their order, each in the context (`contextvars`) of the call that it comes from. The thread
lives for as long as there is something to tell. What the function raises is logged and dropped. It may take its time:
when `MOST` events wait for it, the oldest are dropped, which is logged, too.
"""

import contextvars
import inspect
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias, cast

from attrs import define, field

from ..errors import ConfigurationError
from ..events import Event
from ..misuse import kind_of
from ..threads import CHANGED, begin
from . import logbook

__all__ = ["GOODBYE", "MOST", "OnEvent", "ThreadListener", "Waiting", "is_coroutine_function", "plain", "put"]

OnEvent: TypeAlias = Callable[[Event], object]
Waiting: TypeAlias = "deque[tuple[contextvars.Context, Event]]"

MOST = 1000
GOODBYE = 2.0
"""For how many seconds a client that is closed waits until everything is told."""


def is_coroutine_function(on_event: Any) -> bool:
    """Whether this is one, or is called like one; raises `ConfigurationError` for what cannot be called."""
    if on_event is not None and not callable(on_event):
        raise ConfigurationError(f"on_event must be a function that takes an event, not {kind_of(on_event)}")
    called = getattr(type(on_event), "__call__", None)  # noqa: B004  # looked at, not asked for
    return inspect.iscoroutinefunction(on_event) or inspect.iscoroutinefunction(called)


def plain(on_event: Any) -> OnEvent | None:
    """`on_event`, for a client that awaits nothing."""
    if is_coroutine_function(on_event):
        raise ConfigurationError("on_event must be a plain function here: a coroutine function is for AsyncOAuthClient")
    return cast("OnEvent | None", on_event)


def put(waiting: Waiting, event: Event) -> None:
    """Have an event wait for its turn, in the present context."""
    if len(waiting) == MOST:
        logbook.overflowing(MOST)
        waiting.popleft()
    waiting.append((contextvars.copy_context(), event))


@define(eq=False)
class ThreadListener:
    """Tells a plain function, if there is one."""

    on_event: OnEvent | None
    _waiting: Waiting = field(factory=deque, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)
    _lock: Any = field(factory=threading.RLock, init=False)
    _changed: Any = field(init=False, default=CHANGED)
    _process: int = field(factory=os.getpid, init=False)

    def emit(self, event: Event) -> None:
        """Log an event, and tell of it sooner or later."""
        logbook.write(event)
        if self.on_event is None:
            return
        if self._process != os.getpid():
            self._begin_anew()
        with self._lock:
            put(self._waiting, event)
            if self._thread is not None and self._thread.is_alive():
                return
            self._thread = threading.Thread(target=self._run, name="exbo-oauth events", daemon=True)
            try:
                begin(self._thread)
            except RuntimeError:  # the interpreter is going down and starts no thread any more
                self._begin_anew()

    def finish(self) -> None:
        """Wait until everything is told, for a short while."""
        if self._process == os.getpid() and threading.current_thread() is not self._thread:
            with self._changed:
                self._changed.wait_for(lambda: self._thread is None, GOODBYE)

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to be told."""
        return self._thread is None

    def _begin_anew(self) -> None:
        """In a child after a fork the thread, and what it had to tell, are the parent's."""
        self._waiting, self._thread = deque(), None
        self._lock, self._process = threading.RLock(), os.getpid()
        self._changed = threading.Condition(self._lock)

    def _run(self) -> None:
        while (following := self._next()) is not None:
            context, event = following
            context.run(self._tell, event)

    def _next(self) -> tuple[contextvars.Context, Event] | None:
        with self._changed:
            if self._waiting:
                return self._waiting.popleft()
            self._thread = None
            self._changed.notify_all()
            return None

    def _tell(self, event: Event) -> None:
        assert self.on_event is not None  # noqa: S101  # nothing waits otherwise
        try:
            answer = self.on_event(event)
            if inspect.iscoroutine(answer):
                answer.close()
                raise TypeError("on_event gave a coroutine, which nobody awaits here: see `on_event` of the clients")
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is not the caller's business
            logbook.failed(event, error)
