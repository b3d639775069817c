"""Waiting on event loops, of asyncio and of trio: for what other threads do, and for what must not be cancelled."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import anyio
import anyio.lowlevel

from ..promise import LOOKS, Promise, Watch

__all__ = ["post_here", "running_loop", "settled", "shielded"]

T = TypeVar("T")


def running_loop() -> Any:
    """The running asyncio loop, or trio's token."""
    token = anyio.lowlevel.current_token()
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


def post_here() -> Callable[[Callable[[], object]], object]:
    """Has a function called on this loop, from any thread."""
    loop: Any = running_loop()
    return loop.call_soon_threadsafe if isinstance(loop, asyncio.AbstractEventLoop) else loop.run_sync_soon


def _waker(event: anyio.Event) -> Callable[[], None]:
    """Sets an event of this loop from any thread."""
    post = post_here()

    def wake() -> None:
        with suppress(RuntimeError):  # a loop that has ended has nobody waiting in it
            post(event.set)

    return wake


async def shielded(work: Callable[[], Awaitable[T]]) -> T:
    """Finish `work` even if the caller is cancelled meanwhile; the cancellation is passed on afterwards."""
    on_asyncio = isinstance(running_loop(), asyncio.AbstractEventLoop)
    results: list[T] = []
    with anyio.CancelScope(shield=True):
        results.append(await (_outlasting_cancellation(work) if on_asyncio else work()))
    await anyio.lowlevel.checkpoint_if_cancelled()  # a scope's cancellation would wait for the caller's next checkpoint
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
    if not task.cancelled():
        task.exception()  # looked at, so that asyncio does not complain about it
    raise cancellation
