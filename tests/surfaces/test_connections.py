"""The connections that a client keeps: who waits for one, who is called away meanwhile, and what is left behind."""

import gc
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import anyio
import anyio.lowlevel
import httpcore
import httpx
import pytest
from attrs import define, field

from exbo_oauth import ConfigurationError, TransportError
from exbo_oauth.clients import connections
from exbo_oauth.clients.sync_performer import SyncHTTP
from exbo_oauth.protocol import Request

from .conftest import Surface
from .raw import Connection, RawServer, answer, raw_server
from .test_transports import TimeLimitError, _Raising

SECONDS = 20


@define
class Counter:
    """A service that holds its answers back until `gate` is set. A token says over which connection it came."""

    gate: threading.Event = field(factory=threading.Event)
    asked: list[str] = field(factory=list)
    opened: list[int] = field(factory=list)
    closed: list[int] = field(factory=list)
    at_work: int = 0
    most_at_work: int = 0
    _lock: threading.Lock = field(factory=threading.Lock)

    def serve(self, connection: Connection) -> None:
        self.opened.append(connection.number)
        try:
            while connection.request and self._answered(connection):
                self._next(connection)
        finally:
            self.closed.append(connection.number)

    def _next(self, connection: Connection) -> None:
        while not select.select([connection.socket], [], [], 0.05)[0]:
            if connection.over.is_set():  # a connection that an interrupt left in nobody's hands is still open
                connection.request = b""
                return
        connection.next_request()

    def _answered(self, connection: Connection) -> bool:
        with self._lock:
            self.asked.append(connection.request.rpartition(b"code=")[2].partition(b"&")[0].decode())
            self.at_work += 1
            self.most_at_work = max(self.most_at_work, self.at_work)
        while not self.gate.is_set():
            if connection.over.wait(0.01):
                return False
        with self._lock:
            self.at_work -= 1
        token = {"token_type": "Bearer", "expires_in": 60, "access_token": f"by.{connection.number}"}
        connection.send(answer("200 OK", json.dumps(token | {"refresh_token": "r"}).encode()))
        return True


@contextmanager
def counter() -> Iterator[tuple[Counter, RawServer]]:
    service = Counter()
    with raw_server(service.serve) as server:
        yield service, server


def kept_by(client: Any) -> Any:
    """The connections of a client that has sent something."""
    own = getattr(client, "blocking", client)._performer.http._own
    value = next(iter(own.values())) if isinstance(own, dict) else own.get()[1]
    return value._transport._pool


async def _until(condition: Callable[[], bool], surface: Surface) -> None:
    if surface.blocking:
        _wait(condition)
        return
    with anyio.fail_after(SECONDS):
        while not condition():
            await anyio.lowlevel.checkpoint()  # a turn of the loop: a moment in between would be missed otherwise


@define
class Crowd:
    """Calls that are under way: on threads, or in tasks of a group. What each came to is in `found`."""

    surface: Surface
    client: Any
    group: Any
    found: dict[str, Any] = field(factory=dict)

    def start(self, code: str) -> None:
        if self.surface.blocking:
            self.group.submit(self._blocking, code)
        else:
            self.group.start_soon(self._asynchronous, code)

    def _blocking(self, code: str) -> None:
        try:
            self.found[code] = self.client.blocking.get_user_token(code).access_token
        except Exception as error:  # noqa: BLE001  # looked at by the test
            self.found[code] = error

    async def _asynchronous(self, code: str) -> None:
        try:
            self.found[code] = (await self.client.get_user_token(code)).access_token
        except Exception as error:  # noqa: BLE001
            self.found[code] = error


def together(surface: Surface, client: Any, scenario: Callable[[Crowd], Awaitable[None]]) -> dict[str, Any]:
    """Play a scenario with calls at once; what they came to when all are over."""
    crowds: list[Crowd] = []

    async def play(client: Any) -> None:
        if surface.blocking:
            with ThreadPoolExecutor(64) as pool:
                crowds.append(Crowd(surface, client, pool))
                await scenario(crowds[0])
        else:
            async with anyio.create_task_group() as group:
                crowds.append(Crowd(surface, client, group))
                await scenario(crowds[0])

    surface.call(client, play)
    return crowds[0].found


