"""The server behind a real socket: keep-alive, drops, held answers, odd bytes, and leaving nothing behind."""

import asyncio
import gc
import http.client
import json
import socket
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import pytest

from exbo_oauth import ConfigurationError
from exbo_oauth.protocol.messages import Response
from exbo_oauth.testing import FakeExbo


def credentials(fake: FakeExbo) -> dict[str, str]:
    return {"grant_type": "client_credentials", "client_id": "1", "client_secret": fake.app.client_secret}


def connect(base_url: str) -> socket.socket:
    parts = urlsplit(base_url)
    return socket.create_connection((parts.hostname, parts.port), timeout=120)


def raw(base_url: str, data: bytes) -> bytes:
    """Everything the server says to these bytes until it hangs up."""
    with connect(base_url) as connection:
        connection.sendall(data)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_the_base_url_is_the_servers_while_it_runs() -> None:
    fake = FakeExbo()
    with fake.serve() as base_url:
        assert fake.base_url == base_url
        assert urlsplit(base_url).path == "/oauth"
        assert httpx.post(f"{base_url}/token", data=credentials(fake)).status_code == 200
    assert fake.base_url == "https://exbo.test/oauth"
    with pytest.raises(httpx.ConnectError):
        httpx.post(f"{base_url}/token", data=credentials(fake))


@pytest.mark.parametrize("uri", ["https://мойсайт.рф/вход", "https://café.test/é", "https://xn--80aswg.xn--p1ai/%d0"])
def test_a_redirect_uri_in_any_script_goes_out_as_it_was_registered(uri: str) -> None:
    fake = FakeExbo()
    app = fake.add_app("Site", redirect_uris=(uri,))
    query = {"client_id": app.client_id, "redirect_uri": uri, "response_type": "code", "state": "s", "prompt": "none"}
    with (
        fake.serve() as base_url,
        httpx.Client(trust_env=False) as far,
        httpx.Client(transport=fake.transport()) as near,
    ):
        for http in (far, near):
            answer = http.get(f"{base_url}/authorize?{urlencode(query)}")
            assert answer.status_code == 302
            sent = dict(answer.headers.raw)[b"location"]
            assert sent.decode().startswith(f"{uri}?")


def test_one_connection_carries_many_requests() -> None:
    fake = FakeExbo()
    with fake.serve() as base_url:
        parts = urlsplit(base_url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 0, timeout=120)
        headers = {"content-type": "application/x-www-form-urlencoded"}
        connection.connect()
        mine = connection.sock
        for _ in range(5):
            connection.request("POST", "/oauth/token", urlencode(credentials(fake)), headers)
            answer = connection.getresponse()
            assert json.loads(answer.read())["token_type"] == "Bearer"
        assert connection.sock is mine
        connection.close()


def test_requests_sent_in_one_go_are_answered_in_order() -> None:
    fake = FakeExbo()
    request = "GET /oauth/{} HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n{}\r\n"
    with fake.serve() as base_url, fake.hold("/oauth/user") as gate:
        with ThreadPoolExecutor() as pool:
            data = (
                request.format("user", "") + request.format("b", "") + request.format("c", "Connection: close\r\n")
            ).encode()
            answers = pool.submit(raw, base_url, data)
            gate.wait()
            gate.release()
            said = answers.result(120)
    assert [part[:3] for part in said.split(b"HTTP/1.1 ")[1:]] == [b"401", b"404", b"404"]
    assert said.index(b"oauth/b") < said.index(b"oauth/c")


@pytest.mark.parametrize("processed", [True, False])
def test_a_lost_answer_is_a_dropped_connection(processed: bool) -> None:
    fake = FakeExbo()
    with fake.serve() as base_url:
        fake.lose_next_answer(processed=processed)
        with pytest.raises(httpx.RemoteProtocolError, match="disconnected"):
            httpx.post(f"{base_url}/token", data=credentials(fake))
    assert len(fake.issued) == processed


def test_a_partial_answer_breaks_off_in_its_body() -> None:
    fake = FakeExbo()
    with fake.serve() as base_url:
        fake.lose_next_answer(partial=True)
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
            httpx.post(f"{base_url}/token", data=credentials(fake))


def test_a_held_answer_comes_when_it_is_released() -> None:
    fake = FakeExbo(latency=0.001)
    with fake.serve() as base_url, ThreadPoolExecutor() as pool:
        with fake.hold() as gate:
            held = pool.submit(httpx.post, f"{base_url}/token", data=credentials(fake))
            gate.wait()
            assert httpx.get(f"{base_url}/user", headers={"accept": "application/json"}).status_code == 401
            assert not held.done()
        assert held.result(120).status_code == 200


