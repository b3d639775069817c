"""Waiting on event loops, of asyncio and of trio: for what other threads do, and for what must not be cancelled."""

import math
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from functools import cache
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

from attrs import define, field

from ..lazy import LazyModule
from ..promise import LOOKS, Awake, Promise, Watch
from .deadline import Deadline, OverError

if TYPE_CHECKING:
    import asyncio

    import anyio
    from anyio import lowlevel
else:  # an event loop needs them, and none has to run where a client is made
    asyncio, anyio, lowlevel = LazyModule("asyncio"), LazyModule("anyio"), LazyModule("anyio.lowlevel")

__all__ = ["awake", "is_asyncio", "post_here", "running_loop", "settled", "shielded"]

T = TypeVar("T")

MOMENT = 0.25  # seconds


def running_loop() -> Any:
    """The running asyncio loop, or trio's token."""
    try:
        token = lowlevel.current_token()
    except RuntimeError:  # a callback of an asyncio loop is no task, and tasks are what anyio knows a loop by
        return asyncio.get_running_loop()
    return getattr(token, "native_token", token)


async def settled(promise: Promise[Any], patience: float, most: float = math.inf) -> bool:
    """Wait until the promise is settled; False after `patience` seconds without a sign of life.

    A `TimeoutError` after `most` seconds.
    """
    event, watch = anyio.Event(), Watch(promise)
    promise.when_settled(_waker(event))
    while not watch.is_over():
        with anyio.move_on_after(min(patience / LOOKS, most)):
            await event.wait()
            return True
        most -= patience / LOOKS
        if most <= 0 and not promise.settled:
            raise TimeoutError
    return promise.settled


@contextmanager
def awake(seconds: float) -> Generator[None]:
    """Leave the block after `seconds` in which this process was not stopped.

    A deadline of the loop's would be over when the process goes on, before anybody can look at what has come.
    """
    with anyio.CancelScope() as scope:
        loop: Any = running_loop()
        stop = _on_asyncio(loop, Awake(seconds), scope.cancel) if is_asyncio(loop) else _on_trio(seconds, scope.cancel)
        try:
            yield
        finally:
            stop()


def is_asyncio(loop: object) -> TypeGuard["asyncio.AbstractEventLoop"]:
    """Whether this is a loop of asyncio's, and not trio's token."""
    return isinstance(loop, asyncio.AbstractEventLoop)


def _on_asyncio(
    loop: "asyncio.AbstractEventLoop", patience: Awake, expire: Callable[[], object]
) -> Callable[[], object]:
    timers = list[asyncio.TimerHandle]()

    def wait() -> None:
        timers[:] = [loop.call_later(patience.slice, look, monotonic())]

    def look(begun: float) -> None:
        (expire if patience.waited(monotonic() - begun) else wait)()

    wait()
    return lambda: timers[0].cancel()


def _on_trio(seconds: float, expire: Callable[[], object]) -> Callable[[], object]:
    import trio

    watch = _watches().get(None)
    if watch is None:
        watch = _Watch()
        _watches().set(watch)
    mine = watch.add(Deadline(seconds), expire)
    if not watch.runs:
        watch.runs = True
        trio.lowlevel.spawn_system_task(watch.run, name="exbo-oauth")
    return lambda: watch.waiting.pop(mine, None)


@define
class _Watch:
    """One task for all who wait on a loop. It stays for a moment after the last, for whoever comes next."""

    waiting: dict[object, tuple[Deadline, Callable[[], object]]] = field(factory=dict)
    runs: bool = False
    _sleeping: "anyio.CancelScope" = field(factory=lambda: anyio.CancelScope())  # loaded then
    _slice: float = 0.0

    def add(self, deadline: Deadline, expire: Callable[[], object]) -> object:
        mine = object()
        self.waiting[mine] = (deadline, expire)
        if deadline < self._slice:
            self._sleeping.cancel()
        return mine

    async def run(self) -> None:
        idle = False
        while self.waiting or not idle:
            idle = not self.waiting
            self._slice = min([MOMENT, *(seconds for mine in list(self.waiting) if (seconds := self._left(mine)))])
            with anyio.CancelScope() as self._sleeping:
                await anyio.sleep(self._slice)
        self.runs = False

    def _left(self, mine: object) -> float:
        deadline, expire = self.waiting[mine]
        try:
            return deadline.slice()
        except OverError:
            del self.waiting[mine]
            expire()
            return 0.0


@cache
def _watches() -> "lowlevel.RunVar[_Watch | None]":
    return lowlevel.RunVar("exbo_oauth.watches")


def post_here() -> Callable[[Callable[[], object]], object]:
    """Has a function called on this loop, from any thread."""
    loop: Any = running_loop()
    return loop.call_soon_threadsafe if is_asyncio(loop) else loop.run_sync_soon


def _waker(event: "anyio.Event") -> Callable[[], None]:
    """Sets an event of this loop from any thread."""
    post = post_here()

    def wake() -> None:
        with suppress(RuntimeError):  # a loop that has ended has nobody waiting in it
            post(event.set)

    return wake


async def shielded(work: Callable[[], Awaitable[T]]) -> T:
    """Finish `work` even if the caller is cancelled meanwhile; the cancellation is passed on afterwards."""
    on_asyncio = is_asyncio(running_loop())
    results: list[T] = []
    with anyio.CancelScope(shield=True):
        results.append(await (_outlasting_cancellation(work) if on_asyncio else work()))
    await lowlevel.checkpoint_if_cancelled()  # a scope's cancellation would wait for the caller's next checkpoint
    return results[0]  # a shielded scope swallows nothing, which type checkers cannot know


async def _outlasting_cancellation(work: Callable[[], Awaitable[T]]) -> T:
    """asyncio cancels tasks, not scopes: a task of its own is what a caller's cancellation does not reach."""

    async def carry() -> T:
        return await work()

    task, cancellation = asyncio.get_running_loop().create_task(carry()), None
    # A loop that ends cancels all tasks that it finds, and waits for them: the caller is found, and waits for this one.
    asyncio._unregister_task(task)  # noqa: SLF001  # documented, for those who extend asyncio
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancellation = error
    if cancellation is None:
        return task.result()
    with suppress(asyncio.CancelledError):
        task.exception()  # looked at, so that asyncio does not complain about it
    raise cancellation
