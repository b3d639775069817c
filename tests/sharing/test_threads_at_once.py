"""What one process remembers, under threads that run at the same time: as they do where Python has no GIL.

With a GIL they take turns as often as it lets them. On a build without one, whatever brings it back has to be known.
The server is a small one of the standard library, for the sandbox signs its tokens with a package that has no wheel for
each such build.
"""

import asyncio
import json
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import define, field

from exbo_oauth import AppToken, AsyncOAuthClient, MemoryTokenStore, SQLiteTokenStore, StoreKey, SyncOAuthClient
from exbo_oauth.clients.cache import TokenCache
from exbo_oauth.flow.evidence import Acceptance, Refusal, Target
from exbo_oauth.masking import Secret
from exbo_oauth.stores import Entry

THREADS = 16
ROUNDS = 12
JSON = "application/json"


@pytest.fixture(autouse=True)
def _impatient() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@define
class Service:
    """Issues application tokens, each of which ends the one before, and has an API that takes the newest."""

    url: str = ""
    issued: list[str] = field(factory=list)

    def supersede(self) -> None:
        """Somebody else is issued one."""
        self.issued.append("somebody else's")

    def issue(self) -> dict[str, object]:
        self.issued.append(f"token-{len(self.issued)}")
        return {"token_type": "Bearer", "expires_in": 31536000, "access_token": self.issued[-1]}

    def given(self) -> dict[str, Any]:
        return {"client_id": 1, "client_secret": "secret", "base_url": f"{self.url}/oauth"}

    @property
    def ours(self) -> int:
        return sum(token.startswith("token-") for token in self.issued)


@pytest.fixture
def service() -> Iterator[Service]:
    with serving(Service()) as service:
        yield service


@contextmanager
def serving(service: Service) -> Iterator[Service]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self._say(200, service.issue())

        def do_GET(self) -> None:
            newest = f"Bearer {service.issued[-1]}"
            self._say(200 if self.headers.get("authorization") == newest else 401, {})

        def _say(self, status: int, answer: dict[str, object]) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", JSON)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128  # who is not let in at once comes again after a second
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """What as many threads get that begin together, and share the works among themselves."""
    barrier = threading.Barrier(THREADS)

    def begin(number: int) -> Any:
        barrier.wait(60)
        return works[number % len(works)]()

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(begin, range(THREADS)))


def run(call: Callable[[], Any]) -> Any:
    return asyncio.run(call())


def fingerprint(token: AppToken) -> str:
    return token.access_token


def test_threads_get_one_token_and_one_in_its_place(service: Service) -> None:
    for number in range(ROUNDS):
        with SyncOAuthClient(**service.given(), store=MemoryTokenStore()) as client:
            first = at_once(client.ensure_app_token)
            assert len(set(map(fingerprint, first))) == 1
            service.supersede()
            second = at_once(partial(client.ensure_app_token, rejected=first[0]))
            assert set(map(fingerprint, second)) == {service.issued[-1]}
        assert service.ours == 2 * (number + 1)


def test_event_loops_in_threads_get_one_token(service: Service) -> None:
    for number in range(ROUNDS):
        client = AsyncOAuthClient(**service.given(), store=MemoryTokenStore())
        found = at_once(partial(run, client.ensure_app_token))
        asyncio.run(client.aclose())
        assert len(set(map(fingerprint, found))) == 1
        assert service.ours == number + 1


def test_clients_on_one_file_get_one_token_between_them(service: Service, tmp_path: Path) -> None:
    for number in range(ROUNDS):
        stores = [SQLiteTokenStore(tmp_path / f"{number}.db") for _ in range(4)]
        clients = [SyncOAuthClient(**service.given(), store=store) for store in stores]
        found = at_once(*(client.ensure_app_token for client in clients))
        for one in (*clients, *stores):
            one.close()
        assert len(set(map(fingerprint, found))) == 1
        assert service.ours == number + 1


def test_one_auth_object_serves_threads_whose_token_dies(service: Service) -> None:
    with SyncOAuthClient(**service.given(), store=MemoryTokenStore()) as client:
        auth = client.app_auth()

        def ask() -> int:
            with httpx.Client(auth=auth, trust_env=False) as http:
                return http.get(f"{service.url}/regions").status_code

        assert at_once(ask) == [200] * THREADS
        service.supersede()
        assert at_once(ask) == [200] * THREADS
    assert service.ours == 2


def test_what_is_remembered_never_goes_back() -> None:
    """A revision that a thread has seen, in the memory or where it is handed out, is the oldest that it sees later."""
    cache, key = TokenCache(), StoreKey("https://exbo.example", "1")
    revisions, target = count(1), Target("api.example", "/regions")

    def entry(revision: int) -> Entry:
        now = datetime.now(UTC)
        token = AppToken(token_type="Bearer", access_token=f"token-{revision}", expires_in=now + timedelta(days=1))
        return Entry(token=token, revision=revision, issued_by="x", issued_at=now)

    def known() -> list[int]:
        shelf = cache.shelf(key.base_url, key.client_id)
        cell, held = cache.recall(key), shelf.get(None)
        in_memory = [] if cell.entry is None else [cell.entry.revision]
        return in_memory + ([] if held is None else [int(held.token.access_token.removeprefix("token-"))])

    def learn() -> list[int]:
        seen = []
        for _ in range(200):
            cache.remember(key, entry(next(revisions)))
            seen += known()[:1]
        return seen

    def witness() -> list[int]:
        seen = []
        for number in range(200):
            seen += known()[:1]
            token, now = Secret(f"token-{seen[-1] if seen else 0}"), datetime.now(UTC)
            cache.accept(key, Acceptance(token=token, target=Target(f"{number}.example", "/"), at=now, begun=now))
            cache.refuse(key, Refusal(token=token, target=target, at=now, begun=now, first=now))
        return seen

    def hand_out() -> list[int]:
        return [revision for _ in range(400) for revision in known()[1:]]

    for seen in at_once(learn, witness, hand_out):
        assert seen == sorted(seen)
    assert known() == [next(revisions) - 1] * 2


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python has a GIL")
def test_nothing_of_ours_brings_the_gil_back() -> None:
    assert not sys._is_gil_enabled()
