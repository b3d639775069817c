"""HTTP/1.1 requests out of a stream of bytes (RFC 9112), fed as they come.

`Framing` keeps what has arrived and hands out whole requests: the head up to an empty line, then a body of
Content-Length bytes or in chunks. Heads over 64 KiB and bodies over 1 MiB are refused.
"""

from re import compile as pattern

from attrs import evolve, frozen

__all__ = ["BadRequest", "Framing", "RawRequest"]

_HEAD_LIMIT = 65_536
_BODY_LIMIT = 1_048_576
_HEX = pattern(rb"[0-9A-Fa-f]{1,16}")
_CONTROL = pattern(r"[\x00-\x08\x0a-\x1f\x7f]")


class BadRequest(Exception):
    """Not a request that this server understands; `status` is what to answer before hanging up."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@frozen(repr=False)
class RawRequest:
    """One request as it came."""

    method: str
    target: str
    version: str
    headers: tuple[tuple[str, str], ...]
    by_name: dict[str, str]
    content: bytes = b""

    def header(self, name: str) -> str:
        return self.by_name.get(name, "")

    @property
    def closes(self) -> bool:
        """Whether the client wants the connection closed after the answer."""
        wish = self.header("connection").lower()
        return "close" in wish or (self.version == "HTTP/1.0" and "keep-alive" not in wish)


def _parsed_head(head: bytes) -> RawRequest:
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or not parts[1].startswith("/") or parts[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequest("malformed request line")
    headers: list[tuple[str, str]] = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip() or _CONTROL.search(value):
            raise BadRequest("malformed header")
        headers.append((name, value.strip()))
    by_name = {name.lower(): value for name, value in reversed(headers)}  # the first of its name counts
    return RawRequest(parts[0], parts[1], parts[2], tuple(headers), by_name)


def _length_of(head: RawRequest) -> int:
    text = head.header("content-length") or "0"
    if not (text.isascii() and text.isdigit()):
        raise BadRequest("malformed content-length")
    length = int(text)
    if length > _BODY_LIMIT:
        raise BadRequest("the body is too large", 413)
    return length


class Framing:
    """The bytes of one connection."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: RawRequest | None = None
        self._continued = False

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next_request(self) -> RawRequest | None:
        """The next whole request, None until more has come; raises `BadRequest`."""
        if self._head is None:
            self._head = self._next_head()
        if self._head is None:
            return None
        chunked = self._head.header("transfer-encoding").lower() == "chunked"
        content = self._chunks() if chunked else self._counted(_length_of(self._head))
        if content is None:
            return None
        head, self._head, self._continued = self._head, None, False
        return evolve(head, content=content) if content else head

    def expects_continue(self) -> bool:
        """Whether the client waits for leave to send its body (RFC 9110, section 10.1.1); true once a request."""
        if self._head is None or self._continued or self._head.header("expect").lower() != "100-continue":
            return False
        self._continued = True
        return True

    def _next_head(self) -> RawRequest | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end > _HEAD_LIMIT or (end < 0 and len(self._buffer) > _HEAD_LIMIT):
            raise BadRequest("the head is too large", 431)
        if end < 0:
            return None
        head = bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        return _parsed_head(head.lstrip(b"\r\n"))

    def _counted(self, length: int) -> bytes | None:
        if len(self._buffer) < length:
            return None
        content = bytes(self._buffer[:length])
        del self._buffer[:length]
        return content

    def _chunks(self) -> bytes | None:
        """The body in chunks once the last one is here (RFC 9112, section 7.1); trailers are not understood."""
        content, at = b"", 0
        while True:
            line = self._buffer.find(b"\r\n", at)
            if line < 0:
                return None
            size = _chunk_size(bytes(self._buffer[at:line]))
            start, at = line + 2, line + 2 + size + 2
            if len(content) + size > _BODY_LIMIT:
                raise BadRequest("the body is too large", 413)
            if len(self._buffer) < at:
                return None
            content += self._buffer[start : at - 2]
            if size == 0:
                del self._buffer[:at]
                return content


def _chunk_size(line: bytes) -> int:
    size = line.partition(b";")[0].strip()
    if not _HEX.fullmatch(size):
        raise BadRequest("malformed chunk")
    return int(size, 16)
