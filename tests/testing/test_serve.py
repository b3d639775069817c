"""The server behind a real socket: keep-alive, drops, held answers, odd bytes, and leaving nothing behind."""

import gc
import http.client
import json
import socket
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import urlencode, urlsplit

import httpx
import pytest

from exbo_oauth import ConfigurationError
from exbo_oauth.testing import FakeExbo


def credentials(fake: FakeExbo) -> dict[str, str]:
    return {"grant_type": "client_credentials", "client_id": "1", "client_secret": fake.app.client_secret}


def connect(base_url: str) -> socket.socket:
    parts = urlsplit(base_url)
    return socket.create_connection((parts.hostname, parts.port), timeout=10)


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


def test_one_connection_carries_many_requests() -> None:
    fake = FakeExbo()
    with fake.serve() as base_url:
        parts = urlsplit(base_url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 0, timeout=10)
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
            said = answers.result(10)
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
        assert held.result(10).status_code == 200


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


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET http://elsewhere/ HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/3\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\rSet-Cookie: b\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", b"413"),
        (b"GET /" + b"a" * 70_000, b"431"),
    ],
    ids=["line", "absolute", "version", "header", "control", "length", "large", "chunk", "large-chunk", "head"],
)
def test_odd_bytes_are_refused_and_hung_up_on(data: bytes, status: bytes) -> None:
    with FakeExbo().serve() as base_url:
        assert raw(base_url, data).startswith(b"HTTP/1.1 " + status)


def test_a_body_may_come_in_chunks_and_drop_by_drop() -> None:
    fake = FakeExbo()
    body = urlencode(credentials(fake)).encode()
    head = b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    head += b"Content-Type: application/x-www-form-urlencoded\r\n"
    chunks = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:]))
    data = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    with fake.serve() as base_url, connect(base_url) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in data:
            connection.sendall(bytes([byte]))
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_a_client_that_asks_first_gets_leave_to_send() -> None:
    fake = FakeExbo()
    body = urlencode(credentials(fake)).encode()
    head = f"POST /oauth/token HTTP/1.1\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\nConnection: close\r\n"
    head += "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    with fake.serve() as base_url, connect(base_url) as connection:
        connection.sendall(head.encode())
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("close", [b"GET /x HTTP/1.0\r\n\r\n", b"GET /x HTTP/1.1\r\nConnection: close\r\n\r\n"])
def test_a_client_that_wants_to_be_hung_up_on_is(close: bytes) -> None:
    with FakeExbo().serve() as base_url:
        assert b"connection: close" in raw(base_url, close)


def test_head_answers_carry_the_length_and_no_body() -> None:
    with FakeExbo().serve() as base_url:
        got, head = (
            raw(base_url, method + b" /sandbox/icon.svg HTTP/1.1\r\nConnection: close\r\n\r\n")
            for method in (b"GET", b"HEAD")
        )
    body = got.partition(b"\r\n\r\n")[2]
    assert head.endswith(b"\r\n\r\n")
    assert b"content-length: %d\r\n" % len(body) in head


def test_an_answer_without_content_has_no_length() -> None:
    with FakeExbo().serve() as base_url:
        said = raw(base_url, b"GET /sandbox/timeline?seen=0.0 HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 204 No Content")
    assert b"content-length" not in said


def test_a_status_that_has_no_name_is_sent_all_the_same() -> None:
    fake = FakeExbo()
    with fake.serve() as base_url:
        fake.fail_next(599)
        assert httpx.get(f"{base_url}/user").status_code == 599


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
