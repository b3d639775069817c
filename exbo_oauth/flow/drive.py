"""The two loops that differ in colour: they pass a program's effects to a performer, and its answers back."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from .effects import Operation, Program

__all__ = ["arun", "run"]

T = TypeVar("T")


def run(program: Program[T], perform: Callable[[Operation], Any]) -> T:
    """Drive a program to its end, blocking."""
    try:
        effect = next(program)
        while True:
            try:
                answer = perform(effect)
            except BaseException as error:  # noqa: BLE001  # the program decides, also about a cancellation
                effect = program.throw(error)
            else:
                effect = program.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result


async def arun(program: Program[T], perform: Callable[[Operation], Awaitable[Any]]) -> T:
    """Drive a program to its end on an event loop."""
    try:
        effect = next(program)
        while True:
            try:
                answer = await perform(effect)
            except BaseException as error:  # noqa: BLE001  # the program decides, also about a cancellation
                effect = program.throw(error)
            else:
                effect = program.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result
