"""Mixed requests to the sandbox for each second of one processor: in process, and over a loopback socket.

Of ten requests one issues a token (RSA of 2048 bits, a third of a millisecond on its own) and one is refused a refresh,
two ask who somebody is, one opens a resource, one an authorization request, four are calls to the game API. It is the
server's processor time that counts, so that a machine that is busy otherwise shows nearly the same.
"""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.parse import urlencode, urlsplit

from exbo_oauth.protocol import Request
from exbo_oauth.testing import FakeExbo

from .ratio import Rate, Ratio

ROUNDS = 7
REPEATED = 60
AUTHORIZE = "/oauth/authorize?client_id=1&response_type=code&redirect_uri=http%3A%2F%2Flocalhost&state=x"

SERVER = """
import sys, time
from exbo_oauth.testing import FakeExbo
fake = FakeExbo(history=1000, invalidate=None, app_points=10**9, user_points=10**9)
with fake.serve() as base_url:
    print(base_url, fake.supersede(user="ivan").access_token, fake.app.client_secret, flush=True)
    for _ in sys.stdin:
        print(time.process_time(), flush=True)
"""


def mixed(origin: str, token: str, secret: str) -> list[Request]:
    """Ten requests."""
    host = ("Host", urlsplit(origin).netloc)
    plain = (host, ("Accept", "application/json"))
    bearer = (*plain, ("Authorization", f"Bearer {token}"))
    form = (*plain, ("Content-Type", "application/x-www-form-urlencoded"))
    client = {"client_id": "1", "client_secret": secret}
    api = [f"/api/{path}" for path in ("regions", "ru/emission", "ru/auction/y1q9/lots", "ru/clan/x/info")]
    return [
        *(Request("GET", origin + path, bearer) for path in ("/oauth/user", "/demo/app", *api)),
        *(Request("GET", origin + path, plain) for path in ("/oauth/user", AUTHORIZE)),
        *(
            Request("POST", f"{origin}/oauth/token", form, urlencode(client | asked).encode())
            for asked in (
                {"grant_type": "client_credentials"},
                {"grant_type": "refresh_token", "refresh_token": "unknown"},
            )
        ),
    ]


def measure() -> Iterator[Ratio | Rate]:
    yield Rate(what="requests in process", rates=list(_in_process()), aim=10_000)
    yield Rate(what="requests over a socket, one connection", rates=list(_over_a_socket()), aim=3_000)


def _in_process() -> Iterator[float]:
    fake = FakeExbo(history=1000, invalidate=None, app_points=10**9, user_points=10**9)
    requests = mixed("http://127.0.0.1", fake.supersede(user="ivan").access_token, fake.app.client_secret)
    for number in range(ROUNDS + 1):
        start = time.process_time()
        for request in requests * REPEATED:
            fake.handle(request)
        if number:  # the first one warms up
            yield len(requests) * REPEATED / (time.process_time() - start)


def _over_a_socket() -> Iterator[float]:
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        base_url, token, secret = process.stdout.readline().split()
        messages = [_message(request) for request in mixed(base_url.removesuffix("/oauth"), token, secret)]
        parts = urlsplit(base_url)

        def spent() -> float:
            print(file=process.stdin, flush=True)
            return float(process.stdout.readline())

        with socket.create_connection((parts.hostname, parts.port)) as connection, connection.makefile("rb") as answers:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for number in range(ROUNDS + 1):
                start = spent()
                for message in messages * REPEATED:
                    connection.sendall(message)
                    _read(answers)
                if number:
                    yield len(messages) * REPEATED / (spent() - start)
        process.stdin.close()


def _message(request: Request) -> bytes:
    parts = urlsplit(request.url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    lines = [f"{request.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers)]
    if request.content:
        lines.append(f"Content-Length: {len(request.content)}")
    return "\r\n".join([*lines, "", ""]).encode() + request.content


def _read(answers: "socket.SocketIO") -> None:
    length = 0
    while (line := answers.readline()) != b"\r\n":
        if line.lower().startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    answers.read(length)
