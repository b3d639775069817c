"""Small servers on a raw socket, for behaviour that no well-meaning server shows."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from attrs import define, field

__all__ = ["RawServer", "answer", "raw_server"]

Handler = Callable[["Connection"], None]


@define
class Connection:
    """One connection, with the request that came in over it."""

    socket: socket.socket
    request: bytes
    over: threading.Event
    number: int

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def next_request(self) -> bytes:
        """What comes next over a connection that is kept; nothing once it is closed."""
        self.request = _read_request(self.socket)
        return self.request

    def drip(self, data: bytes, pause: float = 0.02) -> None:
        """Send byte by byte until all is sent or the test is over."""
        for position in range(len(data)):
            if self.over.wait(pause):
                return
            self.send(data[position : position + 1])


@define
class RawServer:
    """What is listening, and the requests it has read."""

    port: int
    over: threading.Event = field(factory=threading.Event)
    requests: list[bytes] = field(factory=list)
    connections: int = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/oauth"


def answer(status: str, body: bytes, *headers: str) -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status}", *headers, "Content-Type: application/json", f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def _read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    sizes = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while len(body) < sum(sizes):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def raw_server(handler: Handler, *, reads: bool = True) -> Iterator[RawServer]:
    """Serve each connection with `handler` on a thread of its own, after one request was read if it `reads`.

    The connection is closed when the handler returns. Whatever the handler does must end once ``over`` is set.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    server = RawServer(listener.getsockname()[1])
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket, number: int) -> None:
        with connection, suppress(OSError):
            connection.settimeout(120)
            request = _read_request(connection) if reads else b""
            if request:
                server.requests.append(request)
            if request or not reads:
                handler(Connection(connection, request, server.over, number))
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_WR)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            if server.over.is_set():
                connection.close()
                return
            server.connections += 1
            thread = threading.Thread(target=serve, args=(connection, server.connections))
            threads.append(thread)
            thread.start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield server
    finally:
        server.over.set()
        socket.create_connection(("127.0.0.1", server.port)).close()
        accepting.join()
        for thread in threads:
            thread.join()
        listener.close()
