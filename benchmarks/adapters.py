"""Every HTTP library with an auth object of ours, against the same library with a fixed header.

Beside that stands an object that does nothing but set the header: what a library takes for having one at all. Over
TLS, as every API is asked, and over plain http on loopback, where a proxy that would see the token is looked for.
"""

import asyncio
import datetime
import ipaddress
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import httpx2
import niquests
import requests
from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from exbo_oauth import AsyncOAuthClient, SyncOAuthClient

from .app_auth import JSON, sandbox
from .ratio import Ratio

ROUNDS = 150
REQUESTS = 12  # few: the best rounds are those that nothing else on the machine has disturbed
AIM = 1.03

Clock = Callable[[], float]
CLOCKS: dict[str, Clock] = {"processor time": time.process_time, "wall": time.perf_counter}


SERVER = """
import asyncio, ssl, sys

ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: 2\\r\\n\\r\\n{}"

async def serve(reader, writer):
    try:
        while await reader.readuntil(b"\\r\\n\\r\\n"):
            writer.write(ANSWER)
    except (asyncio.IncompleteReadError, OSError):
        writer.close()

async def main(certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    for scheme, tls in ("https", context), ("http", None):
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
        print(f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)

asyncio.run(main(sys.argv[1]))
"""


@frozen
class Api:
    """Where an API is, the file with its certificate, and whether it is asked as APIs are."""

    url: str
    certificate: str

    @property
    def scheme(self) -> str:
        return self.url.partition(":")[0]

    @property
    def aim(self) -> float | None:
        return AIM if self.scheme == "https" else None

    @property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.certificate)


@contextmanager
def apis() -> Iterator[list[Api]]:
    """Two servers in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        certificate = str(Path(folder, "api.pem"))
        _certify(Path(certificate))
        with subprocess.Popen(
            [sys.executable, "-c", SERVER, certificate], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            try:
                yield [Api(process.stdout.readline().strip(), certificate) for _ in range(2)]
            finally:
                process.communicate("\n")


def _certify(path: Path) -> None:
    """Write a key and a certificate of this machine."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "benchmark")])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + signed.public_bytes(pem))


def measure() -> Iterator[Ratio]:
    with sandbox() as options, apis() as asked:
        for api in asked:
            yield from _blocking(options, api)
            yield from asyncio.run(_asynchronous(options, api))


def _blocking(options: dict[str, str], api: Api) -> Iterator[Ratio]:
    with SyncOAuthClient(**options) as oauth:
        auth, header = oauth.app_auth(), oauth.ensure_app_token().authorization
        for library in (httpx, httpx2):
            settings = [{"auth": auth}, {"auth": _bare(library, header)}, {"headers": {"Authorization": header}}]
            with ExitStack() as opened:
                clients = [
                    opened.enter_context(
                        library.Client(verify=api.trust, **(one | {"headers": JSON | one.get("headers", {})}))
                    )
                    for one in settings
                ]
                yield from _compared(library.__name__, api, clients)
        for library in (requests, niquests):
            with ExitStack() as opened:
                clients = [opened.enter_context(library.Session()) for _ in range(3)]
                for session in clients:
                    session.trust_env = False  # a netrc file, looked for with each request, is not what is measured
                    session.verify = api.certificate
                    session.headers.update(JSON)
                clients[0].auth, clients[1].auth = auth, partial(_set_header, header)
                clients[2].headers["Authorization"] = header
                yield from _compared(library.__name__, api, clients)


def _bare(library: Any, header: str) -> Any:
    """An object for httpx and httpx2 that does nothing but set the header."""

    class Bare(library.Auth):  # type: ignore[misc]  # of either library
        def auth_flow(self, request: Any) -> Iterator[Any]:
            yield _set_header(header, request)

    return Bare()


def _set_header(header: str, request: Any) -> Any:
    request.headers["Authorization"] = header
    return request


def _getter(client: Any, url: str) -> Callable[[], None]:
    def get() -> None:
        assert client.get(url).status_code == 200

    return get


def _compared(name: str, api: Api, clients: list[Any]) -> list[Ratio]:
    gets = [_getter(one, api.url) for one in clients]
    return _ratios(name, api, [[_taken(get) for get in gets] for _ in range(ROUNDS + 1)][1:])


def _taken(get: Callable[[], None]) -> dict[str, float]:
    started = _now()
    for _ in range(REQUESTS):
        get()
    return _since(started)


async def _asynchronous(options: dict[str, str], api: Api) -> list[Ratio]:
    found: list[Ratio] = []
    async with AsyncOAuthClient(**options) as oauth:
        auth, header = oauth.app_auth(), (await oauth.ensure_app_token()).authorization
        fixed = JSON | {"Authorization": header}
        for library in (httpx, httpx2):
            async with (
                library.AsyncClient(headers=JSON, auth=auth, verify=api.trust) as ours,
                library.AsyncClient(headers=JSON, auth=_bare(library, header), verify=api.trust) as bare,
                library.AsyncClient(headers=fixed, verify=api.trust) as theirs,
            ):
                found += await _acompared(f"{library.__name__}, async", api, [ours, bare, theirs])

        async def middleware(request: Any, handler: Any) -> Any:
            return await handler(_set_header(header, request))

        async with AsyncExitStack() as opened:
            sessions = [
                await opened.enter_async_context(
                    aiohttp.ClientSession(
                        connector=aiohttp.TCPConnector(ssl=api.trust), headers=headers, middlewares=middlewares
                    )
                )
                for headers, middlewares in ((JSON, (auth,)), (JSON, (middleware,)), (fixed, ()))
            ]
            found += await _acompared("aiohttp", api, sessions)
    return found


async def _acompared(name: str, api: Api, clients: list[Any]) -> list[Ratio]:
    async def httpx_get(client: Any) -> None:
        assert (await client.get(api.url)).status_code == 200

    async def aiohttp_get(client: Any) -> None:
        async with client.get(api.url) as answer:
            assert answer.status == 200
            await answer.read()

    get = aiohttp_get if name == "aiohttp" else httpx_get
    return _ratios(name, api, [[await _ataken(get, one) for one in clients] for _ in range(ROUNDS + 1)][1:])


async def _ataken(get: Callable[[Any], Awaitable[None]], client: Any) -> dict[str, float]:
    started = _now()
    for _ in range(REQUESTS):
        await get(client)
    return _since(started)


def _now() -> dict[str, float]:
    return {name: clock() for name, clock in CLOCKS.items()}


def _since(started: dict[str, float]) -> dict[str, float]:
    return {name: clock() - started[name] for name, clock in CLOCKS.items()}


def _ratios(name: str, api: Api, taken: list[list[dict[str, float]]]) -> list[Ratio]:
    """Of each round what ours took, what the bare object took, and what a fixed header took."""
    return [
        Ratio(
            ours=f"{name}, {api.scheme}, {what}, {clock}",
            theirs=f"the same with a fixed header, {REQUESTS} requests each",
            our_times=[each[place][clock] for each in taken],
            their_times=[each[2][clock] for each in taken],
            aim=api.aim if place == 0 else None,
        )
        for clock in CLOCKS
        for place, what in enumerate(("app_auth()", "an object that only sets it"))
    ]
