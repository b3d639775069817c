"""`on_event`: told of everything in order, and never in anybody's way, whatever it does."""

import asyncio
import gc
import logging
import os
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from attrs import define, field

from exbo_oauth import AsyncOAuthClient, ConfigurationError, StoreKey, SyncOAuthClient
from exbo_oauth.clients.aio_listener import TaskListener
from exbo_oauth.clients.listener import MOST, ThreadListener
from exbo_oauth.events import Event, StoreRecovered, TokenIssued
from exbo_oauth.testing import FakeExbo

from .conftest import Surface

PATIENCE = 120.0
KEY = StoreKey("https://exbo.net/oauth", "59")


@define(eq=False)
class Listening:
    """An `on_event` in the colours that a client takes; what it does is `work`, after it has noted the event."""

    coroutine: bool
    work: Callable[[], Any] = lambda: None
    seen: list[Event] = field(factory=list)

    @property
    def on_event(self) -> Any:
        return self._await if self.coroutine else self._call

    def _call(self, event: Event) -> None:
        self.seen.append(event)
        self.work()

    async def _await(self, event: Event) -> None:
        self.seen.append(event)
        outcome = self.work()
        if isinstance(outcome, Awaitable):
            await outcome


@pytest.fixture(params=["function", "coroutine function"])
def listening(request: pytest.FixtureRequest, surface: Surface) -> Listening:
    if surface.blocking and request.param != "function":
        pytest.skip("a blocking client takes no coroutine function")
    return Listening(coroutine=request.param != "function")


async def issued_three_times(client: Any) -> None:
    await client.ensure_app_token()
    await client.replace_app_token()
    await client.replace_app_token()


def reasons(listening: Listening) -> list[str]:
    return [event.reason for event in listening.seen if isinstance(event, TokenIssued)]


def test_it_is_told_of_everything_in_order_before_the_client_is_closed(
    surface: Surface, served: FakeExbo, listening: Listening
) -> None:
    surface.call(surface.client(served, on_event=listening.on_event), issued_three_times)
    assert reasons(listening) == ["first", "asked", "asked"]
    assert all(event.key == StoreKey(served.base_url, str(served.app.client_id)) for event in listening.seen)


def test_it_may_be_an_object_that_is_called_or_a_partial_function(surface: Surface, served: FakeExbo) -> None:
    told: list[Event] = []

    class Called:
        def __call__(self, event: Event) -> None:
            told.append(event)

    class Awaited:
        async def __call__(self, event: Event) -> None:
            told.append(event)

    kind = Called if surface.blocking else Awaited
    surface.call(surface.client(served, on_event=kind()), issued_three_times)
    surface.call(surface.client(served, on_event=partial(kind().__call__)), issued_three_times)
    assert [type(event) for event in told].count(TokenIssued) == 6


