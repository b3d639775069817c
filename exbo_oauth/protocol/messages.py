"""What goes to the server and what comes back: two frozen values, known to no HTTP library.

`Request` and `Response` are all that a transport has to understand. Their reprs show where a message went and
how large it was, never what it carried: bodies and credentials of this protocol are secrets almost throughout.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from attrs import field, frozen

from ..boundary import bounded
from ..errors import ConfigurationError
from ..masking import MASK, Secret

__all__ = ["Headers", "Request", "Response"]

_SECRET_HEADERS = frozenset({"authorization", "client-secret", "cookie", "set-cookie"})

HeaderInput: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]


class Headers(Mapping[str, str]):
    """Response headers by lower-case name; looking one up ignores case (RFC 9110, section 5.1).

    A name that came several times has its values joined with ``", "``.

    ::

        assert Headers({"Retry-After": "5"})["retry-after"] == "5"
    """

    __slots__ = ("_items",)

    @bounded
    def __init__(self, headers: HeaderInput = ()) -> None:
        self._items: dict[str, str] = {}
        for name, value in _pairs(headers):
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


def _as_headers(headers: HeaderInput) -> Headers:
    return headers if isinstance(headers, Headers) else Headers(headers)  # they do not change


def _pairs(headers: HeaderInput) -> tuple[tuple[str, str], ...]:
    try:
        given: Any = headers.items() if isinstance(headers, dict | Mapping) else headers  # the first is quicker to tell
        pairs: tuple[tuple[str, str], ...] | None = tuple([(name, value) for name, value in given])
    except (TypeError, ValueError):
        pairs = None
    if pairs is None or not all(isinstance(name, str) and isinstance(value, str) for name, value in pairs):
        raise ConfigurationError("headers are a mapping or pairs of str: decode bytes as latin-1")
    return pairs


def _hidden_pairs(headers: HeaderInput | Secret[Any]) -> Secret[tuple[tuple[str, str], ...]]:
    return headers if isinstance(headers, Secret) else Secret(_pairs(headers))


def _status(status: int) -> int:
    if isinstance(status, bool) or not isinstance(status, int):
        raise ConfigurationError(f"status must be an int, not {type(status).__name__}")
    return int(status)


def _content(content: bytes | bytearray | memoryview | Secret[Any]) -> Secret[bytes]:
    if isinstance(content, Secret):  # by attrs.evolve
        return content
    if not isinstance(content, bytes | bytearray | memoryview):
        raise ConfigurationError(f"content is the body in bytes, not {type(content).__name__}")
    return Secret(bytes(content))


@bounded
@frozen(repr=False)
class Request:
    """One HTTP request, described: `method`, `url`, `headers` (in order, as spelled) and `content`, the body.

    ::

        asked = oauth_protocol.app_token().request
        print(asked.method, asked.url, len(asked.content))
    """

    method: str
    url: str
    _headers: Secret[tuple[tuple[str, str], ...]] = field(  # pyright: ignore[reportAssignmentType]  # converted
        default=(), converter=_hidden_pairs, alias="headers"
    )
    _content: Secret[bytes] = field(  # pyright: ignore[reportAssignmentType]  # converted
        default=b"", converter=_content, alias="content"
    )

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Pairs of name and value, in order and as spelled."""
        return self._headers.reveal()

    @property
    def content(self) -> bytes:
        """The body, empty for a GET."""
        return self._content.reveal()

    def header(self, name: str, default: str = "") -> str:
        """The first header of that name in any case, or `default`."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), default)

    def __repr__(self) -> str:
        path, query, _ = self.url.partition("?")
        names = ", ".join(name for name, _ in self.headers)
        return f"<Request {self.method} {path}{'?…' if query else ''} [{names}] {len(self.content)} bytes>"


@bounded
@frozen(repr=False)
class Response:
    """One HTTP answer: the status code, the headers by any-case name, and the whole body.

    `headers` may be given as a mapping or as pairs, the names in any case.

    ::

        answer = Response(200, {"Content-Type": "application/json"}, b"{}")
        assert answer.status == 200
    """

    status: int = field(converter=_status)
    headers: Headers = field(factory=Headers, converter=_as_headers)
    _content: Secret[bytes] = field(  # pyright: ignore[reportAssignmentType]  # converted
        default=b"", converter=_content, alias="content"
    )

    @property
    def content(self) -> bytes:
        """The whole body."""
        return self._content.reveal()

    def __repr__(self) -> str:
        return f"<Response {self.status} {len(self.content)} bytes>"


for _public in (Headers, Request, Response):
    _public.__module__ = "exbo_oauth.protocol"
