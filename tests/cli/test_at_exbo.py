"""`doctor` where the OAuth service is EXBO's own, by name: all that goes through the proxy ends at a sandbox."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

from exbo_oauth import AppToken
from exbo_oauth.testing import FakeExbo

from ..certificates import certified
from .conftest import Exbo

EXBO, PRICES, DEMO = "exbo.net", "prices.example", "dapi.stalzone.com"
NOBODY = "http://127.0.0.1:9"  # a proxy that is not there, so that no name leads anywhere

Findings = Callable[..., dict[str, dict[str, str]]]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    return certified(tmp_path_factory.mktemp("tls"), EXBO, PRICES, DEMO)


@contextmanager
def tunnels_to(port: int, certificate: str) -> Iterator[str]:
    """A proxy that takes the TLS off, whatever host is asked for, and passes on what was in it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    class Tunnel(StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with (
                context.wrap_socket(self.connection, server_side=True) as theirs,
                socket.create_connection(("127.0.0.1", port)) as ours,
            ):
                answers = threading.Thread(target=pass_on, args=(ours, theirs))
                answers.start()
                pass_on(theirs, ours)
                answers.join()

    with ThreadingTCPServer(("127.0.0.1", 0), Tunnel) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        serving.join()


def pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def real(shell: Any, certificate: str) -> Iterator[Exbo]:
    """EXBO itself, as far as the command line can tell."""
    fake, path = FakeExbo(), Path(shell.home, "tokens.db")
    app = fake.add_app("Mine", client_id=59, client_secret="a-good-secret")
    with fake.serve(names=[EXBO, PRICES, DEMO]) as served:
        with tunnels_to(urlsplit(served).port or 0, certificate) as proxy:
            shell.environment |= {
                "https_proxy": proxy,
                "SSL_CERT_FILE": certificate,
                "EXBO_CLIENT_ID": app.client_id,
                "EXBO_CLIENT_SECRET": app.client_secret,
                "EXBO_STORE": f"sqlite:///{path.as_posix()}",
            }
            yield Exbo(fake, app, f"https://{EXBO}/oauth", path, "http://localhost")


@pytest.fixture
def found(shell: Any) -> Findings:
    """What the doctor finds, by what was checked."""

    def ask(*flags: str, **options: Any) -> dict[str, dict[str, str]]:
        report = json.loads(shell.within("doctor", "--json", *flags, **options).stdout)
        return {one["check"]: one for one in report["findings"]}

    return ask


def test_a_token_is_tried_where_somebody_says_and_nowhere_else(real: Exbo, found: Findings, shell: Any) -> None:
    assert shell.within("token").returncode == 0
    told = found()
    assert [told[check]["level"] for check in ("connection", "clock", "sign-on", "app token")] == ["ok"] * 4
    assert told["app token"]["text"] == "stored; to try it at the API: exbo-oauth doctor --api"
    told = found("--token-file", "-", stdin=real.stored().token.access_token)
    assert told["token at the server"]["cure"] == "To try it at the API, add --api"
    assert [request.path for request in real.fake.requests if request.path.startswith("/api")] == []
    told = found("--api-url", f"https://{PRICES}/api/regions")
    assert (told["app token"]["level"], told["app token"]["text"]) == (
        "ok",
        f"https://{PRICES}/api/regions takes it (answered 200)",
    )


def test_a_users_token_that_died_may_be_another_deployments(real: Exbo, found: Findings) -> None:
    real.keep("ivan", real.user_token())
    real.user_token()
    cure = found()["user ivan"]["cure"]
    assert cure.startswith("Either another deployment got a newer one, and all need one store")
    assert cure.endswith("or it was revoked. Then: exbo-oauth refresh --user ivan")


@pytest.mark.parametrize(
    ("host", "cure"),
    [
        (PRICES, "It is not a known host of EXBO's API: does it take EXBO's tokens at all?"),
        (DEMO, "The demo has tokens of its own, which EXBO publishes. For the real API use a real host of it."),
    ],
)
def test_a_refusal_elsewhere_says_nothing_of_the_token(real: Exbo, found: Findings, host: str, cure: str) -> None:
    dead = real.fake.supersede(app=real.app).access_token
    real.keep(None, AppToken(token_type="Bearer", access_token=dead, expires_in=600))
    real.fake.supersede(app=real.app)
    told = found("--api-url", f"https://{host}/api/regions")["app token"]
    assert (told["level"], told["cure"]) == ("problem", cure)
    assert told["text"].startswith(f"{host} refuses it (401 ")


def test_an_api_in_trouble_says_nothing_of_the_token(real: Exbo, found: Findings, shell: Any) -> None:
    assert shell.within("token").returncode == 0
    real.fake.fail_next(503, path="/api/regions")
    told = found("--api-url", f"https://{PRICES}/api/regions")["app token"]
    assert (told["level"], told["cure"]) == ("warning", "Try again in a minute.")
    assert told["text"].startswith(f"https://{PRICES}/api/regions answered 503")


@pytest.mark.parametrize(
    ("variables", "cure"),
    [
        ({"https_proxy": NOBODY}, "Check the network, the address and any proxy or firewall."),
        (
            {"https_proxy": NOBODY, "EXBO_OAUTH_URL": "https://exbo.com/oauth"},
            "There is no exbo.com of EXBO's: its OAuth service is https://exbo.net/oauth.",
        ),
        ({"https_proxy": "gopher://127.0.0.1"}, "Correct it in the environment: no program here can connect."),
    ],
    ids=["no network", "no such host", "no such proxy"],
)
def test_what_keeps_a_request_from_exbo_is_told(
    real: Exbo, found: Findings, variables: dict[str, str], cure: str
) -> None:
    told = found(**variables)["connection"]
    assert (told["level"], told["cure"]) == ("problem", cure)
    assert real.fake.requests == []
