"""Keeping secrets out of everything that people print.

What is stored in a field is wrapped in `Secret`: renderers of objects (rich, structlog, pytest) go through fields one
by one and never ask the object that they belong to. What a server says back to us goes through `redacted` before it
becomes part of an error text. Local variables are the business of `exbo_oauth.boundary`.
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Generic
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar("T", default=str)
else:
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ["MADE_UP", "MASK", "Secret", "detached", "redacted", "reveal", "wrapped"]

MASK = "***"

MADE_UP = "made-up-by-exbo-oauth-doctor-to-be-refused"
"""What stands for a token where the doctor learns whether the credentials are good. The sandbox knows it."""

_ESCAPE = re.compile("%[0-9A-F]{2}")
_SEPARATOR = re.compile("[-_. ]+")
_LONG = 16  # characters: nothing of that length is part of a server's sentence by chance

# The words of the recorded refusals, and of RFC 6749. Whoever has a secret of these (``client_secret``) has none.
_WORDS = frozenset(
    """
    a access all allowed an another attempts auth authentication authorization bad be bearer been by cannot
    challenge check client clients code configuration could credentials csrf decrypt denied different does error
    expired failed follow for forbidden found from get grant has have head header id in includes internal introspect
    invalid is issued known linked malformed many match method methods mismatch missing more must no not nothing
    oauth of once one openid or otherwise owner parameter parameters password plain post present provided public
    received redirect redirection refresh request requested required resource response revoke revoked rfc route
    s256 scope secret server service session specifications supported temporarily than that the this to token too type
    unauthenticated unauthorized unavailable unknown unsupported uri used user username validate value verifier
    verify was well when write
    """.split()  # noqa: SIM905  # a hundred quotes would hide the words
)

_Error = TypeVar("_Error", bound=BaseException)


class Secret(Generic[T]):
    """A value that shows as ``***`` wherever it is rendered; `reveal` gives it back.

    Not an attrs class, so that nothing takes it apart.
    """

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        return self._value

    def __eq__(self, other: object) -> bool:
        return self._value == other._value if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return MASK


def wrapped(value: "str | Secret") -> Secret:
    """`value` as a `Secret`."""
    return value if isinstance(value, Secret) else Secret(value)


def reveal(value: "str | Secret") -> str:
    """The text of a value that may or may not be wrapped."""
    return value.reveal() if isinstance(value, Secret) else value


def redacted(text: str, secrets: Iterable[Secret[Any]]) -> str:
    """`text` with every secret in it masked, also where it stands percent-encoded.

    The server's words stay readable: a short secret is masked where it stands by itself only, and one that is made of
    the server's own words, such as ``secret``, not at all: it protects nothing.
    """
    forms = {form for secret in secrets for form in _forms(secret.reveal())}
    # The longest first: a secret may begin with another one, whose mask would leave the rest of it standing.
    for form in sorted(forms, key=len, reverse=True):
        if len(form) < 4 or _is_wording(form):
            continue
        if len(form) >= _LONG:
            text = text.replace(form, MASK)
        else:
            text = re.sub(rf"(?<![\w-]){re.escape(form)}(?![\w-])", MASK, text)
    return text


def _is_wording(text: str) -> bool:
    return all(word in _WORDS for word in _SEPARATOR.split(text.lower()))


def _forms(secret: str) -> set[str]:
    text = secret.encode(errors="replace")
    encoded = {quote(text), quote(text, safe=""), quote_plus(text)}
    return {secret, *encoded, *(_ESCAPE.sub(lambda escape: escape[0].lower(), form) for form in encoded)}


def detached(error: _Error) -> _Error:
    """`error` without its frames and its chain.

    As the cause of one of our errors a foreign exception (an HTTP library's, a driver's) keeps its type and text:
    its frames hold requests and connections, and thirty of them would hide the three that the caller can act on.
    """
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
