"""A program is driven from one effect of its driver's to the next, blocking and on event loops alike."""

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from exbo_oauth.flow.drive import Done, arun, aupto, run, upto
from exbo_oauth.flow.effects import Chance, Now, Sleep, Spend
from exbo_oauth.masking import Secret
from exbo_oauth.stores import StoreKey

from .transcript import T0


def test_effects_are_values() -> None:
    assert len({Sleep(1.0), Sleep(1.0), Sleep(2.0), Now(), Now(), Chance()}) == 4
    assert Now() != Chance()
    assert hash(Sleep(1.0)) != hash(Sleep(2.0))
    assert repr(Sleep(1.0)) == "Sleep(seconds=1.0)"
    assert (
        repr(Spend(StoreKey("base", "1"), Secret("spent")))
        == f"Spend(key={StoreKey('base', '1')!r}, refresh_token=***)"
    )
    assert "spent" not in repr(Spend(StoreKey("base", "1"), Secret("spent")))


class Broken(Exception):
    pass


def program() -> Any:
    begun = yield from Now()
    try:
        yield from Sleep(1.0)
    except Broken:
        return "broken"
    return begun, (yield from Chance())


def answered(effect: Any) -> Any:
    return {Now: T0, Sleep: None, Chance: 0.5}[type(effect)]


def broken(effect: Any) -> Any:
    if isinstance(effect, Sleep):
        raise Broken
    return answered(effect)


Drive = Callable[..., Any]


def on_a_loop(drive: Drive) -> Drive:
    def driven(*arguments: Any) -> Any:
        *first, perform, answer = arguments

        async def performing(effect: Any) -> Any:
            return perform(effect)

        async def main() -> Any:
            return await drive(*first, performing, *([] if answer is None else [answer]))

        return anyio.run(main)

    return driven


BOTH = pytest.mark.parametrize(
    ("whole", "part"),
    [(lambda steps, perform, _: run(steps, perform), upto), (on_a_loop(arun), on_a_loop(aupto))],
    ids=["blocking", "on an event loop"],
)


@BOTH
def test_a_program_is_driven_to_its_value(whole: Drive, part: Drive) -> None:
    assert whole(program(), answered, None) == (T0, 0.5)
    assert part((), program(), answered, None) == Done((T0, 0.5))


@BOTH
def test_what_an_effect_raises_is_the_programs_business(whole: Drive, part: Drive) -> None:
    assert whole(program(), broken, None) == "broken"


@BOTH
def test_its_driver_does_some_of_the_effects_itself(whole: Drive, part: Drive) -> None:
    steps = program()
    assert part(Sleep, steps, answered, None) == Sleep(1.0)
    assert part(Chance, steps, answered, None) == Chance()
    assert part(Sleep, steps, answered, 0.25) == Done((T0, 0.25))
