"""Whatever ends a sign-in: afterwards the port is free, and no thread of ours is left.

The fixture `program` looks after that in every test that uses it, successes and failures alike; here are the ways to
end one from outside.
"""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from exbo_oauth import (
    AsyncOAuthClient,
    ConfigurationError,
    LoginTimeoutError,
    MemoryTokenStore,
    SyncOAuthClient,
    UserToken,
)
from exbo_oauth.testing import FakeExbo

from ..free_ports import free_port
from .conftest import PATIENCE, Program, answer_on, helpers, is_free, until


class CalledOff(Exception):
    """The cancellation was seen."""


Run = Callable[[Awaitable[UserToken], list[Callable[[], object]]], Awaitable[UserToken]]


async def by_task(login: Awaitable[UserToken], cancel: list[Callable[[], object]]) -> UserToken:
    task, loop = asyncio.ensure_future(login), asyncio.get_running_loop()
    cancel.append(lambda: loop.call_soon_threadsafe(task.cancel))
    try:
        return await task
    except asyncio.CancelledError:
        raise CalledOff from None


async def by_scope(login: Awaitable[UserToken], cancel: list[Callable[[], object]]) -> UserToken:
    token, scope = anyio.lowlevel.current_token(), anyio.CancelScope()
    native = token.native_token  # type: ignore[attr-defined]  # asyncio's loop, or trio's own token
    post = getattr(native, "call_soon_threadsafe", None) or native.run_sync_soon
    cancel.append(lambda: post(scope.cancel))
    with scope:
        return await login
    raise CalledOff


WAYS = [
    pytest.param(("asyncio", by_task), id="asyncio-task"),
    pytest.param(("asyncio", by_scope), id="asyncio-scope"),
    pytest.param(("trio", by_scope), id="trio-scope"),
]


