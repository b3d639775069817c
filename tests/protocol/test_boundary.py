"""The boundary empties what an error has passed below it, and nothing else."""

import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from attrs import frozen

from exbo_oauth.boundary import boundary, bounded


class Trouble(Exception):
    """What the functions here raise."""


def deep(local: str) -> None:
    raise Trouble(len(local))


@bounded
def public(argument: str) -> None:
    deep(argument * 2)


def with_block(argument: str) -> None:
    with boundary():
        deep(argument * 2)


@bounded
def grouped(argument: str) -> None:
    errors = []
    for _ in range(2):
        try:
            deep(argument)
        except Trouble as error:
            errors.append(error)
    raise ExceptionGroup("several", [ExceptionGroup("inner", errors), ValueError("another")])


@bounded
def chained(argument: str) -> None:
    try:
        deep(argument)
    except Trouble as error:
        try:
            deep(argument + "!")
        except Trouble:
            raise LookupError from error


@bounded
def hiding(argument: str) -> None:
    try:
        f"{argument}\ud800".encode()
    except UnicodeEncodeError:
        raise Trouble from None


def generating(argument: str) -> Iterator[int]:
    with boundary():
        deep(argument)
    yield 1


async def awaited(argument: str) -> None:
    with boundary():
        deep(argument)


def await_it(argument: str) -> None:
    awaited(argument).send(None)


def everything(error: BaseException, seen: list[BaseException] | None = None) -> list[BaseException]:
    """The error and all that hangs on it."""
    seen = [] if seen is None else seen
    if not any(error is known for known in seen):
        seen.append(error)
        for link in (error.__cause__, error.__context__, *getattr(error, "exceptions", ())):
            if link is not None:
                everything(link, seen)
    return seen


def variables(error: BaseException) -> dict[str, dict[str, Any]]:
    """The local variables of each function that the error and its chain have passed, this module's tests aside."""
    frames = [frame for link in everything(error) for frame, _ in traceback.walk_tb(link.__traceback__)]
    return {
        frame.f_code.co_name: dict(frame.f_locals) for frame in frames if not frame.f_code.co_name.startswith("test")
    }


CALLS: dict[str, tuple[Callable[[str], Any], dict[str, set[str]]]] = {
    "a function": (public, {"call": {"public", "outer"}, "public": set(), "deep": set()}),
    "a block": (with_block, {"with_block": {"argument"}, "deep": set()}),
    "a group of errors": (grouped, {"call": {"public", "outer"}, "grouped": set(), "deep": set()}),
    "a chain of errors": (chained, {"call": {"public", "outer"}, "chained": set(), "deep": set()}),
    "a hidden context": (hiding, {"call": {"public", "outer"}, "hiding": set()}),
    "a generator": (
        lambda text: next(generating(text)),
        {"<lambda>": {"text"}, "generating": {"argument"}, "deep": set()},
    ),
    "a coroutine": (await_it, {"await_it": {"argument"}, "awaited": {"argument"}, "deep": set()}),
}


@pytest.mark.parametrize(("call", "left"), CALLS.values(), ids=CALLS)
def test_only_public_frames_keep_variables(call: Callable[[str], Any], left: dict[str, set[str]]) -> None:
    with pytest.raises(Exception) as caught:  # of any kind
        call("secret")
    assert {name: set(found) for name, found in variables(caught.value).items()} == left
    assert not any("secret" in f"{link!r}{vars(link)}" for link in everything(caught.value))


@pytest.mark.parametrize("call", [public, with_block, chained])
def test_what_the_caller_was_handling_keeps_its_variables(call: Callable[[str], Any]) -> None:
    def callers_own(mine: str) -> None:
        raise ZeroDivisionError(mine)

    def handling() -> None:
        try:
            callers_own("look at me")
        except ZeroDivisionError:
            call("secret")

    with pytest.raises((Trouble, LookupError)) as caught:
        handling()
    assert variables(caught.value)["callers_own"] == {"mine": "look at me"}
    assert variables(caught.value)["deep"] == {}


def test_frames_above_the_call_keep_their_variables() -> None:
    def caller(mine: str) -> None:
        public(mine + "!")

    with pytest.raises(Trouble) as caught:
        caller("look at me")
    assert variables(caught.value)["caller"]["mine"] == "look at me"


def test_an_interrupt_is_emptied_as_well() -> None:
    @bounded
    def interrupted(argument: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        interrupted("secret")
    assert variables(caught.value)["interrupted"] == {}


def test_a_generator_that_goes_on_is_left_alone() -> None:
    """A store may raise the same error again and again, and one of its callers be about to handle it."""
    error = Trouble("the one and only")

    def handling(argument: str) -> Iterator[str]:
        try:
            raise error
        except Trouble:
            yield argument
            yield argument + "!"

    @bounded
    def raising() -> None:
        raise error

    going_on = handling("mine")
    assert next(going_on) == "mine"
    with pytest.raises(Trouble):
        raising()
    assert next(going_on) == "mine!"


def test_a_bounded_class_is_the_same_class() -> None:
    @bounded
    @frozen
    class Point:
        x: int

        def __attrs_post_init__(self) -> None:
            deep("secret" * self.x)

    assert list(inspect.signature(Point).parameters) == ["x"]
    with pytest.raises(Trouble) as caught:
        Point(3)
    assert {name for name, found in variables(caught.value).items() if found} == {"call"}
    assert "self" not in variables(caught.value)["call"]


@pytest.mark.skipif(sys.flags.optimize == 2, reason="there are no docstrings")
def test_a_bounded_function_keeps_its_name_its_signature_and_its_answer() -> None:
    @bounded
    def answered(question: str, *, loudly: bool = False) -> str:
        """What it says."""
        return question + "!" * loudly

    assert (answered.__name__, answered.__doc__) == ("answered", "What it says.")
    assert list(inspect.signature(answered).parameters) == ["question", "loudly"]
    assert answered("so", loudly=True) == "so!"
    assert sys.exception() is None
