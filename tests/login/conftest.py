"""Programs that call `login`, each scenario run three ways, and what comes to their listeners, on real sockets."""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any

import anyio
import httpx
import pytest
from attrs import define, field, frozen

from exbo_oauth import AsyncOAuthClient, SyncOAuthClient, UserToken
from exbo_oauth.testing import App, FakeExbo

from ..free_ports import free_port

PATIENCE = 120.0  # seconds until a test gives up on something that has to happen


def until(condition: Callable[[], Any], what: str) -> Any:
    """The first true value of `condition`."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < end, f"waited in vain until {what}"
        time.sleep(0.01)
    return value


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@frozen
class Answer:
    """What a listener sent back."""

    status: int
    headers: httpx.Headers
    text: str


def send(port: int, data: bytes, address: str = "127.0.0.1") -> Answer:
    """Send bytes as they are, and read until the other side closes."""
    with socket.create_connection((address, port), PATIENCE) as sock:
        with suppress(OSError):  # refused while we were still talking
            sock.sendall(data)
        return answer_on(sock)


def answer_on(sock: socket.socket) -> Answer:
    received = b""
    while piece := sock.recv(65536):
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = httpx.Headers([tuple(line.split(": ", 1)) for line in lines])  # type: ignore[misc]  # pairs, as asserted
    return Answer(int(status.split()[1]), headers, body.decode())


@define
class Program:
    """Somebody's program that signs a user in, on a thread of its own."""

    colour: str
    fake: FakeExbo
    app: App
    port: int
    read_terminal: Callable[[], str]
    host: str = "localhost"
    path: str = "/callback"
    result: "Future[UserToken]" = field(factory=Future)
    printed: str = ""
    _thread: threading.Thread | None = None

    @property
    def redirect_uri(self) -> str:
        return f"http://{self.host}:{self.port}{self.path}"

    def options(self) -> dict[str, Any]:
        return {
            "client_id": self.app.client_id,
            "client_secret": self.app.client_secret,
            "base_url": self.fake.base_url,
            "redirect_uri": self.redirect_uri,
        }

    def start(self, account: Any = "ivan", **arguments: Any) -> "Program":
        arguments = {"open_browser": False, "timeout": PATIENCE, **arguments}
        run = self._blocking if self.colour == "sync" else self._on_an_event_loop
        self._thread = threading.Thread(target=self._carry, args=(run, account, arguments))
        self._thread.start()
        return self

    def _carry(self, run: Callable[..., UserToken], account: Any, arguments: dict[str, Any]) -> None:
        try:
            self.result.set_result(run(account, arguments))
        except BaseException as error:  # noqa: BLE001  # for the test to look at
            self.result.set_exception(error)

    def _blocking(self, account: Any, arguments: dict[str, Any]) -> UserToken:
        with httpx.Client(transport=self.fake.transport()) as http:
            client = SyncOAuthClient(http_client=http, **self.options())
            try:
                return client.login(account, **arguments)
            finally:
                client.close()

    def _on_an_event_loop(self, account: Any, arguments: dict[str, Any]) -> UserToken:
        async def main() -> UserToken:
            async with (
                httpx.AsyncClient(transport=self.fake.transport()) as http,
                AsyncOAuthClient(http_client=http, **self.options()) as client,
            ):
                return await client.login(account, **arguments)

        return anyio.run(main, backend=self.colour)

    def on_terminal(self) -> str:
        """All that was printed so far."""
        self.printed += self.read_terminal()
        return self.printed

    @property
    def url(self) -> str:
        """The address that the program printed for its user."""
        found = until(lambda: re.search(r"https?://\S+/authorize\?\S+", self.on_terminal()), "the address is printed")
        address: str = found[0]
        return address

    def callback(self, user: str = "ivan", *, approve: bool = True) -> str:
        """Where the user's browser is sent."""
        return self.fake.authorize(self.url, user, approve=approve)

    def request(self, target: str, *headers: str, method: str = "GET", host: str | None = None) -> bytes:
        """A request as a browser sends it: `target` is an address or a path."""
        path = target.removeprefix(f"http://{self.host}:{self.port}")
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host or f'{self.host}:{self.port}'}", *headers, "", ""]
        return "\r\n".join(lines).encode("latin-1")

    def visit(self, target: str, *headers: str) -> Answer:
        assert self.url  # it listens from here on
        return send(self.port, self.request(target, *headers))

    @contextmanager
    def asking(self, target: str, *headers: str) -> Iterator[socket.socket]:
        """A browser that has asked for an address and has not been answered yet."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as sock:
            sock.sendall(self.request(target, *headers))
            yield sock

    def browse(self, target: str, *headers: str) -> Answer:
        """Visit, and follow the way to the last page, before the two seconds begin in which it must be asked for."""
        with self.fake.hold() as gate:
            answer = self.visit(target, *headers)
            assert answer.status == 303
            with self.asking(answer.headers["location"], *headers) as browser:
                gate.release()
                return answer_on(browser)

    def exchanges(self) -> list[Any]:
        return [request for request in self.fake.requests if request.path == "/oauth/token"]

    def token(self) -> UserToken:
        return self.result.result(PATIENCE)

    def error(self) -> BaseException:
        error = self.result.exception(PATIENCE)
        assert error is not None
        return error

    def is_waiting(self) -> bool:
        return not self.result.done()

    def join(self) -> None:
        if self._thread is not None:
            self._thread.join(PATIENCE)
            assert not self._thread.is_alive()


def listens(port: int) -> bool:
    """Whether anything takes connections there, on either address."""
    for address in ("127.0.0.1", "::1"):
        try:
            with socket.create_connection((address, port), 1):
                return True
        except OSError:
            continue
    return False


def is_free(port: int) -> bool:
    """Whether the port could be had at once by the next program."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError:
            return False
    return not listens(port)


def helpers() -> list[str]:
    """The threads that `login` started and that are still there.

    Others belong to the process and have a space in their names: one saves what an earlier test's store did not take.
    """
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith("exbo-oauth") and " " not in name]


@pytest.fixture
def fake() -> FakeExbo:
    return FakeExbo()


@pytest.fixture(params=["sync", "asyncio", "trio"])
def colour(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def program(colour: str, fake: FakeExbo, capsys: pytest.CaptureFixture[str]) -> Iterator[Program]:
    """A program that is not started yet; whatever it did, it must be gone without a trace afterwards."""
    port = free_port()
    app = fake.add_app(
        "The program", redirect_uris=(f"http://localhost:{port}/callback", f"http://127.0.0.1:{port}/cb")
    )
    made = Program(colour, fake, app, port, lambda: capsys.readouterr().err)
    yield made
    made.join()
    assert is_free(port)
    until(lambda: not helpers(), "every thread of the sign-in has ended")