@pytest.mark.parametrize(
    "error",
    [ValueError("a bug"), SystemExit(3), asyncio.CancelledError(), KeyboardInterrupt(), GeneratorExit()],
    ids=lambda error: type(error).__name__,
)
def test_what_it_raises_is_logged_and_dropped(
    surface: Surface,
    served: FakeExbo,
    listening: Listening,
    error: BaseException,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if isinstance(error, KeyboardInterrupt) and surface.name == "asyncio" and listening.coroutine:
        pytest.skip("asyncio lets a Ctrl-C end the program from whatever task it finds")

    def work() -> None:
        raise error

    listening.work = work
    surface.call(surface.client(served, on_event=listening.on_event), issued_three_times)
    assert reasons(listening) == ["first", "asked", "asked"]
    records = [record for record in caplog.records if record.name == "exbo_oauth.on_event"]
    assert len(records) == len(listening.seen)
    assert {record.levelno for record in records} == {logging.WARNING}
    assert "on_event failed when it was told of a TokenIssued" in caplog.text
    assert type(error).__name__ in caplog.text


def test_no_call_waits_for_it(surface: Surface, served: FakeExbo, listening: Listening) -> None:
    opened, gate = threading.Event(), anyio.Event()
    listening.work = gate.wait if listening.coroutine else partial(opened.wait, PATIENCE)

    async def scenario(client: Any) -> None:
        await issued_three_times(client)
        assert len(listening.seen) <= 1
        opened.set()
        gate.set()

    surface.call(surface.client(served, on_event=listening.on_event), scenario)
    assert reasons(listening) == ["first", "asked", "asked"]


def test_a_client_can_be_closed_though_it_never_comes_back(
    surface: Surface, served: FakeExbo, listening: Listening
) -> None:
    opened = threading.Event()
    listening.work = anyio.sleep_forever if listening.coroutine else partial(opened.wait, PATIENCE)
    surface.call(surface.client(served, on_event=listening.on_event), issued_three_times)
    assert len(listening.seen) == 1
    opened.set()


def test_it_may_call_the_client(surface: Surface, served: FakeExbo) -> None:
    answers: list[str] = []

    async def call_back(event: Event) -> None:
        if isinstance(event, TokenIssued):
            answers.append((await client.ensure_app_token()).access_token)
            answers.append(str(await client.accounts()))

    def call_back_blocking(event: Event) -> None:
        with pytest.raises(StopIteration):
            call_back(event).send(None)

    client = surface.client(served, on_event=call_back_blocking if surface.blocking else call_back)
    surface.call(client, lambda client: client.ensure_app_token())
    assert answers == [served.issued[-1].access_token, "[]"]


def test_it_may_call_the_client_while_that_waits_for_its_answer(surface: Surface, served: FakeExbo) -> None:
    # The retry is told of in the middle of a flight, which the call back joins.
    tokens: list[str] = []

    async def call_back(event: Event) -> None:
        tokens.append((await client.ensure_app_token()).access_token)

    def call_back_blocking(event: Event) -> None:
        with pytest.raises(StopIteration):
            call_back(event).send(None)

    client = surface.client(served, on_event=call_back_blocking if surface.blocking else call_back)
    served.fail_next(503, retry_after=1)
    surface.call(client, lambda client: client.ensure_app_token())
    assert set(tokens) == {served.issued[-1].access_token}
    assert len(served.issued) == 1


def test_it_may_close_the_client(surface: Surface, served: FakeExbo) -> None:
    closed: list[bool] = []

    async def close(event: Event) -> None:
        await client.aclose()
        closed.append(True)

    def close_blocking(event: Event) -> None:
        with pytest.raises(StopIteration):
            close(event).send(None)

    client = surface.client(served, on_event=close_blocking if surface.blocking else close)
    surface.call(client, lambda client: client.ensure_app_token())
    assert closed == [True]


@pytest.mark.parametrize("surface", ["asyncio", "trio"], indirect=True)
def test_it_may_cancel_itself_and_takes_no_other_event_along(surface: Surface, served: FakeExbo) -> None:
    seen: list[Event] = []

    async def cancelled(event: Event) -> None:
        seen.append(event)
        if surface.name == "asyncio":
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anyio.sleep_forever()
        await anyio.lowlevel.checkpoint()

    surface.call(surface.client(served, on_event=cancelled), issued_three_times)
    assert [type(event) for event in seen].count(TokenIssued) == 3


@pytest.mark.parametrize("surface", ["asyncio", "trio"], indirect=True)
def test_a_loop_that_ends_waits_for_nobody_who_listens(surface: Surface, served: FakeExbo) -> None:
    left: list[bool] = []

    async def listening(event: Event) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            left.append(True)

    client = surface.client(served, on_event=listening)

    async def scenario() -> None:
        await client.ensure_app_token()
        await client.replace_app_token()
        await anyio.sleep(0.05)

    surface.run(scenario)
    assert left == [True]
    surface.run(client.aclose)


@pytest.mark.parametrize("surface", ["asyncio", "trio"], indirect=True)
def test_one_client_tells_the_event_loops_that_it_is_used_from(surface: Surface, served: FakeExbo) -> None:
    listening = Listening(coroutine=True)
    client = surface.client(served, on_event=listening.on_event)

    async def scenario() -> None:
        told = anyio.Event()
        listening.work = told.set
        await client.replace_app_token()
        await told.wait()

    surface.run(scenario)
    surface.run(scenario)
    surface.run(client.aclose)
    assert reasons(listening) == ["first", "asked"]


def test_a_loop_that_begins_its_tasks_at_once_does_not_run_it_within_the_call(served: FakeExbo) -> None:
    eager = getattr(asyncio, "eager_task_factory", None)
    if eager is None:
        pytest.skip("this Python has no eager tasks")
    inside: list[bool] = []
    calling = False

    async def listening(event: Event) -> None:
        inside.append(calling)

    async def scenario() -> None:
        nonlocal calling
        asyncio.get_running_loop().set_task_factory(eager)
        async with Surface("asyncio").raw_client(served, on_event=listening) as client:
            emit = client._performer.emit
            calling = True
            emit(recovered())
            calling = False

    asyncio.run(scenario())
    assert inside == [False]


STORY: ContextVar[str] = ContextVar("STORY", default="nobody")


def test_it_is_called_in_the_context_of_the_call(surface: Surface, served: FakeExbo, listening: Listening) -> None:
    stories: list[str] = []
    listening.work = lambda: stories.append(STORY.get())

    async def scenario(client: Any) -> None:
        STORY.set("one")
        await client.ensure_app_token()
        STORY.set("two")
        await client.replace_app_token()
        STORY.set("nobody")

    surface.call(surface.client(served, on_event=listening.on_event), scenario)
    assert stories[0] == "one"
    assert stories[-1] == "two"


@pytest.mark.parametrize(
    ("kind", "on_event", "problem"),
    [
        (SyncOAuthClient, "print", "on_event must be a function that takes an event, not a str"),
        (AsyncOAuthClient, 3, "on_event must be a function that takes an event, not an int"),
        (SyncOAuthClient, Listening(coroutine=True).on_event, "a coroutine function is for AsyncOAuthClient"),
    ],
    ids=["a text", "a number", "a coroutine function for a blocking client"],
)
def test_what_cannot_be_called_is_refused(kind: Any, on_event: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        kind(client_id=59, client_secret="x", on_event=on_event)


def test_from_env_takes_one(surface: Surface, served: FakeExbo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXBO_CLIENT_ID", str(served.app.client_id))
    monkeypatch.setenv("EXBO_CLIENT_SECRET", served.app.client_secret)
    monkeypatch.setenv("EXBO_OAUTH_URL", served.base_url)
    listening = Listening(coroutine=False)
    client = surface.awaited(surface.kind.from_env(on_event=listening.on_event))
    surface.call(client, lambda client: client.ensure_app_token())
    assert reasons(listening) == ["first"]


def test_a_function_that_gives_a_coroutine_is_told_so(
    surface: Surface, served: FakeExbo, caplog: pytest.LogCaptureFixture
) -> None:
    async def notify(event: Event) -> None:
        raise AssertionError("nobody awaits this")

    surface.call(surface.client(served, on_event=lambda event: notify(event)), lambda client: client.ensure_app_token())
    assert "on_event gave a coroutine" in caplog.text


# Below the clients


def recovered(number: int = 0) -> Event:
    return StoreRecovered(at=datetime.now(UTC), key=KEY, fingerprint=f"{number:08x}")


def numbers(events: list[Any]) -> list[int]:
    return [int(event.fingerprint, 16) for event in events]


def test_of_many_events_that_wait_the_oldest_are_dropped(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Event] = []
    inside, gate = threading.Event(), threading.Event()

    def on_event(event: Event) -> None:
        seen.append(event)
        inside.set()
        assert gate.wait(PATIENCE)

    listener = ThreadListener(on_event)
    listener.emit(recovered())
    assert inside.wait(PATIENCE)
    for number in range(1, MOST + 11):
        listener.emit(recovered(number))
    gate.set()
    listener.finish()
    assert numbers(seen) == [0, *range(11, MOST + 11)]
    assert "on_event is slow" in caplog.text


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_of_many_events_that_wait_for_a_coroutine_function_the_oldest_are_dropped(
    backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Event] = []

    async def scenario() -> None:
        inside, gate = anyio.Event(), anyio.Event()

        async def on_event(event: Event) -> None:
            seen.append(event)
            inside.set()
            await gate.wait()

        listener = TaskListener(on_event)
        listener.emit(recovered())
        await inside.wait()
        for number in range(1, MOST + 11):
            listener.emit(recovered(number))
        gate.set()
        await listener.finish()

    anyio.run(scenario, backend=backend)
    assert numbers(seen) == [0, *range(11, MOST + 11)]
    assert "on_event is slow" in caplog.text


def test_what_happens_when_trio_begins_no_task_any_more_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    kept: list[Any] = []

    async def on_event(event: Event) -> None:
        raise AssertionError("there is no loop to await it on")

    async def left_open() -> AsyncIterator[None]:
        try:
            yield
        finally:
            listener.emit(recovered())

    async def scenario() -> None:
        kept.append(left_open())
        await anext(kept[0])

    listener = TaskListener(on_event)
    anyio.run(scenario, backend="trio")
    assert "on_event failed when it was told of a StoreRecovered" in caplog.text


def test_whoever_is_told_when_a_loop_is_closed_unfinished_is_left_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Event] = []

    async def on_event(event: Event) -> None:
        seen.append(event)
        await asyncio.get_running_loop().create_future()

    async def scenario() -> None:
        TaskListener(on_event).emit(recovered())
        while not seen:  # noqa: ASYNC110  # nobody tells of it
            await asyncio.sleep(0)

    with closing(asyncio.new_event_loop()) as loop:
        loop.run_until_complete(scenario())
    gc.collect()
    assert len(seen) == 1
    assert "on_event failed" not in caplog.text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_tells_what_happens_in_it_and_nothing_of_its_parent() -> None:
    reader, writer = os.pipe()
    inside, gate = threading.Event(), threading.Event()

    def on_event(event: Any) -> None:
        if os.getpid() == parent:
            inside.set()
            assert gate.wait(PATIENCE)
        else:
            os.write(writer, event.fingerprint.encode())

    parent, listener = os.getpid(), ThreadListener(on_event)
    listener.emit(recovered(1))
    listener.emit(recovered(2))
    assert inside.wait(PATIENCE)
    child = os.fork()
    if child == 0:
        listener.finish()
        listener.emit(recovered(3))
        listener.finish()
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader) as told:
        assert told.read() == f"{3:08x}"
    gate.set()
    listener.finish()


def test_a_client_whose_listener_holds_it_is_collected(surface: Surface) -> None:
    class Bot:
        def __init__(self) -> None:
            self.client = surface.raw_client(on_event=self.note)

        def note(self, event: Event) -> None:
            """Nothing."""

    bot = Bot()
    gone = weakref.ref(bot.client)
    if surface.blocking:
        bot.client._performer.emit(recovered())
        bot.client._listener.finish()
    del bot
    gc.collect()
    assert gone() is None
