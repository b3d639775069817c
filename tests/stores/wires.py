"""A wire to a server that can be cut at the worst moment: after the server did its work, before the answer arrives."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Wire:
    """Passes bytes on between a client and a server, a TCP port or the path of a UNIX socket.

    With `encrypted`, what the client says is TLS and what the server hears is not.
    While it is `silent`, it takes what it is sent and new connections, too, and passes nothing on, as a pooler that
    hangs. It `refuses` a client whose first words contain what it is given, with an answer. After `lose_answer(to)` the
    next request that contains `to` reaches the server, and its answer does not come back:
    the connection ends instead. The requests after it get through again. `lead_to` is where new connections go from
    then on, as when a name is given to another host.
    """

    def __init__(self, server: int | str, encrypted: ssl.SSLContext | None = None) -> None:
        self._server = server
        self._encrypted = encrypted
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._doomed: list[bytes] = []
        self._refused: tuple[bytes, bytes] | None = None
        self._speaking = threading.Event()
        self._speaking.set()
        self.lost = self.connected = 0

    def lose_answer(self, to: bytes, times: int = 1) -> None:
        self._doomed += [to] * times

    def refuse(self, containing: bytes, answer: bytes) -> None:
        self._refused = containing, answer

    @contextmanager
    def silent(self) -> Iterator[None]:
        self._speaking.clear()
        try:
            yield
        finally:
            self._speaking.set()

    def lead_to(self, server: int | str) -> None:
        self._server = server

    def close(self) -> None:
        self._listener.close()

    def run(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                self.connected += 1
                threading.Thread(target=self._connect, args=[client], daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        with suppress(OSError), self._greeted(client) as client, self._reached() as server:
            cut = threading.Event()
            back = threading.Thread(target=self._answers, args=[server, client, cut], daemon=True)
            back.start()
            while data := client.recv(65536):
                self._speaking.wait()
                if self._refused is not None and self._refused[0] in data:
                    client.sendall(self._refused[1])
                    client.shutdown(socket.SHUT_RDWR)
                    break
                if any(doomed in data for doomed in self._doomed):
                    self._doomed.pop()
                    cut.set()
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)
            back.join()

    def _greeted(self, client: socket.socket) -> socket.socket:
        return client if self._encrypted is None else self._encrypted.wrap_socket(client, server_side=True)

    def _reached(self) -> socket.socket:
        if isinstance(self._server, int):
            return socket.create_connection(("127.0.0.1", self._server))
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._server)
        return server

    def _answers(self, server: socket.socket, client: socket.socket, cut: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                self._speaking.wait()
                if cut.is_set():
                    self.lost += 1
                    break
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)


@contextmanager
def wire(server: int | str, encrypted: ssl.SSLContext | None = None) -> Iterator[Wire]:
    passing = Wire(server, encrypted)
    threading.Thread(target=passing.run, daemon=True).start()
    try:
        yield passing
    finally:
        passing.close()
