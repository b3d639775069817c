"""What stands in the environment: what httpx cannot use is named with its cure, and loopback does not depend on it."""

import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from exbo_oauth import AsyncOAuthClient, ConfigurationError, OutcomeUnknownError, SyncOAuthClient, TransportError
from exbo_oauth.testing import FakeExbo

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def app_token(colour: str, **options: Any) -> Any:
    given = {"client_id": 59, "client_secret": "s" * 40, "max_retries": 0, "timeout": 10} | options

    async def asynchronously() -> Any:
        async with AsyncOAuthClient(**given) as client:
            return await client.get_app_token()

    if colour != "sync":
        return anyio.run(asynchronously, backend=colour)
    with SyncOAuthClient(**given) as client:
        return client.get_app_token()


LOOPBACK = [
    "127.0.0.1",
    "localhost",
    "localhost.",
    "LOCALHOST",
    "127.0.0.53",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
]
UNUSABLE = [("ALL_PROXY", "socks://x"), ("SSL_CERT_FILE", "/nowhere"), ("SSLKEYLOGFILE", "/nowhere/keys")]
COLOURS = pytest.mark.parametrize("colour", ["sync", "asyncio", "trio"])


@COLOURS
@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        pytest.param(
            "all_proxy",
            "socks://user:pass-word@127.0.0.1:1/",
            "all_proxy .* begins with 'socks://':",
            id="GNOME's",
        ),
        pytest.param("HTTPS_PROXY", "ftp://127.0.0.1:1", "HTTPS_PROXY .* begins with 'ftp://':", id="another scheme"),
        pytest.param("NO_PROXY", "http://[::1", "NO_PROXY", id="NO_PROXY"),
        pytest.param("SSL_CERT_FILE", "/nowhere/ca.pem", "SSL_CERT_FILE .* leads to no certificates", id="no file"),
        pytest.param("SSL_CERT_DIR", "/nowhere", "SSL_CERT_DIR .* leads to no certificates", id="no directory"),
        pytest.param("SSLKEYLOGFILE", "/nowhere/keys", "SSLKEYLOGFILE .* written", id="no folder for a log of keys"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named_with_its_cure(
    colour: str, variable: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=f"{told}.*unset it") as caught:
        app_token(colour, base_url="https://exbo.invalid/oauth")
    assert "pass-word" not in str(caught.value)


@COLOURS
@pytest.mark.parametrize("host", LOOPBACK)
def test_loopback_in_every_spelling_is_refused_where_a_callers_client_has_a_proxy(
    colour: str, host: str, proxy: tuple[str, list[bytes]]
) -> None:
    url, seen = proxy
    make: Any = httpx.Client if colour == "sync" else httpx.AsyncClient
    with pytest.raises(ConfigurationError, match=r"add .* to NO_PROXY"):
        app_token(colour, base_url=f"http://{host}:9/oauth", http_client=make(proxy=url))
    assert not any(seen)


@COLOURS
@pytest.mark.parametrize(("variable", "value"), UNUSABLE)
def test_nobody_is_sent_to_sign_in_where_the_code_could_not_be_exchanged(
    colour: str, variable: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, value)
    options: dict[str, Any] = {"client_id": 59, "client_secret": "s" * 40, "base_url": "https://exbo.invalid/oauth"}

    async def asynchronously() -> None:
        async with AsyncOAuthClient(**options, redirect_uri="http://localhost:9/") as client:
            await client.login(open_browser=False)

    with pytest.raises(ConfigurationError, match=variable):
        if colour == "sync":
            with SyncOAuthClient(**options, redirect_uri="http://localhost:9/") as client:
                client.login(open_browser=False)
        else:
            anyio.run(asynchronously, backend=colour)
    assert capsys.readouterr() == ("", "")


def test_certificates_that_are_gone_without_a_word_of_the_environment_are_those_of_certifi(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("certifi.where", lambda: str(tmp_path / "gone.pem"))
    with pytest.raises(ConfigurationError, match=r"certifi cannot be read.* or set SSL_CERT_FILE"):
        app_token("sync", base_url="https://exbo.invalid/oauth")


@COLOURS
def test_the_package_that_a_socks_proxy_takes_is_named(colour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)  # it is not installed
    monkeypatch.setenv("ALL_PROXY", "socks5://user:pass-word@127.0.0.1:1")
    with pytest.raises(ConfigurationError, match=r"ALL_PROXY .*pip install 'httpx\[socks\]'") as caught:
        app_token(colour, base_url="https://exbo.invalid/oauth")
    assert "pass-word" not in str(caught.value)


class TimeLimitError(Exception):
    """As a job's time limit is raised by a signal's handler."""


@COLOURS
@pytest.mark.parametrize("kind", [TimeLimitError, TimeoutError])
def test_a_time_limit_that_comes_while_certificates_are_read_says_nothing_of_them(
    colour: str, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: Any, **__: Any) -> None:
        raise kind("time is over")

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", read)
    with pytest.raises(kind, match="time is over"):
        app_token(colour, base_url="https://exbo.invalid/oauth")


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[bytes]]]:
    """A proxy of the environment, and what it saw."""
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    seen.append(connection.recv(65536))

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", seen
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


@COLOURS
@pytest.mark.parametrize("host", LOOPBACK)
def test_loopback_in_every_spelling_meets_no_proxy(
    colour: str, host: str, proxy: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, seen = proxy
    for name in ("HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, url)
    with pytest.raises(TransportError):
        app_token(colour, base_url=f"http://{host}:9/oauth")
    assert not seen


@COLOURS
@pytest.mark.parametrize(("variable", "value"), UNUSABLE)
def test_the_sandbox_does_not_depend_on_the_environment(
    colour: str, variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    fake = FakeExbo()
    with fake.serve() as base_url:
        options = {"client_id": fake.app.client_id, "client_secret": fake.app.client_secret, "base_url": base_url}
        assert app_token(colour, **options)


@pytest.mark.parametrize("translated", [True, False], ids=["translated from another library", "the transport's own"])
def test_a_failed_connection_is_believed_of_who_knows(translated: bool) -> None:
    sent: list[httpx.Request] = []

    def transport(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        raise httpx.ConnectTimeout("gone") from (OSError("disconnected") if translated else None)

    options: dict[str, Any] = {"client_id": 59, "client_secret": "s" * 40}
    with (
        httpx.Client(transport=httpx.MockTransport(transport)) as http,
        SyncOAuthClient(http_client=http, max_retries=1, **options) as client,
        pytest.raises(TransportError) as caught,
    ):
        client.get_user_token("def502")
    assert len(sent) == (1 if translated else 2)
    assert isinstance(caught.value, OutcomeUnknownError) is translated
