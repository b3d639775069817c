"""APIs on loopback that answer as a test says, and count the credentials that reach them."""

import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import takewhile
from typing import Any

from attrs import define, field

# Ours: a library makes an Authorization of its own from a user name in an address.
CREDENTIALS = {"authorization": "Bearer ", "client-id": "", "client-secret": ""}

# Method, path, headers by lower-case name, body -> status, headers, body.
Respond = Callable[[str, str, dict[str, str], bytes], tuple[int, dict[str, str], str]]


def ok(*_: Any) -> tuple[int, dict[str, str], str]:
    return 200, {}, "ok"


@define
class Api:
    """What a server got: for each request its path, its body, and which credentials came along."""

    url: str
    port: int
    requests: list[tuple[str, bytes, set[str]]] = field(factory=list)

    @property
    def credentials(self) -> list[set[str]]:
        return [sent for _, _, sent in self.requests]


@contextmanager
def _running(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def api(respond: Respond = ok, certificate: str | None = None) -> Iterator[Api]:
    """A server, over TLS with the key and the certificate in that file."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self._body(headers)
            sent = {name for name, start in CREDENTIALS.items() if name in headers and headers[name].startswith(start)}
            seen.requests.append((self.path, body, sent))
            status, given, text = respond(self.command, self.path, headers, body)
            self.send_response(status)
            for name, value in given.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def _body(self, headers: dict[str, str]) -> bytes:
            if headers.get("transfer-encoding") != "chunked":
                return self.rfile.read(int(headers.get("content-length", 0)))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def log_message(self, *_: object) -> None:
            pass

    for method in ("GET", "POST"):
        setattr(Handler, f"do_{method}", Handler.answer)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    seen = Api(f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}", server.server_port)
    with _running(server):
        yield seen


@contextmanager
def socks() -> Iterator[Api]:
    """A SOCKS proxy that leads nowhere, and answers itself what it is given to pass on: it could read all of it."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.rfile.read(self.rfile.read(2)[1])  # the ways in which it may be told who asks
            self.wfile.write(b"\x05\x00")
            _, _, _, kind = self.rfile.read(4)
            self.rfile.read({1: 4, 3: 0, 4: 16}[kind] or self.rfile.read(1)[0])
            self.rfile.read(2)
            self.wfile.write(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
            head = takewhile(lambda line: line not in (b"\r\n", b""), iter(self.rfile.readline, None))
            lines = [line.decode().strip().lower() for line in head]
            if lines:
                sent = {name for name in CREDENTIALS if any(line.startswith(f"{name}:") for line in lines)}
                seen.requests.append((lines[0], b"", sent))
                self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    port = server.server_address[1]
    seen = Api(f"socks5://127.0.0.1:{port}", port)
    with _running(server):
        yield seen
