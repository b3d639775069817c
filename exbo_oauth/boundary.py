"""The boundary: an error that leaves a public call takes no local variable of ours along.

Whoever renders a traceback with locals (pytest, rich, structlog, Sentry) prints what stands in every frame that the
error passed, and in ours stand tokens, codes and client secrets: functions take and return plain values. So each
public call empties, on its way out, the frames that the error has passed, and those of all that is chained to it.

Functions and constructors are `bounded`, and so is every public method of a class that is `bounded_throughout`, as
all stores are. Where a call has to be fast, or is a coroutine or a generator, what it does stands in a ``with
boundary():``; its own frame, which that cannot empty, holds what the caller passed and no more.

The frames above a public call are the caller's and stay as they are, as do those of an exception that the caller was
handling when it called.
"""

import gc
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR, isfunction, isgeneratorfunction
from traceback import walk_tb
from types import FrameType, TracebackType
from typing import Any, TypeVar, cast

__all__ = ["boundary", "bounded", "bounded_throughout", "emptied"]

_RESUMABLE = CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR

E = TypeVar("E", bound=BaseException)
P = TypeVar("P", bound=Callable[..., Any])
C = TypeVar("C", bound=type[Any])


class boundary:  # noqa: N801  # reads as a statement
    """Around what a public call does: an error that passes is `emptied`."""

    __slots__ = ("_outer",)

    def __enter__(self) -> None:
        self._outer = sys.exception()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            emptied(error, self._outer)


def emptied(error: E, outer: BaseException | None = None) -> E:
    """`error`, after every frame that it and its chain have passed was emptied, except for those of `outer`.

    A frame that still runs keeps its variables: the one that calls this, for instance.
    """
    waiting: list[BaseException | None] = [error]
    seen = {id(outer)}
    while waiting:
        link = waiting.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        for frame, _ in walk_tb(link.__traceback__):
            _empty(frame)
        if link.__suppress_context__:
            link.__context__ = None  # what ``from None`` hides may quote a secret: a codec's error holds the text
        waiting += [link.__cause__, link.__context__]
        if isinstance(link, BaseExceptionGroup):
            waiting += link.exceptions
    return error


def _empty(frame: FrameType) -> None:
    """Empty a frame that has ended. One that runs, or is to be resumed, is left alone."""
    if sys.version_info < (3, 13) and frame.f_code.co_flags & _RESUMABLE:  # pragma: no cover  # not on the newest
        # Python would close the generator. The collector sees its variables in the frame once it has ended, only then.
        if frame.f_code not in gc.get_referents(frame):
            return
    with suppress(RuntimeError):
        frame.clear()


def bounded(public: P) -> P:
    """Decorate a public function, or a class for its constructor: an error that leaves it is `emptied`."""
    if isinstance(public, type):
        public.__init__ = bounded(public.__init__)  # type: ignore[misc]  # the same one, in a wrapper
        return cast("P", public)
    if isgeneratorfunction(public):
        return cast("P", _bounded_generator(public))

    @wraps(public)
    def call(*args: Any, **fields: Any) -> Any:
        outer = sys.exception()
        try:
            return public(*args, **fields)
        except BaseException as error:
            del args, fields  # this frame still runs: nobody else can empty it
            emptied(error, outer)
            raise

    return cast("P", call)


def _bounded_generator(public: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(public)
    def generate(*args: Any, **fields: Any) -> Any:
        values = public(*args, **fields)
        del args, fields
        with boundary():
            yield from values

    return generate


def bounded_throughout(kind: C) -> C:
    """Decorate a class: its constructor and each method of its own with a public name are `bounded`."""
    for name, method in list(vars(kind).items()):
        if isfunction(method) and (name == "__init__" or not name.startswith("_")):
            setattr(kind, name, bounded(method))
    return kind