def test_a_client_that_hangs_up_on_a_held_answer_hurts_nobody() -> None:
    fake = FakeExbo()
    with fake.serve() as base_url:
        with fake.hold():
            for _ in range(3):
                with pytest.raises(httpx.ReadTimeout):
                    httpx.post(f"{base_url}/token", data=credentials(fake), timeout=0.05)
        assert httpx.post(f"{base_url}/token", data=credentials(fake)).status_code == 200
    assert len(fake.issued) == 4


def test_closing_with_a_held_answer_and_idle_connections_leaves_nothing_open() -> None:
    fake = FakeExbo()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fake.serve() as base_url:
            gate = fake.hold()
            idle = connect(base_url)
            waiting = connect(base_url)
            body = urlencode(credentials(fake))
            head = "POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            waiting.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            gate.wait()
        for connection in (idle, waiting):
            connection.close()
        gc.collect()
    assert "exbo-sandbox" not in [thread.name for thread in threading.enumerate()]


def test_a_busy_port_is_named() -> None:
    with FakeExbo().serve() as base_url:
        port = urlsplit(base_url).port
        with (
            pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1:{port}"),
            FakeExbo().serve(port=port or 0),
        ):
            pass


def test_only_loopback_is_served() -> None:
    with pytest.raises(ConfigurationError, match=r"not on '0\.0\.0\.0'"), FakeExbo().serve("0.0.0.0"):
        pass


def test_several_servers_run_side_by_side() -> None:
    one, two = FakeExbo(), FakeExbo()
    with one.serve() as first, two.serve() as second:
        assert first != second
        assert httpx.post(f"{first}/token", data=credentials(one)).status_code == 200
        assert httpx.post(f"{second}/token", data=credentials(one)).status_code == 401


def test_the_login_redirect_names_the_host_that_was_asked() -> None:
    with FakeExbo().serve() as base_url:
        answer = httpx.get(f"{base_url}/user", headers={"host": "localhost:1"})
        assert answer.headers["location"] == "http://localhost:1/login"