def test_a_crowd_waits_in_a_queue_and_who_came_first_is_served_first(
    surface: Surface, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_MOST", 1)

    async def scenario(crowd: Crowd) -> None:
        crowd.start("c0")
        await _until(lambda: bool(service.asked), surface)
        for number in range(1, 12):
            crowd.start(f"c{number}")
            await _until(lambda: len(kept_by(crowd.client)._waiting) == number, surface)  # noqa: B023
        service.gate.set()

    with counter() as (service, server):
        found = together(surface, surface.client(base_url=server.base_url), scenario)
        assert set(found.values()) == {"by.1"}
        assert service.asked == [f"c{number}" for number in range(12)]


def test_no_more_connections_are_at_work_than_there_may_be(surface: Surface, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_MOST", 2)

    async def scenario(crowd: Crowd) -> None:
        for number in range(2):
            crowd.start(f"c{number}")
            await _until(lambda: len(service.asked) == number + 1, surface)  # noqa: B023
        for number in range(2, 12):
            crowd.start(f"c{number}")
        await _until(lambda: len(kept_by(crowd.client)._waiting) == 10, surface)
        service.gate.set()

    with counter() as (service, server):
        assert len(together(surface, surface.client(base_url=server.base_url), scenario)) == 12
        # Threads that give connections back at the same moment may see a place that is taken a moment later.
        assert 2 <= service.most_at_work <= server.connections <= (6 if surface.blocking else 2)


def test_who_waits_too_long_for_a_connection_has_sent_nothing(
    surface: Surface, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_MOST", 1)

    async def scenario(crowd: Crowd) -> None:
        crowd.start("first")
        await _until(lambda: bool(service.asked), surface)
        crowd.start("second")
        await _until(lambda: "second" in crowd.found, surface)
        service.gate.set()

    with counter() as (service, server):
        client = surface.client(base_url=server.base_url, timeout=1.5, max_retries=0)
        late = together(surface, client, scenario)["second"]
        assert isinstance(late, TransportError)
        assert late.request_sent is False
        assert "all 1 connections were at work" in str(late)
        assert service.asked == ["first"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("when", ["waiting", "given its turn", "given it too late", "connecting", "reading"])
def test_a_call_that_is_cancelled_costs_the_others_no_connection(
    backend: str, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_MOST", 1)
    surface, scopes = Surface(backend), list[anyio.CancelScope]()
    waits = ("waiting", "given its turn", "given it too late")

    async def leave(crowd: Crowd) -> None:
        with anyio.CancelScope() as scope:
            scopes.append(scope)
            await crowd.client.get_user_token("cancelled")

    async def scenario(crowd: Crowd) -> None:
        if when in waits:
            crowd.start("first")
            await _until(lambda: bool(service.asked), surface)
        crowd.group.start_soon(leave, crowd)
        if when == "reading":
            await _until(lambda: bool(service.asked), surface)
        elif when == "connecting":
            await _until(lambda: bool(scopes), surface)
            await _until(lambda: bool(kept_by(crowd.client)._busy), surface)
        else:
            await _until(lambda: bool(kept_by(crowd.client)._waiting), surface)
        crowd.start("next")
        if when.startswith("given"):  # no other moment is late enough
            turn, leaving = kept_by(crowd.client)._waiting[0], scopes[0]
            steps = [turn.wake, leaving.cancel] if when == "given its turn" else [leaving.cancel, turn.wake]
            turn.wake = lambda: [step() for step in steps]
        else:
            scopes[0].cancel()
        service.gate.set()

    with counter() as (service, server):
        client = surface.client(base_url=server.base_url)
        found = together(surface, client, scenario)
        assert scopes[0].cancelled_caught
        first = {"first": "by.1"} if when in waits else {}
        served_by = found.pop("next")
        assert found == first
        # Nobody reads an answer that another one has asked for.
        assert served_by == ("by.2" if when == "reading" else f"by.{server.connections}")
        assert service.asked.count("next") == 1


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarms here")
def test_a_thread_that_is_called_away_while_it_waits_costs_the_others_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_MOST", 1)
    surface = Surface("sync")

    def ring(*_: Any) -> None:
        raise TimeLimitError("time is over")

    async def scenario(crowd: Crowd) -> None:
        crowd.start("first")
        await _until(lambda: bool(service.asked), surface)
        before = signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        try:
            with pytest.raises(TimeLimitError):
                crowd.client.blocking.get_user_token("called-away")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        service.gate.set()
        await _until(lambda: "first" in crowd.found, surface)
        crowd.start("next")

    with counter() as (service, server):
        found = together(surface, surface.client(base_url=server.base_url), scenario)
        assert found["first"] == "by.1"
        assert found["next"].startswith("by.")
        assert "called-away" not in service.asked


# What an interrupt left in nobody's hands between two steps is the garbage collector's, who complains of it.
@pytest.mark.filterwarnings(
    "ignore:unclosed <socket:ResourceWarning", "ignore:Exception ignored:pytest.PytestUnraisableExceptionWarning"
)
def test_who_waits_behind_an_interrupted_thread_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """At whichever place the interrupt comes: two connections are at work, the third call waits, and a fourth."""
    monkeypatch.setattr(connections, "_MOST", 2)
    place, interrupted = 0, True
    while interrupted:
        place, interrupted = place + 1, False
        with counter() as (service, server), ThreadPoolExecutor(4) as threads:
            http, over = SyncHTTP(SECONDS), threading.Event()
            request = Request("POST", f"{server.base_url}/token", {}, b"code=x")
            http.prepare(request.url)
            client = next(iter(http._own.values()))
            waiting = client._transport._pool._waiting
            others = [threads.submit(client.post, request.url, content=b"code=x") for _ in range(2)]
            _wait(lambda: len(service.asked) == 2)

            def go_on() -> int:
                _wait(lambda: bool(waiting) or over.is_set())  # noqa: B023
                last = threads.submit(client.post, request.url, content=b"code=y")  # noqa: B023
                _wait(lambda: len(waiting) > 1 or over.is_set())  # noqa: B023
                service.gate.set()
                return int(last.result().status_code)

            behind = threads.submit(go_on)
            before = sys.gettrace()
            sys.settrace(_Raising(place))
            try:
                http.exchange(request)
            except TimeLimitError:
                interrupted = True
            finally:
                sys.settrace(before)
                over.set()
            assert behind.result(SECONDS) == 200, f"after an interrupt at place {place}"
            assert [one.result(SECONDS).status_code for one in others] == [200, 200]
            http.close()
            client.close()
        gc.collect()
    assert place > 20


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it does not come to that"
        time.sleep(0.002)


def test_whoever_waits_when_the_client_is_closed_is_told_so(surface: Surface, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_MOST", 1)

    async def scenario(crowd: Crowd) -> None:
        crowd.start("at-work")
        await _until(lambda: bool(service.asked), surface)
        kept = kept_by(crowd.client)
        crowd.start("waiting")
        await _until(lambda: bool(kept._waiting), surface)
        await crowd.client.aclose()
        await _until(lambda: len(crowd.found) == 2, surface)
        service.gate.set()

    with counter() as (service, server):
        found = together(surface, surface.client(base_url=server.base_url, max_retries=0), scenario)
        assert isinstance(found["at-work"], TransportError)
        assert isinstance(found["waiting"], ConfigurationError)
        assert "this client is closed" in str(found["waiting"])
        assert service.asked == ["at-work"]
    assert service.closed == [1]


def test_what_is_being_opened_when_the_client_is_closed_does_not_stay_open(surface: Surface) -> None:
    async def scenario(crowd: Crowd) -> None:
        service.gate.set()
        crowd.start("first")
        await _until(lambda: len(crowd.found) == 1, surface)
        kept = kept_by(crowd.client)
        for number in range(8):
            crowd.start(str(number))
        await _until(lambda: len(kept._busy) > 1 or len(crowd.found) == 9, surface)
        await crowd.client.aclose()
        await _until(lambda: len(crowd.found) == 9, surface)
        assert (list(kept._free), kept._busy) == ([], set())
        await _until(lambda: len(service.closed) == len(service.opened), surface)

    with counter() as (service, server):
        together(surface, surface.client(base_url=server.base_url, max_retries=0), scenario)


FORKING = """
import asyncio, os, sys
from exbo_oauth import AsyncOAuthClient, SyncOAuthClient

kind, options = sys.argv[1], {"client_id": 1, "client_secret": "secret", "base_url": sys.argv[2]}

def told(client):
    if kind == "sync":
        return client.get_app_token().access_token
    async def ask():
        return (await client.get_app_token()).access_token
    return asyncio.run(ask())

client = (SyncOAuthClient if kind == "sync" else AsyncOAuthClient)(**options)
print("parent", told(client), flush=True)
child = os.fork()
if not child:
    print("child", told(client), told(client), flush=True)
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
print("parent", told(client), flush=True)
if kind == "sync":
    client.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.parametrize("kind", ["sync", "asyncio"])
def test_a_forked_child_leaves_its_parents_connections_alone(kind: str) -> None:
    with counter() as (service, server):
        service.gate.set()
        command = [sys.executable, "-W", "error", "-c", FORKING, kind, server.base_url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
    first, child, again = (line.split()[1:] for line in done.stdout.splitlines())
    assert first == ["by.1"]
    assert not {*child} & {*first, *again}
    if kind == "sync":
        assert (child, again) == (["by.2", "by.2"], ["by.1"])  # the parent's is as good as before


def test_no_more_connections_are_kept_than_httpx_keeps(surface: Surface, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_KEPT", 3)

    async def scenario(crowd: Crowd) -> None:
        for number in range(8):
            crowd.start(str(number))
        await _until(lambda: len(service.asked) == 8, surface)
        service.gate.set()
        await _until(lambda: len(crowd.found) == 8, surface)
        kept = kept_by(crowd.client)
        await _until(lambda: len(service.closed) >= 5, surface)  # threads that race may close one more
        assert (len(kept._free), len(kept._busy)) == (8 - len(service.closed), 0)

    with counter() as (service, server):
        together(surface, surface.client(base_url=server.base_url), scenario)
        assert server.connections == 8
    assert sorted(service.closed) == list(range(1, 9))


def test_a_recorder_that_looks_like_the_method_that_it_wraps_sees_all(
    surface: Surface, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object in the place of the function, with the function's code, as wrapt makes them."""
    kind: Any = httpcore.ConnectionPool if surface.blocking else httpcore.AsyncConnectionPool
    name = "handle_request" if surface.blocking else "handle_async_request"
    wrapped, seen = getattr(kind, name), list[Any]()

    class Recorder:
        __code__ = wrapped.__code__

        def __get__(self, pool: Any, _: type) -> Any:
            return self if pool is None else lambda request: (seen.append(request), wrapped(pool, request))[1]

    monkeypatch.setattr(kind, name, Recorder())

    async def scenario(crowd: Crowd) -> None:
        service.gate.set()
        crowd.start("recorded")
        await _until(lambda: len(crowd.found) == 1, surface)

    with counter() as (service, server):
        assert together(surface, surface.client(base_url=server.base_url), scenario) == {"recorded": "by.1"}
    assert [request.url.target for request in seen] == [b"/oauth/token"]


def test_a_body_that_is_closed_twice_gives_its_connection_back_once() -> None:
    with counter() as (service, server):
        service.gate.set()
        with closing(httpx.Client()) as client:
            connections.put_in_front([client._transport])
            pool: Any = client._transport._pool
            request = httpcore.Request("GET", f"{server.base_url}/token", headers={"Host": "127.0.0.1"})
            first = pool.handle_request(request)
            list(first.stream)
            first.stream.close()
            second = pool.handle_request(request)
            first.stream.close()
            assert b"".join(second.stream)
            second.stream.close()
            assert server.connections == 1
