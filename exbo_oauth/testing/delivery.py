"""What the server hands to whatever brings its answers to clients: the in-process transport, the socket server.

An answer and its fate, and the little that these two have to know of the server.
"""

from collections.abc import Iterable
from typing import Protocol

from attrs import frozen

from ..protocol.messages import Request, Response
from .faults import Gate

__all__ = ["Answering", "Delivery", "in_bytes"]


@frozen(kw_only=True)
class Delivery:
    """An answer and its fate.

    After `delay` seconds, and once `gate` is open, it is sent, or if `lost` dropped, with `partial` in its middle.
    `date` is the Date header that the HTTP server around it adds.
    """

    response: Response | None
    date: str
    lost: bool = False
    partial: bool = False
    delay: float = 0.0
    gate: Gate | None = None

    @property
    def plain(self) -> bool:
        """Whether the answer simply goes out."""
        return not (self.lost or self.delay or self.gate)

    def headers(self, response: Response) -> list[tuple[bytes, bytes]]:
        """The headers of `response` with those that every HTTP server adds."""
        given = response.headers.items()  # a scripted answer may bring its own date
        headers = [*given] if "date" in response.headers else [("date", self.date), *given]
        if "content-length" not in response.headers and response.status != 204:
            headers.append(("content-length", str(len(response.content))))
        return in_bytes(headers)


def in_bytes(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Headers as PHP sends them: text in UTF-8, and bytes that are none as they came."""
    return [(name.encode(), value.strip().encode("utf-8", "surrogateescape")) for name, value in headers]


class Answering(Protocol):
    """The server as its transports see it."""

    base_url: str

    def receive(self, request: Request, *, address: str = ...) -> Delivery: ...

    def note_unreadable(self, reason: str) -> None: ...
