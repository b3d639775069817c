"""Events on their way to the caller's own coroutine function: each in a task of its own on the loop where it happened.

The rest is as in `listener`. A task that is cancelled, by the caller's program or by its own function, takes no other
event along: those that wait are told after the next one, or when the client is closed.
"""

import contextvars
import math
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import define, field

from ..events import Event
from ..lazy import LazyModule
from . import logbook
from .listener import GOODBYE, ThreadListener, Waiting, is_coroutine_function, put
from .loops import is_asyncio, running_loop
from .notes import Notes
from .per_loop import PerLoop

if TYPE_CHECKING:
    import asyncio

    import anyio
    from anyio import lowlevel, to_thread
else:  # an event loop needs them, and none has to run where a client is made
    asyncio, anyio = LazyModule("asyncio"), LazyModule("anyio")
    lowlevel, to_thread = LazyModule("anyio.lowlevel"), LazyModule("anyio.to_thread")

__all__ = ["TaskListener", "finished", "listener_of"]


@define(eq=False)
class _Line:
    """The events of one event loop. `task` is the id of the one that tells the first of them."""

    waiting: Waiting = field(factory=deque)
    busy: bool = False
    task: int | None = None
    quiet: "anyio.Event" = field(factory=lambda: anyio.Event())  # loaded then


@define(eq=False)
class TaskListener:
    """Tells a coroutine function."""

    on_event: Callable[[Event], Awaitable[object]]
    _lines: PerLoop[_Line] = field(factory=PerLoop[_Line], init=False)

    def emit(self, event: Event) -> None:
        """Log an event, and tell of it sooner or later."""
        logbook.write(event)
        try:
            line = self._lines.get()
        except RuntimeError as error:  # no event loop runs: a blocking library sent a request with the header pair
            logbook.failed(event, error)
            return
        if line is None:
            line = _Line()
            self._lines.set(line)
        put(line.waiting, event)
        if not line.busy:
            self._begin(line)

    async def finish(self) -> None:
        """Wait until everything is told, for a short while."""
        line = self._lines.get()
        if line is None or line.task == anyio.get_current_task().id:
            return
        with anyio.move_on_after(GOODBYE):
            while line.busy or line.waiting:
                if not line.busy:
                    self._begin(line)
                await line.quiet.wait()

    def _begin(self, line: _Line) -> None:
        context, event = line.waiting.popleft()
        line.busy = True
        if line.quiet.is_set():
            line.quiet = anyio.Event()
        try:
            _spawn(context, partial(self._tell, line, event), partial(self._go_on, line))
        except RuntimeError as error:  # trio's loop is about to end, and begins no task any more
            line.busy = False
            logbook.failed(event, error)

    def _go_on(self, line: _Line, cancelled: bool) -> None:
        line.busy, line.task = False, None
        if line.waiting and not cancelled:
            self._begin(line)
        else:
            line.quiet.set()

    async def _tell(self, line: _Line, event: Event) -> None:
        line.task = anyio.get_current_task().id
        await lowlevel.checkpoint()  # a loop may begin its tasks at once, within the call that this must not delay
        try:
            await self.on_event(event)
        except BaseException as error:
            if _is_over(error):
                raise
            logbook.failed(event, error)


def _spawn(context: contextvars.Context, work: Callable[[], Any], ended: Callable[[bool], None]) -> None:
    """Run `work` as a task in `context`; `ended` is told then whether it was cancelled."""
    loop = running_loop()
    if is_asyncio(loop):
        task = context.run(loop.create_task, work())
        task.add_done_callback(lambda done: ended(done.cancelled() or done.exception() is not None))
        return
    import trio

    async def carry() -> None:
        cancelled = True
        try:
            await work()
            cancelled = False
        finally:
            ended(cancelled)

    trio.lowlevel.spawn_system_task(carry, name="exbo-oauth events", context=context)


def _is_over(error: BaseException) -> bool:
    """Whether the running task is to end, by whatever cancels tasks here, or by Ctrl-C.

    trio keeps Ctrl-C away from tasks such as this, and would end the program for whatever one of them raises.
    """
    try:
        loop = running_loop()
    except RuntimeError:  # it was left half-way when its loop ended, and is collected
        return True
    if is_asyncio(loop):
        task = asyncio.current_task()
        return isinstance(error, KeyboardInterrupt) or (task is not None and task.cancelling() > 0)
    return anyio.current_effective_deadline() == -math.inf


def listener_of(on_event: Any) -> "ThreadListener | TaskListener":
    """What tells this function."""
    if is_coroutine_function(on_event):
        return TaskListener(on_event)
    return ThreadListener(on_event)


async def finished(listener: "ThreadListener | TaskListener | Notes") -> None:
    """Wait until everything is told, or written, for a short while."""
    if isinstance(listener, TaskListener):
        await listener.finish()
    elif not listener.is_idle:
        await to_thread.run_sync(listener.finish, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1))