def test_one_port_is_served_on_both_families(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def both(host: str, *others: Any, **options: Any) -> Any:
        hosts = ("::1", "127.0.0.1") if host == "localhost" else (host,)
        return [found for each in hosts for found in real(each, *others, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", both)  # most desktops say so; containers often know one address only
    fake = FakeExbo()
    with fake.serve("localhost") as base_url:
        port = urlsplit(base_url).port
        for host in ("127.0.0.1", "[::1]"):
            assert httpx.post(f"http://{host}:{port}/oauth/token", data=credentials(fake)).status_code == 200
    with fake.serve("localhost", port or 0) as again:
        assert again == base_url


def test_a_port_that_is_taken_on_one_family_is_not_served_on_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _, *a, **k: [*real("127.0.0.1", *a, **k), *real("::1", *a, **k)])
    with FakeExbo().serve("::1") as base_url:
        port = urlsplit(base_url).port or 0
        with pytest.raises(ConfigurationError, match=f"cannot listen on localhost:{port}"):
            with FakeExbo().serve("localhost", port):
                pass


def found(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Have every name stand for these addresses; "elsewhere" is one in a network that this machine is not in."""
    real = socket.getaddrinfo

    def lookup(_: str, *others: Any, **options: Any) -> Any:
        elsewhere = [(socket.AF_APPLETALK, socket.SOCK_STREAM, 0, "", ("elsewhere", 0))]
        return [
            entry
            for address in addresses
            for entry in (elsewhere if address == "elsewhere" else real(address, *others, **options))
        ]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)


@pytest.mark.skipif(not hasattr(socket, "AF_APPLETALK"), reason="needs a family of addresses that nobody uses")
def test_an_address_that_this_machine_does_not_have_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeExbo()
    found(monkeypatch, "elsewhere", "127.0.0.1")
    with fake.serve("localhost") as base_url:
        port = urlsplit(base_url).port
        assert httpx.post(f"http://127.0.0.1:{port}/oauth/token", data=credentials(fake)).status_code == 200
    found(monkeypatch, "elsewhere")
    with pytest.raises(ConfigurationError, match="cannot listen on localhost"), fake.serve("localhost"):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere an address may be listened on beside all addresses")
def test_a_port_that_is_never_free_for_all_addresses_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, "127.0.0.1", "0.0.0.0")
    with pytest.raises(ConfigurationError, match="cannot listen on localhost"), FakeExbo().serve("localhost"):
        pass


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("localhost.", 200),
        ("app.localhost:8765", 200),
        ("127.9.9.9", 200),
        ("[::1]:8765", 200),
        ("sandbox:8765", 200),
        ("auth.my-company.example", 200),
        ("AUTH.my-company.example:80", 200),
        ("attacker.example", 421),
        ("127.0.0.1.attacker.example", 421),
        ("localhost.attacker.example", 421),
        ("10.0.0.5:8765", 421),
        ("[2001:db8::1]", 421),
        ("user@localhost", 400),
        ("localhost/x", 400),
        ("localhost:http", 400),
        ("local host", 400),
        ("[::1", 400),
        (":80", 400),
    ],
)
def test_only_hosts_that_no_website_can_have_are_answered(host: str, status: int) -> None:
    fake = FakeExbo()
    with fake.serve(names=["Auth.My-Company.example"]) as base_url:
        request = f"GET /sandbox/icon.svg HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        assert raw(base_url, request.encode()).startswith(b"HTTP/1.1 %d" % status)
    assert [event.kind for event in fake.events] == (["unreadable"] if status >= 400 else [])


def test_other_addresses_are_served_to_those_who_say_by_which_name() -> None:
    fake = FakeExbo()
    with fake.serve("0.0.0.0", names=["sandbox"]) as base_url:
        port = urlsplit(base_url).port
        assert httpx.post(f"http://127.0.0.1:{port}/oauth/token", data=credentials(fake)).status_code == 200


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET https://localhost/ HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (b"GET http://user@localhost/ HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (b"GET http://exbo.net/oauth/user HTTP/1.1\r\nHost: a\r\n\r\n", b"421"),
        (b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n", b"400"),
        (b"GET / HTTP/3\r\n\r\n", b"400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\rSet-Cookie: b\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", b"501"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", b"400"),
        (b"GET /" + b"a" * 70_000, b"431"),
        (b"\x16\x03\x01\x02\x00\x01\x00", b"400"),
        (b"\x00\x00", b"400"),
    ],
    ids=[
        *("line", "https", "user", "other-host", "connect", "version", "http2", "header", "no-host", "two-hosts"),
        *("control", "length", "two-lengths", "coding", "chunk", "head", "tls", "zeros"),
    ],
)
def test_odd_bytes_are_refused_hung_up_on_and_told(data: bytes, status: bytes) -> None:
    fake = FakeExbo()
    with fake.serve() as base_url:
        said = raw(base_url, data)
    assert said.startswith(b"HTTP/1.1 " + status)
    assert b"connection: close" in said
    [event] = fake.events
    assert event.detail
    assert event.detail in said.decode()


def test_tls_is_refused_at_once_in_words() -> None:
    fake = FakeExbo()
    with fake.serve() as base_url:
        with pytest.raises(httpx.ConnectError, match=r"(?i)ssl"):
            httpx.get(base_url.replace("http:", "https:"))
    assert "https:// was spoken" in fake.events[0].detail


def form(fake: FakeExbo, more: int) -> bytes:
    """The body of a request for a token with `more` useless bytes."""
    return urlencode(credentials(fake)).encode() + b"&x=" + b"z" * more


@pytest.mark.parametrize("chunked", [False, True], ids=["counted", "chunked"])
def test_a_body_of_8_mib_is_taken_and_a_larger_one_gets_its_answer(chunked: bool) -> None:
    fake = FakeExbo()
    headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}

    def ask(body: bytes) -> httpx.Response:
        pieces = (body[at : at + 65_536] for at in range(0, len(body), 65_536))
        return httpx.post(f"{base_url}/token", content=pieces if chunked else body, headers=headers)

    with fake.serve() as base_url:
        assert ask(form(fake, 5_000_000)).status_code == 200
        refused = ask(form(fake, 9_000_000))
    assert (refused.status_code, refused.json()) == (413, {"message": "The POST data is too large."})


def test_a_body_that_would_be_too_large_is_refused_before_it_is_sent() -> None:
    head = b"POST /oauth/token HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n"
    with FakeExbo().serve() as base_url:
        assert raw(base_url, head).startswith(b"HTTP/1.1 413")


def test_the_path_may_come_as_a_whole_address_as_proxies_are_asked() -> None:
    fake = FakeExbo()
    body = urlencode(credentials(fake))
    with fake.serve() as base_url:
        head = f"POST {base_url}/token HTTP/1.1\r\nHost: attacker.example\r\nContent-Length: {len(body)}\r\n"
        head += "Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n\r\n"
        assert raw(base_url, (head + body).encode()).startswith(b"HTTP/1.1 200")
        head = b"GET HTTP://localhost?x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        assert raw(base_url, head).startswith(b"HTTP/1.1 200")
    assert fake.requests[0].path == "/oauth/token"


def test_a_body_may_come_in_chunks_and_drop_by_drop() -> None:
    fake = FakeExbo()
    body = urlencode(credentials(fake)).encode()
    head = b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    head += b"Content-Type: application/x-www-form-urlencoded\r\n"
    chunks = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:]))
    data = b"\r\n" + head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nX-Trailer: 1\r\n\r\n"
    with fake.serve() as base_url, connect(base_url) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in data:
            connection.sendall(bytes([byte]))
        said = b"".join(iter(lambda: connection.recv(65536), b""))
    assert [part[:6] for part in said.split(b"HTTP/1.1 ")[1:]] == [b"200 OK"]


def test_a_client_that_asks_first_gets_leave_to_send() -> None:
    fake = FakeExbo()
    body = urlencode(credentials(fake)).encode()
    head = f"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n"
    head += "Connection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n"
    with fake.serve() as base_url, connect(base_url) as connection:
        connection.sendall(head.encode())
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("close", [b"1.0\r\n\r\n", b"1.1\r\nHost: x\r\nConnection: close\r\n\r\n"])
def test_a_client_that_wants_to_be_hung_up_on_is(close: bytes) -> None:
    with FakeExbo().serve() as base_url:
        assert b"Connection: close" in raw(base_url, b"GET /x HTTP/" + close)


def test_head_answers_carry_the_length_and_no_body() -> None:
    with FakeExbo().serve() as base_url:
        got, head = (
            raw(base_url, method + b" /sandbox/icon.svg HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            for method in (b"GET", b"HEAD")
        )
    body = got.partition(b"\r\n\r\n")[2]
    assert head.endswith(b"\r\n\r\n")
    assert b"content-length: %d\r\n" % len(body) in head


def test_an_answer_without_content_has_no_length() -> None:
    with FakeExbo().serve() as base_url:
        said = raw(base_url, b"GET /sandbox/timeline?seen=0.0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 204 No Content")
    assert b"content-length" not in said


def test_a_status_that_has_no_name_is_sent_all_the_same() -> None:
    fake = FakeExbo()
    with fake.serve() as base_url:
        fake.fail_next(599)
        assert httpx.get(f"{base_url}/user").status_code == 599


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(Response(200, {"content-length": "9"}, b"short"), id="length"),
        pytest.param(Response(200, {"x": "a\r\nb"}), id="header"),
    ],
)
def test_an_answer_that_cannot_be_one_breaks_off(response: Response) -> None:
    fake = FakeExbo()
    with fake.serve() as base_url:
        fake.answer_next(response)
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"{base_url}/user")
        assert httpx.get(f"{base_url}/user").status_code == 302


def test_a_client_that_has_said_everything_gets_the_answer_that_was_held_back() -> None:
    fake = FakeExbo()
    with fake.serve() as base_url, connect(base_url) as connection:
        with fake.hold("/oauth/user") as gate:
            connection.sendall(b"GET /oauth/user HTTP/1.1\r\nHost: x\r\n\r\n")
            connection.shutdown(socket.SHUT_WR)
            gate.wait()
        assert connection.recv(65536).startswith(b"HTTP/1.1 302")
        assert connection.recv(65536) == b""


def test_a_port_that_is_none_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"cannot listen on 127\.0\.0\.1:70000"), FakeExbo().serve(port=70_000):
        pass


def test_other_loopback_addresses_can_be_served() -> None:
    fake = FakeExbo()
    with fake.serve("localhost") as base_url:
        assert urlsplit(base_url).hostname == "localhost"
        assert httpx.post(f"{base_url}/token", data=credentials(fake)).status_code == 200


def test_who_comes_in_the_moment_in_which_it_stops_neither_stays_nor_is_waited_for() -> None:
    fake, came = FakeExbo(), []

    def come(base_url: str) -> None:
        with suppress(OSError):
            while True:
                came.append(connect(base_url))

    for number in range(20):
        with fake.serve() as base_url:
            visitors = threading.Thread(target=come, args=[base_url])
            visitors.start()
            while len(came) <= number % 5 and visitors.is_alive():
                pass
        visitors.join()
        while came:
            came.pop().close()
    gc.collect()  # what was left open says so, and warnings are errors


@pytest.mark.parametrize("needed", [(socket, "socket"), (asyncio.events, "new_event_loop")], ids=["socket", "loop"])
def test_where_no_server_can_be_made_the_caller_is_told_why(monkeypatch: pytest.MonkeyPatch, needed: Any) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("not in this test")

    with monkeypatch.context() as patch:
        patch.setattr(*needed, refuse)
        with pytest.raises(RuntimeError, match="not in this test"), FakeExbo().serve():
            pass


def test_a_server_that_listens_everywhere_is_called_by_its_loopback_address() -> None:
    fake = FakeExbo()
    with fake.serve("0.0.0.0", names=["localhost"]) as base_url:
        assert urlsplit(base_url).hostname == "127.0.0.1"
        assert httpx.post(f"{base_url}/token", data=credentials(fake)).status_code == 200


def test_a_server_that_is_never_left_does_not_keep_the_process_from_ending() -> None:
    program = "from exbo_oauth.testing import FakeExbo; served = FakeExbo().serve(); print(served.__enter__()[:17])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "http://127.0.0.1:\n", "")
