"""What strangers send to the listener. None of it ends the wait, none of it leads to an exchange."""

import os
import re
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import quote

import pytest

from exbo_oauth.login.endpoint import endpoint_of
from exbo_oauth.login.listener import Listener
from exbo_oauth.login.receiver import Reply

from ..free_ports import free_port
from .conftest import PATIENCE, Answer, Program, answer_on, send

CODE = "def50200" + "a" * 692


def state_of(program: Program) -> str:
    found = re.search(r"[?&]state=([\w-]+)", program.url)
    assert found
    return found[1]


def get(query: str) -> Callable[[Program], bytes]:
    """A GET of the right path; ``{state}`` in `query` is the attempt's own."""
    return lambda program: program.request(f"{program.path}?{query.replace('{state}', state_of(program))}")


def another_attempts_callback(program: Program) -> bytes:
    earlier = program.fake.authorize(re.sub(r"state=[\w-]+", "state=of-an-earlier-attempt", program.url))
    return program.request(earlier)


def with_host(host: str) -> Callable[[Program], bytes]:
    """The true callback, but said to somebody else."""
    return lambda program: program.request(program.callback(), host=host.replace("{port}", str(program.port)))


def edited(old: bytes, new: bytes) -> Callable[[Program], bytes]:
    """The true callback, spoiled."""

    def spoiled(program: Program) -> bytes:
        request = program.request(program.callback())
        assert old in request
        return request.replace(old, new)

    return spoiled


def headed(size: int) -> Callable[[Program], bytes]:
    """The true callback with headers of this many bytes."""
    return lambda program: program.request(program.callback(), f"X-Padding: {'x' * size}")


HOSTILE = [
    pytest.param(get(f"code={CODE}"), 400, id="no state"),
    pytest.param(get(f"code={CODE}&state="), 400, id="an empty state"),
    pytest.param(get(f"code={CODE}&state=guessed"), 400, id="a wrong state"),
    pytest.param(get(f"code={CODE}&state={{state}}x"), 400, id="our state and more"),
    pytest.param(get(f"code={CODE}&State={{state}}"), 400, id="our state by another name"),
    pytest.param(get(f"code={CODE}&state={{state}}&state={{state}}"), 400, id="our state twice"),
    pytest.param(get(f"code={CODE}&state={{state}}&state=other"), 400, id="our state and another"),
    pytest.param(get(f"code={CODE}&code=another&state={{state}}"), 400, id="two codes"),
    pytest.param(get(f"code={CODE}&state={quote('ш')}"), 400, id="a state in Cyrillic"),
    pytest.param(get(f"code={CODE}&state=%ff%fe"), 400, id="a state that is no text"),
    pytest.param(get(f"code={CODE}&state=\xff\xfe"), 400, id="a state in raw bytes"),
    pytest.param(get("&".join(f"a{number}=b" for number in range(500)) + "&state={state}"), 400, id="500 parameters"),
    pytest.param(get("state={state}"), 400, id="our state and no code"),
    pytest.param(get("state={state}&code="), 400, id="our state and an empty code"),
    pytest.param(another_attempts_callback, 400, id="the code of another attempt"),
    pytest.param(get(f"code={CODE}&state={{state}}&iss=https://evil.example"), 400, id="another server's issuer"),
    pytest.param(get("error=access_denied&state={state}&iss=https://evil.example"), 400, id="another server's denial"),
    pytest.param(get("error=access_denied"), 400, id="a denial without state"),
    pytest.param(get("error=access_denied&state=guessed"), 400, id="a denial with a wrong state"),
    pytest.param(get("error=&state=guessed"), 400, id="an empty error"),
    pytest.param(get("error=%0d%0aSet-Cookie:+x%3Dy"), 400, id="a header in an error"),
    pytest.param(get("error=<script>alert(1)</script>"), 400, id="a script in an error"),
    pytest.param(get(""), 400, id="a bare question mark"),
    pytest.param(lambda program: program.request(program.path), 400, id="the path alone"),
    pytest.param(lambda program: program.request("/favicon.ico"), 404, id="favicon"),
    pytest.param(edited(b"/callback?", b"/?"), 404, id="the root"),
    pytest.param(edited(b"/callback?", b"/Callback?"), 404, id="the path in another case"),
    pytest.param(edited(b"/callback?", b"/callback/?"), 404, id="a slash more"),
    pytest.param(edited(b"/callback?", b"/x/../callback?"), 404, id="a detour"),
    pytest.param(edited(b"GET /callback?", b"GET http://localhost/callback?"), 404, id="for a proxy"),
    pytest.param(edited(b"GET ", b"POST "), 405, id="POST"),
    pytest.param(edited(b"GET ", b"HEAD "), 405, id="HEAD"),
    pytest.param(edited(b"GET ", b"OPTIONS "), 405, id="OPTIONS"),
    pytest.param(edited(b"GET ", b"get "), 405, id="a method in lower case"),
    pytest.param(with_host("evil.example:{port}"), 403, id="a name that was made to point here"),
    pytest.param(with_host("evil.example"), 403, id="that without the port"),
    pytest.param(with_host("localhost.evil.example:{port}"), 403, id="a name that begins like ours"),
    pytest.param(with_host("localhost:1"), 403, id="another port"),
    pytest.param(with_host("localhost"), 403, id="no port"),
    pytest.param(with_host("user@localhost:{port}"), 403, id="a user name in Host"),
    pytest.param(edited(b"Host: ", b"X-Host: "), 400, id="no Host"),
    pytest.param(edited(b"Host: ", b"Host: evil.example\r\nHost: "), 400, id="two Hosts"),
    pytest.param(edited(b"Host: ", b"Host : "), 400, id="a space before the colon"),
    pytest.param(edited(b"Host: ", b" folded\r\nHost: "), 400, id="a folded line"),
    pytest.param(edited(b" HTTP/1.1", b""), 400, id="HTTP/0.9"),
    pytest.param(edited(b" HTTP/1.1", b" HTTP/2.0"), 400, id="HTTP/2"),
    pytest.param(edited(b"GET ", b"GET  "), 400, id="two spaces"),
    pytest.param(lambda _: b"\r\n\r\n", 400, id="nothing but an end"),
    pytest.param(lambda _: b"\0" * 100 + b"\r\n\r\n", 400, id="zeros"),
    pytest.param(headed(70_000), 431, id="70 kB of headers"),
    pytest.param(lambda _: b"GET /" + b"a" * 10_000_000, 431, id="a request line of 10 MB"),
]


