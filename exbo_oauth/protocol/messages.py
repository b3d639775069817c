"""What goes to the server and what comes back: two frozen values, known to no HTTP library.

`Request` and `Response` are all that a transport has to understand. Their reprs show where a message went and
how large it was, never what it carried: bodies and credentials of this protocol are secrets almost throughout.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from attrs import field, frozen

from ..masking import MASK

__all__ = ["Headers", "Request", "Response"]

_SECRET_HEADERS = frozenset({"authorization", "client-secret", "cookie", "set-cookie"})

HeaderInput: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]


class Headers(Mapping[str, str]):
    """Response headers by lower-case name; looking one up ignores case (RFC 9110, section 5.1).

    A name that came several times has its values joined with ``", "``.
    """

    __slots__ = ("_items",)

    def __init__(self, headers: HeaderInput = ()) -> None:
        self._items: dict[str, str] = {}
        for name, value in headers.items() if isinstance(headers, Mapping) else headers:
            key = name.lower()
            self._items[key] = f"{self._items[key]}, {value}" if key in self._items else value

    def __getitem__(self, name: str) -> str:
        return self._items[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        shown = {name: MASK if name in _SECRET_HEADERS else value for name, value in self._items.items()}
        return f"Headers({shown})"


def _headers(headers: HeaderInput) -> Headers:
    return headers if isinstance(headers, Headers) else Headers(headers)


def _pairs(headers: HeaderInput) -> tuple[tuple[str, str], ...]:
    return tuple(headers.items() if isinstance(headers, Mapping) else headers)


@frozen(repr=False)
class Request:
    """One HTTP request, described.

    `headers` keep their order and spelling; `content` is the body, empty for a GET.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), converter=_pairs)
    content: bytes = b""

    def header(self, name: str, default: str = "") -> str:
        """The first header of that name in any case, or `default`."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), default)

    def __repr__(self) -> str:
        path, query, _ = self.url.partition("?")
        names = ", ".join(name for name, _ in self.headers)
        return f"<Request {self.method} {path}{'?…' if query else ''} [{names}] {len(self.content)} bytes>"


@frozen(repr=False)
class Response:
    """One HTTP answer: the status code, the headers by any-case name, and the whole body.

    `headers` may be given as a mapping or as pairs, the names in any case.
    """

    status: int
    headers: Headers = field(factory=Headers, converter=_headers)
    content: bytes = b""

    def __repr__(self) -> str:
        return f"<Response {self.status} {len(self.content)} bytes>"


for _public in (Headers, Request, Response):
    _public.__module__ = "exbo_oauth.protocol"
