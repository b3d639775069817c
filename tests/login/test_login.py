"""The whole sign-in, from the printed address to the page that says how it went."""

import re
import socket
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from exbo_oauth import (
    AccessDeniedError,
    AsyncOAuthClient,
    CallbackError,
    ConfigurationError,
    InvalidGrantError,
    LoginTimeoutError,
    MemoryTokenStore,
    ReadOnlyError,
    ServerError,
    StoreError,
    SyncOAuthClient,
)
from exbo_oauth.testing import FakeExbo

from ..free_ports import free_port
from .conftest import PATIENCE, Program, answer_on, has_ipv6, helpers, is_free, send, until
from .robot import browse

RUSSIAN = "Accept-Language: ru-RU,ru;q=0.9,en;q=0.5"


def test_the_user_comes_back_and_the_token_is_theirs(program: Program) -> None:
    program.start()
    page = program.browse(program.callback())
    token = program.token()
    assert program.fake.issued[-1].access_token == token.access_token
    assert page.status == 200
    assert "You are signed in" in page.text
    assert len(program.exchanges()) == 1


@pytest.mark.parametrize("path", ["/вход", "/café/é", "/%D0%B2%d1%85"])
def test_the_browser_comes_back_to_a_path_in_any_script(
    colour: str, fake: FakeExbo, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    port = free_port()
    app = fake.add_app("The program", redirect_uris=(f"http://localhost:{port}{path}",))
    with fake.serve(), httpx.Client(trust_env=False) as http:
        program = Program(colour, fake, app, port, lambda: capsys.readouterr().err, path=path)
        program.start()
        page = browse(http, program.url)
        token = program.token()
        program.join()
    assert fake.issued[-1].access_token == token.access_token
    assert "You are signed in" in page.text
    assert page.url.query == b""


def test_the_address_bar_keeps_no_code(program: Program) -> None:
    program.start()
    callback = program.callback()
    answer = program.visit(callback)
    assert (answer.status, answer.headers["location"]) == (303, program.redirect_uri)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.text == ""
    program.visit(program.redirect_uri)
    program.token()


def test_the_last_page_waits_for_the_exchange(program: Program) -> None:
    with program.fake.hold() as gate:
        program.start()
        callback = program.callback()
        assert program.visit(callback).status == 303
        gate.wait(1)
        with socket.create_connection(("127.0.0.1", program.port), PATIENCE) as sock:
            sock.sendall(program.request(program.redirect_uri))
            assert program.visit(callback).status == 303  # reloaded meanwhile
            sock.settimeout(0.2)
            with pytest.raises(TimeoutError):
                sock.recv(1)
            sock.settimeout(PATIENCE)
            gate.release()
            assert "You are signed in" in answer_on(sock).text
    program.token()
    assert len(program.exchanges()) == 1


def test_the_page_speaks_russian_to_who_prefers_it(program: Program) -> None:
    program.start()
    page = program.browse(program.callback(), RUSSIAN)
    program.token()
    assert '<html lang="ru">' in page.text
    assert "Вход выполнен" in page.text


def test_a_user_who_says_no_ends_the_wait(program: Program) -> None:
    program.start()
    page = program.browse(program.callback(approve=False))
    error = program.error()
    assert isinstance(error, AccessDeniedError)
    assert error.error == "access_denied"
    assert "Access was not granted" in page.text
    assert program.exchanges() == []


def test_another_error_with_our_state_ends_the_wait(program: Program) -> None:
    program.start()
    state = re.search(r"state=([\w-]+)", program.url)
    assert state
    page = program.browse(f"{program.redirect_uri}?error=server_error&error_description=oh+no&state={state[1]}")
    error = program.error()
    assert isinstance(error, CallbackError)
    assert (error.error, error.description) == ("server_error", "oh no")
    assert "The sign-in did not work" in page.text
    assert "server_error (oh no)" in page.text


def test_a_refused_exchange_is_raised_and_shown(program: Program) -> None:
    program.start()
    callback = program.callback()
    program.fake.advance(3600)  # the code is dead by now
    page = program.browse(callback)
    assert isinstance(program.error(), InvalidGrantError)
    assert "The sign-in did not work" in page.text
    code = re.search(r"code=(\w+)", callback)
    assert code
    assert code[1] not in page.text


@pytest.mark.parametrize("approve", [True, False])
def test_no_frame_of_ours_shows_a_secret(program: Program, approve: bool) -> None:
    program.start()
    callback = program.callback(approve=approve)
    program.fake.advance(3600)
    program.browse(callback)
    frames = [
        (frame.f_code.co_qualname, {name: repr(value) for name, value in frame.f_locals.items()})
        for frame, _ in traceback.walk_tb(program.error().__traceback__)
        if "exbo_oauth" in Path(frame.f_code.co_filename).parts
    ]
    secrets = [value for _, value in parse_qsl(urlsplit(callback).query) if len(value) > 20 and " " not in value]
    assert frames
    assert secrets
    assert not [
        frame for frame in frames if any(secret in str(frame) for secret in [*secrets, program.app.client_secret])
    ]


def test_a_failing_server_is_raised_and_shown(program: Program) -> None:
    program.fake.fail_next(500, path="/oauth/token")
    program.start()
    page = program.browse(program.callback(), RUSSIAN)
    assert isinstance(program.error(), ServerError)
    assert "Войти не удалось" in page.text


def test_invalid_scope_without_state_is_shown_and_the_wait_goes_on(program: Program) -> None:
    program.start()
    page = program.visit(f"{program.redirect_uri}?error=invalid_scope&error_description=call+this+number")
    assert page.status == 400
    assert "EXBO reported a problem" in page.text
    assert "leave the client&#x27;s scope empty" in page.text
    assert "call this number" not in page.text  # anybody could have sent it
    assert program.is_waiting()
    assert program.on_terminal().count("invalid_scope") == 1
    program.visit(f"{program.redirect_uri}?error=invalid_scope")
    program.browse(program.callback())
    program.token()
    assert program.on_terminal().count("invalid_scope") == 1


def test_nobody_comes_and_the_error_names_the_likely_cause(program: Program) -> None:
    error = program.start(timeout=0.3).error()
    assert isinstance(error, LoginTimeoutError)
    assert program.redirect_uri in str(error)
    assert "0.3 seconds" in str(error)
    assert "/myapps" in str(error)
    assert "letter by letter" in str(error)


def test_a_time_out_tells_what_was_reported_meanwhile(program: Program) -> None:
    program.start(timeout=4)
    program.visit(f"{program.redirect_uri}?error=invalid_scope")
    assert "invalid_scope" in str(program.error())


@pytest.mark.parametrize(
    "address", ["127.0.0.1", pytest.param("::1", marks=pytest.mark.skipif(not has_ipv6(), reason="needs IPv6"))]
)
def test_localhost_is_answered_on_both_of_its_addresses(program: Program, address: str) -> None:
    program.start()
    answer = send(program.port, program.request(program.callback()), address)
    assert answer.status == 303
    send(program.port, program.request(program.redirect_uri), address)
    program.token()


@pytest.mark.skipif(not has_ipv6(), reason="needs IPv6")
def test_an_ip_address_is_the_only_one_that_is_listened_on(program: Program) -> None:
    program.host, program.path = "127.0.0.1", "/cb"
    program.start()
    callback = program.callback()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("::1", program.port), PATIENCE)
    program.browse(callback)
    program.token()


