"""The calls of one exchange each, beside bare httpx that sends the same and reads the same: processor time.

All threads of this process count. The server is in a process of its own and answers at once, whatever it is asked, so
that it is not what is measured. Other libraries join by a line in `BLOCKING` or `ASYNCHRONOUS`.
"""

import gc
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager

import anyio
import httpx

from exbo_oauth import AsyncOAuthClient, SyncOAuthClient

from . import _peers
from ._peers import ACCESS, CLIENT_ID, CLIENT_SECRET, REFRESH, AsyncCalls, Calls
from .ratio import Ratio

ROUNDS = 25
REPEATED = 40
BARE, OURS = "bare httpx", "exbo-oauth"
AIMS = {"sync": 0.95, "asyncio": 1.0, "trio": 1.0}

CLIENT = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}

SERVER = '''
import asyncio, json, sys

ACCESS, REFRESH = sys.argv[1:]
TOKEN = {"token_type": "Bearer", "expires_in": 31536000, "access_token": ACCESS, "refresh_token": REFRESH}
USER = {"id": 7, "uuid": "00000001-0000-4000-8000-000000000001", "login": "ivan", "display_login": "Ivan",
        "distributor": "exbo", "distributor_id": None}
HEAD = """HTTP/1.1 200 OK\\r
Server: nginx\\r
Content-Type: application/json\\r
Content-Length: {}\\r
Connection: keep-alive\\r
Cache-Control: no-store, private\\r
Date: Thu, 26 Nov 2026 12:00:00 GMT\\r
x-ratelimit-limit: 60\\r
x-ratelimit-remaining: 59\\r
\\r
"""

def answer(value):
    body = json.dumps(value)
    return (HEAD.format(len(body)) + body).encode()

ANSWERS = {b"P": answer(TOKEN), b"G": answer(USER)}

class Serving(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.data = transport, b""

    def data_received(self, data):
        self.data += data
        head, separator, body = self.data.partition(b"\\r\\n\\r\\n")
        length = head.lower().partition(b"content-length:")[2].split(b"\\r")[0]
        if separator and len(body) >= int(length or 0):
            self.transport.write(ANSWERS[self.data[:1]])
            self.data = b""

async def main():
    server = await asyncio.get_running_loop().create_server(Serving, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/oauth", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)

asyncio.run(main())
'''


@contextmanager
def service() -> Iterator[str]:
    """Where the server is."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, ACCESS, REFRESH], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.communicate("\n")


def _form(grant: str, **fields: str) -> dict[str, str]:
    return {"grant_type": grant, **CLIENT, **fields, "scope": ""}


def _read(answer: httpx.Response) -> str:
    """What a program does with an answer, at least."""
    value = answer.raise_for_status().json()
    return str(value.get("access_token") or value["login"])


@contextmanager
def bare(url: str) -> Iterator[Calls]:
    """httpx by hand."""
    with httpx.Client(headers={"Accept": "application/json"}) as http:
        yield {
            "get_app_token": lambda: _read(http.post(url + "/token", data=_form("client_credentials"))),
            "refresh": lambda: _read(http.post(url + "/token", data=_form("refresh_token", refresh_token=REFRESH))),
            "validate": lambda: _read(http.get(url + "/user", headers={"Authorization": f"Bearer {ACCESS}"})),
        }


@contextmanager
def ours(url: str) -> Iterator[Calls]:
    """The blocking client."""
    with SyncOAuthClient(**CLIENT, base_url=url) as oauth:
        yield {
            "get_app_token": oauth.get_app_token,
            "refresh": lambda: oauth.refresh_user_token(REFRESH),
            "validate": lambda: oauth.validate_user_token(ACCESS),
        }


@asynccontextmanager
async def abare(url: str, patience: float = 5.0) -> AsyncIterator[AsyncCalls]:
    """httpx by hand, asynchronous."""
    async with httpx.AsyncClient(headers={"Accept": "application/json"}, timeout=patience) as http:

        async def post(grant: str, **fields: str) -> str:
            return _read(await http.post(url + "/token", data=_form(grant, **fields)))

        async def validate() -> str:
            return _read(await http.get(url + "/user", headers={"Authorization": f"Bearer {ACCESS}"}))

        yield {
            "get_app_token": lambda: post("client_credentials"),
            "refresh": lambda: post("refresh_token", refresh_token=REFRESH),
            "validate": validate,
        }


@asynccontextmanager
async def aours(url: str) -> AsyncIterator[AsyncCalls]:
    """The asynchronous client."""
    async with AsyncOAuthClient(**CLIENT, base_url=url) as oauth:
        yield {
            "get_app_token": oauth.get_app_token,
            "refresh": lambda: oauth.refresh_user_token(REFRESH),
            "validate": lambda: oauth.validate_user_token(ACCESS),
        }


BLOCKING: dict[str, Callable[[str], AbstractContextManager[Calls]]] = {
    BARE: bare,
    OURS: ours,
    "authlib": _peers.authlib,
    "requests-oauthlib": _peers.requests_oauthlib,
}
ASYNCHRONOUS: dict[str, Callable[[str], AbstractAsyncContextManager[AsyncCalls]]] = {
    BARE: abare,
    OURS: aours,
    "authlib": _peers.aauthlib,
    "httpx-oauth": _peers.httpx_oauth,
    "stalcraft-api": _peers.stalcraft_api,
}

Times = dict[tuple[str, str], list[float]]  # by call and by whose


def measure() -> Iterator[Ratio]:
    with service() as url:
        yield from _ratios("sync", blocking(url))
        for backend in ("asyncio", "trio"):
            yield from _ratios(backend, anyio.run(asynchronous, url, backend=backend))


def blocking(url: str) -> Times:
    """Seconds of processor time a call, one entry a round; all take turns."""
    times: Times = {}
    for round_ in range(-1, ROUNDS):  # the first is not counted: it connects
        for whose, make in BLOCKING.items():
            with make(url) as calls:
                for name, call in calls.items():
                    call()
                    gc.collect()  # what others have left behind
                    start = time.process_time()
                    for _ in range(REPEATED):
                        call()
                    taken = (time.process_time() - start) / REPEATED
                    times.setdefault((name, whose), []).extend([taken] * (round_ >= 0))
    return times


async def asynchronous(url: str) -> Times:
    """`blocking` on an event loop."""
    times: Times = {}
    for round_ in range(-1, ROUNDS):
        for whose, make in ASYNCHRONOUS.items():
            async with make(url) as calls:
                for name, call in calls.items():
                    await call()
                    gc.collect()
                    start = time.process_time()
                    for _ in range(REPEATED):
                        await call()
                    taken = (time.process_time() - start) / REPEATED
                    times.setdefault((name, whose), []).extend([taken] * (round_ >= 0))
    return times


def _ratios(way: str, times: Times) -> Iterator[Ratio]:
    for (name, whose), taken in times.items():
        if whose != BARE:
            yield Ratio(
                ours=f"{name}, {way}: {whose}",
                theirs=f"{name}, {way}: {BARE}",
                our_times=taken,
                their_times=times[name, BARE],
                aim=AIMS[way] if whose == OURS else None,
            )