@pytest.mark.parametrize(("request_of", "status"), HOSTILE)
def test_a_stranger_is_refused_and_the_wait_goes_on(
    program: Program, request_of: Callable[[Program], bytes], status: int
) -> None:
    program.start()
    callback = program.callback()
    answer = send(program.port, request_of(program))
    assert answer.status == status
    assert_harmless(answer, program)
    assert program.exchanges() == []
    assert program.is_waiting()
    program.browse(callback)
    program.token()
    assert len(program.exchanges()) == 1


def assert_harmless(answer: Answer, program: Program) -> None:
    """Nothing of the attempt or of what was sent is in the answer, and nothing in it can run."""
    assert CODE not in answer.text
    assert state_of(program) not in answer.text
    assert "alert" not in answer.text
    assert "set-cookie" not in answer.headers
    assert "location" not in answer.headers
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["cache-control"] == "no-store"


def test_a_head_that_just_fits_is_read(program: Program) -> None:
    program.start()
    callback = program.callback()
    assert send(program.port, headed(60_000)(program)).status == 303
    program.visit(program.redirect_uri)
    program.token()
    assert callback


def test_a_callback_serves_once(program: Program) -> None:
    with program.fake.hold() as gate:
        program.start()
        first, second = program.callback(), program.callback("steam-guest")
        assert program.visit(first).status == 303
        assert program.visit(first).status == 303  # a reload
        assert program.visit(second).status == 303  # our state, another code: too late
        gate.wait(1)
        gate.release()
        program.visit(program.redirect_uri)
    program.token()
    assert len(program.exchanges()) == 1
    assert program.fake.issued[-1].user_id == 1


def test_a_stranger_after_the_callback_learns_nothing(program: Program) -> None:
    with program.fake.hold() as gate:
        program.start()
        callback = program.callback()
        program.visit(callback)
        gate.wait(1)
        answer = program.visit(f"{program.redirect_uri}?code={CODE}&state=guessed")
        assert answer.status == 400
        gate.release()
        program.visit(program.redirect_uri)
    program.token()


def test_silent_connections_keep_nobody_out(program: Program) -> None:
    program.start()
    callback = program.callback()
    with ExitStack() as opened:
        for index in range(400):
            sock = opened.enter_context(socket.create_connection(("127.0.0.1", program.port), PATIENCE))
            sock.sendall((b"", b"GET /callb", program.request(callback)[:-2])[index % 3])
        program.browse(callback)
        program.token()


