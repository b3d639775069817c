"""One visitor's connection: at most one request in, one answer out, then a polite end.

Nothing here waits. `BlockingIOError` means "later", any other `OSError` that the visitor is gone.
"""

import socket
from enum import Enum, auto

from attrs import define, field

from .callback import MAX_HEAD, Language

__all__ = ["Connection", "Phase"]

_CHUNK = 16 * 1024


class Phase(Enum):
    """What a connection is waiting for."""

    READING = auto()  # the head of the request
    HELD = auto()  # the outcome of the sign-in
    WRITING = auto()  # room for the answer
    DRAINING = auto()  # the visitor's end of the connection, so that a reset does not overtake the answer


@define(eq=False, repr=False)
class Connection:
    """A socket and what is known of it. `deadline` is on the monotonic clock, in seconds."""

    sock: socket.socket
    deadline: float
    phase: Phase = Phase.READING
    language: Language = "en"
    brings_outcome: bool = False
    _inbox: bytearray = field(factory=bytearray)
    _outbox: bytes = b""

    def fileno(self) -> int:
        return self.sock.fileno()

    @property
    def is_overlong(self) -> bool:
        """Whether more came than a head may have."""
        return len(self._inbox) > MAX_HEAD

    def read(self) -> bytes | None:
        """Read on; the head of the request once it is whole, without the empty line that ends it."""
        self._inbox += self._received()
        end = self._inbox.find(b"\r\n\r\n")
        if not 0 <= end <= MAX_HEAD:
            return None
        head = bytes(self._inbox[:end])
        self._inbox.clear()
        return head

    def discard(self) -> None:
        """Read and forget."""
        self._received()

    def _received(self) -> bytes:
        data = self.sock.recv(_CHUNK)
        if not data:
            raise ConnectionResetError
        return data

    def answer(self, content: bytes) -> None:
        """What `flush` is to send."""
        self._inbox.clear()
        self._outbox, self.phase = content, Phase.WRITING

    def flush(self) -> bool:
        """Send on; True once the whole answer is out and our half of the connection is closed."""
        self._outbox = self._outbox[self.sock.send(self._outbox) :]
        if self._outbox:
            return False
        self.sock.shutdown(socket.SHUT_WR)
        self.phase = Phase.DRAINING
        return True
