"""The two loops, blocking and on an event loop: they pass a program's effects to a performer, and its answers back.

A program whose driver does some of its effects itself, as the adapter of an HTTP library sends requests, is driven
from one of those to the next.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from attrs import frozen

from .effects import Operation, Program

__all__ = ["Done", "arun", "aupto", "run", "upto"]

T = TypeVar("T")
E = TypeVar("E")


@frozen
class Done(Generic[T]):
    """A program has ended, with this value."""

    value: T


def run(program: Program[T], perform: Callable[[Operation], Any]) -> T:
    """Drive a program to its end, blocking."""
    return _value(upto((), program, perform))


async def arun(program: Program[T], perform: Callable[[Operation], Awaitable[Any]]) -> T:
    """Drive a program to its end on an event loop."""
    return _value(await aupto((), program, perform))


def _value(end: Any | Done[T]) -> T:
    value: T = end.value
    return value


def upto(
    kinds: type[E] | tuple[()], program: Program[T], perform: Callable[[Operation], Any], answer: Any = None
) -> E | Done[T]:
    """Drive a program, which is sent `answer` to begin with, to its next effect of these `kinds`, or to its end."""
    try:
        effect = program.send(answer)
        while not isinstance(effect, kinds):
            try:
                answer = perform(effect)
            except BaseException as error:  # noqa: BLE001  # the program decides, also about a cancellation
                effect = program.throw(error)
            else:
                effect = program.send(answer)
    except StopIteration as stop:
        return Done(stop.value)
    return effect


async def aupto(
    kinds: type[E] | tuple[()], program: Program[T], perform: Callable[[Operation], Awaitable[Any]], answer: Any = None
) -> E | Done[T]:
    """`upto` on an event loop."""
    try:
        effect = program.send(answer)
        while not isinstance(effect, kinds):
            try:
                answer = await perform(effect)
            except BaseException as error:  # noqa: BLE001  # the program decides, also about a cancellation
                effect = program.throw(error)
            else:
                effect = program.send(answer)
    except StopIteration as stop:
        return Done(stop.value)
    return effect
