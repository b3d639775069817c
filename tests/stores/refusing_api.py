"""An API over a real socket that refuses tokens for all reasons there are, and counts what it is asked.

It takes what is alive at a `FakeExbo`, except where it does not: paths that begin with ``/no`` refuse everything,
``/web`` redirects to the login page as Laravel does; the whole API may be down, or have sick nodes. Below ``/cached``
there is a token endpoint that gives the same dead token to everybody.
"""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from attrs import define, field

from exbo_oauth.testing import FakeExbo

Reply = tuple[int, dict[str, str], object]


@define(eq=False)
class RefusingApi:
    """What is asked for is answered by as many nodes as there are in `sick`, in turn.

    `crowd` requests are answered when all of them are there.
    """

    fake: FakeExbo
    url: str = ""
    down: bool = False
    sick: tuple[bool, ...] = (False,)
    asked: Counter[str] = field(factory=Counter)
    refused: int = 0
    _crowd: threading.Barrier | None = None
    _missing: int = 0
    _lock: threading.Lock = field(factory=threading.Lock)

    def gather(self, crowd: int) -> None:
        """Answer the next requests when there are so many."""
        self._crowd, self._missing = threading.Barrier(crowd), crowd

    def reply(self, path: str, token: str) -> Reply:
        with self._lock:
            self.asked[path] += 1
            node = sum(self.asked.values()) % len(self.sick)
            waits, self._missing = self._missing > 0, max(0, self._missing - 1)
        taken = self.fake.is_live(token) and not self.down and not self.sick[node] and not path.startswith("/no")
        if waits and self._crowd is not None:
            self._crowd.wait(60)
        if taken:
            return 200, {}, {"path": path}
        self.refused += 1
        return (302, {"location": f"{self.url}/login"}, None) if path == "/web" else (401, {}, {"status": 401})

    @contextmanager
    def served(self) -> Iterator["RefusingApi"]:
        class Handler(_Handler):
            api = self

        with _Server(("127.0.0.1", 0), Handler) as server:
            self.url = f"http://127.0.0.1:{server.server_port}"
            thread = threading.Thread(target=server.serve_forever, args=[0.05])
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class _Handler(BaseHTTPRequestHandler):
    api: RefusingApi
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet

    def do_GET(self) -> None:
        token = self.headers.get("authorization", "").removeprefix("Bearer ")
        self._say(*self.api.reply(self.path, token))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.api.asked[self.path] += 1
        self._say(200, {}, {"token_type": "Bearer", "expires_in": 3600, "access_token": "always.the.same"})

    def _say(self, status: int, headers: dict[str, str], body: object) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing."""