def test_the_token_is_saved_under_the_account(surface_client: Any, colour: str) -> None:
    store, port, run = surface_client
    assert run() == ["42"]
    assert len(list(store.keys())) == 1
    assert is_free(port)


@pytest.fixture
def surface_client(colour: str, fake: FakeExbo, capsys: pytest.CaptureFixture[str]) -> Any:
    """A store, a port, and a run of `login` into that store."""
    port, store = free_port(), MemoryTokenStore()
    app = fake.add_app(redirect_uris=(f"http://localhost:{port}/callback",))

    class Saving(Program):
        def options(self) -> dict[str, Any]:
            return {**super().options(), "store": store}

    def run() -> list[str]:
        program = Saving(colour, fake, app, port, lambda: capsys.readouterr().err).start(42)
        program.browse(program.callback())
        program.token()
        program.join()
        return [key.account or "" for key in store.keys()]  # noqa: SIM118  # a store is not a dict

    return store, port, run


class Broken(MemoryTokenStore):
    """A store whose disk is full."""

    def swap(self, *_: Any) -> bool:
        raise OSError("no space left")


def test_a_token_that_cannot_be_saved_comes_with_the_error(
    colour: str, fake: FakeExbo, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    app = fake.add_app(redirect_uris=(f"http://localhost:{port}/callback",))

    class Unlucky(Program):
        def options(self) -> dict[str, Any]:
            return {**super().options(), "store": Broken()}

    program = Unlucky(colour, fake, app, port, lambda: capsys.readouterr().err).start()
    page = program.browse(program.callback())
    error = program.error()
    program.join()
    assert isinstance(error, StoreError)
    assert error.token is not None
    assert error.token.access_token == fake.issued[-1].access_token
    assert "The sign-in did not work" in page.text


def test_two_sign_ins_one_after_the_other_use_the_same_port(program: Program) -> None:
    program.start()
    program.browse(program.callback())
    first = program.token()
    program.join()
    again = Program(program.colour, program.fake, program.app, program.port, program.read_terminal).start("other")
    again.browse(again.callback("steam-guest"))
    assert again.token().access_token != first.access_token
    again.join()


# What is refused before anything is opened or sent


def refused(colour: str, fake: FakeExbo, options: dict[str, Any], **arguments: Any) -> BaseException:
    class Configured(Program):
        def options(self) -> dict[str, Any]:
            return {**super().options(), **options}

    program = Configured(colour, fake, fake.app, free_port(), lambda: "").start(**arguments)
    error = program.error()
    program.join()
    assert fake.requests == []
    until(lambda: not helpers(), "every thread has ended")
    return error


@pytest.mark.parametrize(
    ("redirect_uri", "says"),
    [
        pytest.param("https://bot.example/callback", "leads elsewhere", id="another machine"),
        pytest.param("http://192.168.0.7:8080/callback", "leads elsewhere", id="a machine nearby"),
        pytest.param("http://localhost.example:8080/", "leads elsewhere", id="a name that begins alike"),
        pytest.param("https://localhost:8443/callback", "plain http", id="https"),
        pytest.param("http://localhost:0/callback", "known port", id="port 0"),
        pytest.param("http://user@localhost:8080/", "user name", id="a user name"),
        pytest.param("stalcraft://callback", "leads elsewhere", id="an own scheme"),
    ],
)
def test_a_redirect_uri_that_cannot_be_listened_on_is_named(
    colour: str, fake: FakeExbo, redirect_uri: str, says: str
) -> None:
    error = refused(colour, fake, {"redirect_uri": redirect_uri})
    assert isinstance(error, ConfigurationError)
    assert says in str(error)
    assert "/myapps" in str(error)
    assert "user name" in says or redirect_uri in str(error)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", pytest.param("::1", marks=pytest.mark.skipif(not has_ipv6(), reason="needs IPv6"))]
)
def test_a_busy_port_is_named_even_if_only_one_of_two_addresses_is_taken(
    colour: str, fake: FakeExbo, address: str
) -> None:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as other:
        other.bind((address, 0))
        other.listen()
        port = other.getsockname()[1]
        error = refused(colour, fake, {"redirect_uri": f"http://localhost:{port}/callback"})
    assert isinstance(error, ConfigurationError)
    assert f"{port}" in str(error)
    assert address in str(error)
    assert "another program has this port" in str(error)
    assert "/myapps" in str(error)
    assert is_free(port)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), True, "300", None])