def test_who_says_nothing_is_hung_up_on(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    program.start()
    callback = program.callback()
    with monkeypatch.context() as hurry:
        hurry.setattr("exbo_oauth.login.listener._PATIENCE", 0.1)
        with socket.create_connection(("127.0.0.1", program.port), PATIENCE) as sock:
            assert sock.recv(1) == b""
    program.browse(callback)
    program.token()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit of open files")
def test_a_process_that_has_no_descriptor_left_listens_on(program: Program) -> None:
    import resource

    program.start()
    callback, limits = program.callback(), resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
    taken: list[int] = []
    try:
        with socket.socket() as sock, suppress(OSError):
            while True:
                taken.append(os.dup(sock.fileno()))
        with pytest.raises(OSError, match="Too many"):
            while True:
                taken.append(os.dup(taken[0]))
        os.close(taken.pop())
        with socket.create_connection(("127.0.0.1", program.port), PATIENCE) as sock:
            time.sleep(0.2)  # the listener is refused a descriptor meanwhile
            for descriptor in taken:
                os.close(descriptor)
            taken.clear()
            sock.sendall(program.request(callback))
            assert answer_on(sock).status == 303
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for descriptor in taken:
            os.close(descriptor)
    program.visit(program.redirect_uri)
    program.token()


def test_a_visitor_who_sends_byte_by_byte_is_heard(program: Program) -> None:
    program.start()
    callback = program.callback()
    with socket.create_connection(("127.0.0.1", program.port), PATIENCE) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in program.request(callback):
            sock.sendall(bytes([byte]))
        assert answer_on(sock).status == 303
    program.visit(program.redirect_uri)
    program.token()


def test_visitors_who_leave_at_once_do_no_harm(program: Program) -> None:
    program.start()
    callback = program.callback()
    for index in range(50):
        with socket.create_connection(("127.0.0.1", program.port), PATIENCE) as sock:
            if index % 2:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # leave with a reset
                sock.sendall(program.request("/favicon.ico"))
    program.browse(callback)
    program.token()


def test_who_leaves_while_the_last_page_is_due_does_no_harm(program: Program) -> None:
    with program.fake.hold() as gate:
        program.start()
        program.visit(program.callback())
        gate.wait(1)
        with socket.create_connection(("127.0.0.1", program.port), PATIENCE) as sock:
            sock.sendall(program.request(program.redirect_uri))
            sock.sendall(b"and more that nobody asked for")
        gate.release()
        program.visit(program.redirect_uri)
    program.token()


def test_a_browser_that_insists_on_https_is_no_obstacle(program: Program) -> None:
    program.start()
    callback = program.callback()
    context = ssl.create_default_context()
    with socket.create_connection(("127.0.0.1", program.port), PATIENCE) as sock:
        sock.settimeout(0.5)
        with pytest.raises(OSError):
            context.wrap_socket(sock, server_hostname="localhost")
    program.browse(callback)
    program.token()


def test_200_strangers_at_once(program: Program) -> None:
    statuses: list[int] = []
    with program.fake.hold() as gate:
        program.start()
        callback = program.callback()
        everybody = threading.Barrier(201)

        def stranger() -> None:
            everybody.wait()
            statuses.append(send(program.port, program.request(f"/callback?code={CODE}&state=guessed")).status)

        threads = [threading.Thread(target=stranger) for _ in range(200)]
        for thread in threads:
            thread.start()
        everybody.wait()
        assert program.visit(callback).status == 303
        for thread in threads:
            thread.join()
        gate.release()
        assert "You are signed in" in program.visit(program.redirect_uri).text
    program.token()
    assert statuses == [400] * 200
    assert len(program.exchanges()) == 1


# The listener alone


@contextmanager
def listening(receive: Callable[[bytes], Reply]) -> Iterator[int]:
    """A port at which `receive` is asked for the answers."""
    port = free_port()
    listener = Listener(endpoint_of(f"http://127.0.0.1:{port}/callback"), receive, lambda _: b"")
    listener.open()
    try:
        yield port
    finally:
        listener.stop()
        assert listener.gone.wait(PATIENCE)


def test_an_answer_that_does_not_go_out_at_once_is_sent_to_its_end() -> None:
    body = b"x" * 20_000_000  # far more than a system takes in one piece
    with listening(lambda _: Reply(b"HTTP/1.1 200 OK\r\nLength: all\r\n\r\n" + body)) as port:
        assert send(port, b"GET / HTTP/1.1\r\n\r\n").text == body.decode()


def test_who_is_hung_up_on_at_the_moment_he_speaks_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exbo_oauth.login.listener._MOST_CONNECTIONS", 2)
    asked, answering = threading.Event(), threading.Event()

    def receive(_: bytes) -> Reply:
        asked.set()
        assert answering.wait(PATIENCE)
        return Reply(b"HTTP/1.1 200 OK\r\nLength: all\r\n\r\nok")

    with listening(receive) as port, ExitStack() as opened:
        first, second = (
            opened.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE)) for _ in range(2)
        )
        second.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert asked.wait(PATIENCE)
        third = opened.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))  # for which one must go
        first.sendall(b"GET /")
        answering.set()
        third.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert [answer_on(visitor).text for visitor in (second, third)] == ["ok", "ok"]
        with pytest.raises(ConnectionResetError):
            first.recv(1)
