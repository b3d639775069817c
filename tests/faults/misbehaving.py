"""The sandbox behind a socket that misbehaves once, at a byte of one's choice."""

import socket
import struct
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Literal

from attrs import define, field, frozen

from exbo_oauth.protocol import Request, Response
from exbo_oauth.testing import FakeExbo

__all__ = ["WAYS", "Fault", "Line", "line"]

Side = Literal["request", "answer"]
Way = Literal["close", "reset", "stall", "garbage"]

WAYS: tuple[Way, ...] = ("close", "reset", "stall", "garbage")

_GARBAGE = bytes(range(256))


@frozen
class Fault:
    """After so many bytes of the request were read, or of the answer were sent, this happens."""

    side: Side
    after: int
    way: Way

    def __str__(self) -> str:
        return f"{self.way} after {self.after} bytes of the {self.side}"


@define
class Line:
    """What listens. The first connection meets the fault; `begun` counts those over which any of a request came.

    The sizes are the first request's and its answer's.
    """

    fake: FakeExbo
    port: int
    fault: Fault | None
    over: threading.Event = field(factory=threading.Event)
    begun: int = 0
    request_size: int = 0
    answer_size: int = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/oauth"

    def serve(self, connection: socket.socket, fault: Fault | None) -> None:
        with connection, suppress(OSError):
            connection.settimeout(20)
            while (request := self._read(connection, fault)) is not None:
                answer = self._answered(request)
                if not self.answer_size:
                    self.request_size, self.answer_size = len(request), len(answer)
                if fault is not None:
                    connection.sendall(answer[: fault.after])
                    self._misbehave(connection, fault)
                    return
                connection.sendall(answer)

    def _read(self, connection: socket.socket, fault: Fault | None) -> bytes | None:
        """A whole request; None if there is no more, or the fault came first."""
        data, most = b"", fault.after if fault is not None and fault.side == "request" else None
        while len(data) != most:
            piece = connection.recv(65536 if most is None else min(65536, most - len(data)))
            if not piece:
                return None
            self.begun += not data
            data += piece
            if most is None and _is_whole(data):
                return data
        if fault is not None:
            self._misbehave(connection, fault)
        return None

    def _answered(self, data: bytes) -> bytes:
        head, _, body = data.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = line.split(" ")
        headers = [(name, value.strip()) for name, _, value in (each.partition(":") for each in lines)]
        url = self.fake.base_url.removesuffix("/oauth") + target
        return _in_bytes(self.fake.handle(Request(method, url, headers, body)))

    def _misbehave(self, connection: socket.socket, fault: Fault) -> None:
        if fault.way == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif fault.way == "stall":
            self.over.wait(60)
        elif fault.way == "garbage":
            connection.sendall(_GARBAGE)
            connection.shutdown(socket.SHUT_WR)


def _is_whole(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    sizes = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return bool(end) and len(body) >= sum(sizes)


def _in_bytes(response: Response) -> bytes:
    headers = {**response.headers, "content-length": str(len(response.content))}
    lines = [f"HTTP/1.1 {response.status} Said", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + response.content


@contextmanager
def line(fake: FakeExbo, fault: Fault | None) -> Generator[Line]:
    """Serve `fake` with this fault. Nothing of it is left afterwards, or this raises."""
    listener = socket.create_server(("127.0.0.1", 0))
    served = Line(fake, listener.getsockname()[1], fault)
    threads: list[threading.Thread] = []

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            if served.over.is_set():
                connection.close()
                return
            first = None if threads else fault
            threads.append(threading.Thread(target=served.serve, args=(connection, first)))
            threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield served
    finally:
        served.over.set()
        socket.create_connection(("127.0.0.1", served.port)).close()
        for thread in (accepting, *threads):
            thread.join(120)
        listener.close()
    assert not any(thread.is_alive() for thread in threads), "a connection is still open"
