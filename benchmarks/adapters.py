"""Every HTTP library with an auth object of ours, against the same library with a fixed header.

Over TLS, as every API is asked, and over plain http on loopback, where a proxy that would see the token is looked for.
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
from contextlib import contextmanager
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

ROUNDS = 40
REQUESTS = 50
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
        auth, fixed = oauth.app_auth(), JSON | {"Authorization": oauth.ensure_app_token().authorization}
        for library in (httpx, httpx2):
            with (
                library.Client(headers=JSON, auth=auth, verify=api.trust) as ours,
                library.Client(headers=fixed, verify=api.trust) as theirs,
            ):
                yield from _compared(library.__name__, api, ours, theirs)
        for library in (requests, niquests):
            with library.Session() as ours, library.Session() as theirs:
                for session in (ours, theirs):
                    session.trust_env = False  # a netrc file, looked for with each request, is not what is measured
                    session.verify = api.certificate
                    session.headers.update(JSON)
                ours.auth = auth
                theirs.headers.update(fixed)
                yield from _compared(library.__name__, api, ours, theirs)


def _getter(client: Any, url: str) -> Callable[[], None]:
    def get() -> None:
        assert client.get(url).status_code == 200

    return get


def _compared(name: str, api: Api, *clients: Any) -> list[Ratio]:
    ours, theirs = (_getter(one, api.url) for one in clients)
    taken = [(_taken(ours), _taken(theirs)) for _ in range(ROUNDS + 1)]
    return _ratios(name, api, taken[1:])


def _taken(get: Callable[[], None]) -> dict[str, float]:
    started = _now()
    for _ in range(REQUESTS):
        get()
    return _since(started)


async def _asynchronous(options: dict[str, str], api: Api) -> list[Ratio]:
    found: list[Ratio] = []

    def connector() -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(ssl=api.trust)

    async with AsyncOAuthClient(**options) as oauth:
        auth, fixed = oauth.app_auth(), JSON | {"Authorization": (await oauth.ensure_app_token()).authorization}
        for library in (httpx, httpx2):
            async with (
                library.AsyncClient(headers=JSON, auth=auth, verify=api.trust) as ours,
                library.AsyncClient(headers=fixed, verify=api.trust) as theirs,
            ):
                found += await _acompared(f"{library.__name__}, async", api, ours, theirs)
        async with (
            aiohttp.ClientSession(connector=connector(), headers=JSON, middlewares=(auth,)) as ours,
            aiohttp.ClientSession(connector=connector(), headers=fixed) as theirs,
        ):
            found += await _acompared("aiohttp", api, ours, theirs)
    return found


async def _acompared(name: str, api: Api, ours: Any, theirs: Any) -> list[Ratio]:
    async def httpx_get(client: Any) -> None:
        assert (await client.get(api.url)).status_code == 200

    async def aiohttp_get(client: Any) -> None:
        async with client.get(api.url) as answer:
            assert answer.status == 200
            await answer.read()

    get = aiohttp_get if name == "aiohttp" else httpx_get
    taken = [(await _ataken(get, ours), await _ataken(get, theirs)) for _ in range(ROUNDS + 1)]
    return _ratios(name, api, taken[1:])


async def _ataken(get: Callable[[Any], Awaitable[None]], client: Any) -> dict[str, float]:
    started = _now()
    for _ in range(REQUESTS):
        await get(client)
    return _since(started)


def _now() -> dict[str, float]:
    return {name: clock() for name, clock in CLOCKS.items()}


def _since(started: dict[str, float]) -> dict[str, float]:
    return {name: clock() - started[name] for name, clock in CLOCKS.items()}


def _ratios(name: str, api: Api, taken: list[tuple[dict[str, float], dict[str, float]]]) -> list[Ratio]:
    return [
        Ratio(
            ours=f"{name}, {api.scheme}, app_auth(), {clock}",
            theirs=f"the same with a fixed header, {REQUESTS} requests each",
            our_times=[ours[clock] for ours, _ in taken],
            their_times=[theirs[clock] for _, theirs in taken],
            aim=api.aim,
        )
        for clock in CLOCKS
    ]