@pytest.fixture(params=WAYS)
def cancellable(request: pytest.FixtureRequest, fake: FakeExbo, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """A program on an event loop, and a function that cancels its sign-in from outside."""
    colour, run = request.param
    cancel: list[Callable[[], object]] = []

    class Cancellable(Program):
        store = MemoryTokenStore()

        def options(self) -> dict[str, Any]:
            return {**super().options(), "store": self.store}

        def _on_an_event_loop(self, account: Any, arguments: dict[str, Any]) -> UserToken:
            async def main() -> UserToken:
                async with (
                    httpx.AsyncClient(transport=self.fake.transport()) as http,
                    AsyncOAuthClient(http_client=http, **self.options()) as client,
                ):
                    token: UserToken = await run(client.login(account, **arguments), cancel)
                    return token

            return anyio.run(main, backend=self.colour)

    port = free_port()
    app = fake.add_app(redirect_uris=(f"http://localhost:{port}/callback",))
    program = Cancellable(colour, fake, app, port, lambda: capsys.readouterr().err)
    yield program, lambda: cancel[0]()
    program.join()
    assert is_free(port)
    until(lambda: not helpers(), "every thread of the sign-in has ended")


def test_cancelled_while_nobody_is_there(cancellable: Any) -> None:
    program, cancel = cancellable
    program.start()
    assert program.url
    cancel()
    assert isinstance(program.error(), CalledOff)
    assert is_free(program.port)
    assert program.exchanges() == []


def test_cancelled_at_once(cancellable: Any, fake: FakeExbo) -> None:
    program, cancel = cancellable
    program.start()
    until(lambda: _done(cancel), "there is something to cancel")
    assert isinstance(program.error(), CalledOff)


def _done(cancel: Callable[[], object]) -> bool:
    try:
        cancel()
    except IndexError:
        return False
    return True


def test_cancelled_during_the_exchange(cancellable: Any) -> None:
    """The code is spent, so the token is saved all the same; the browser gets a page, not a broken connection."""
    program, cancel = cancellable
    with program.fake.hold() as gate:
        program.start()
        assert program.visit(program.callback()).status == 303
        gate.wait(1)
        with socket.create_connection(("127.0.0.1", program.port), PATIENCE) as sock:
            sock.sendall(program.request(program.redirect_uri))
            cancel()
            time.sleep(0.1)
            gate.release()
            page = answer_on(sock)
            assert page.status == 200
            assert "The program was stopped" in page.text or "You are signed in" in page.text
    assert isinstance(program.error(), CalledOff)
    assert [key.account for key in program.store.keys()] == ["ivan"]  # noqa: SIM118  # a store is not a dict


def test_the_browser_that_never_asks_for_the_last_page_is_not_waited_for_long(program: Program) -> None:
    program.start()
    program.visit(program.callback())
    program.token()
    program.join()


def test_another_loop_may_run_on_the_same_thread(fake: FakeExbo, capsys: pytest.CaptureFixture[str]) -> None:
    """As in a notebook, whose cells run within a loop."""

    class InACell(Program):
        def _blocking(self, account: Any, arguments: dict[str, Any]) -> UserToken:
            async def cell() -> UserToken:
                return super(InACell, self)._blocking(account, arguments)

            return asyncio.run(cell())

    port = free_port()
    app = fake.add_app(redirect_uris=(f"http://localhost:{port}/callback",))
    program = InACell("sync", fake, app, port, lambda: capsys.readouterr().err).start()
    program.browse(program.callback())
    assert program.token().access_token == fake.issued[-1].access_token
    program.join()
    assert is_free(port)


def test_a_process_without_threads_left_says_so(fake: FakeExbo) -> None:
    port, size = free_port(), threading.stack_size()
    client = SyncOAuthClient(client_id=1, client_secret="secret", redirect_uri=f"http://localhost:{port}")
    threading.stack_size(1 << 46)  # more than any machine can give
    try:
        with pytest.raises(ConfigurationError, match="cannot start a thread"):
            client.login(open_browser=False)
    finally:
        threading.stack_size(size)
        client.close()
    assert is_free(port)


INTERRUPTED = """
import sys, threading
from exbo_oauth import AsyncOAuthClient, SyncOAuthClient

colour, port = sys.argv[1], int(sys.argv[2])
options = dict(client_id=1, client_secret="secret", redirect_uri=f"http://localhost:{port}/callback")

def blocking():
    with SyncOAuthClient(**options) as client:
        client.login("ivan", open_browser=False)

async def waiting():
    async with AsyncOAuthClient(**options) as client:
        await client.login("ivan", open_browser=False)

def run():
    if colour == "sync":
        blocking()
    else:
        import anyio
        anyio.run(waiting, backend=colour)

try:
    run()
except KeyboardInterrupt:
    import socket
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        probe.listen()
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join(120)  # it was told of the end, but may not have had its turn yet
    print("interrupted", [thread.name for thread in threading.enumerate()])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a signal that can be sent to one process")
def test_ctrl_c_leaves_nothing_behind(colour: str) -> None:
    port = free_port()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONWARNINGS": "error"}
    child = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, colour, str(port)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stderr
    until(lambda: re.search("authorize", child.stderr.readline()), "the address is printed")  # type: ignore[union-attr]
    child.send_signal(signal.SIGINT)
    printed, complaints = child.communicate(timeout=PATIENCE)
    assert printed == "interrupted ['MainThread']\n"
    assert complaints.strip() == ""
    assert child.returncode == 0


def test_an_asyncio_time_limit_around_it_is_obeyed(fake: FakeExbo) -> None:
    port = free_port()

    async def main() -> None:
        async with AsyncOAuthClient(
            client_id=1, client_secret="secret", redirect_uri=f"http://localhost:{port}/callback"
        ) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await client.login(open_browser=False)

    asyncio.run(main())
    assert is_free(port)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_other_tasks_go_on_meanwhile(backend: str) -> None:
    port, ticks = free_port(), list[float]()

    async def main() -> None:
        async def tick() -> None:
            while True:
                ticks.append(time.monotonic())
                await anyio.sleep(0.01)

        async with (
            AsyncOAuthClient(
                client_id=1, client_secret="secret", redirect_uri=f"http://localhost:{port}/callback"
            ) as client,
            anyio.create_task_group() as group,
        ):
            group.start_soon(tick)
            with pytest.raises(LoginTimeoutError):
                await client.login(open_browser=False, timeout=2)
            group.cancel_scope.cancel()

    anyio.run(main, backend=backend)
    assert len(ticks) > 5