def test_a_time_that_is_none_is_refused(colour: str, fake: FakeExbo, timeout: Any) -> None:
    assert "timeout" in str(refused(colour, fake, {"redirect_uri": f"http://localhost:{free_port()}"}, timeout=timeout))


def test_a_prompt_that_cannot_be_called_is_refused(colour: str, fake: FakeExbo) -> None:
    error = refused(colour, fake, {"redirect_uri": f"http://localhost:{free_port()}"}, prompt="Paste it")
    assert "prompt must be a function" in str(error)


def test_a_follower_does_not_send_its_user_out_in_vain(colour: str, fake: FakeExbo) -> None:
    error = refused(colour, fake, {"redirect_uri": f"http://localhost:{free_port()}", "issue": "never"}, account="ivan")
    assert isinstance(error, ReadOnlyError)


def test_an_account_that_is_none_is_refused(colour: str, fake: FakeExbo) -> None:
    error = refused(colour, fake, {"redirect_uri": f"http://localhost:{free_port()}"}, account="")
    assert isinstance(error, ConfigurationError)


def test_a_closed_client_does_not_send_its_user_out_in_vain() -> None:
    client = SyncOAuthClient(client_id=1, client_secret="secret")
    client.close()
    with pytest.raises(ConfigurationError, match="closed"):
        client.login()


def test_the_twins_say_the_same() -> None:
    assert SyncOAuthClient.login.__doc__ == AsyncOAuthClient.login.__doc__
