"""What a request says, read as Laravel on PHP reads it.

Bodies are forms (RFC 6749, appendix B), multipart or JSON; the query string of a POST does not count (recorded case
A06). Text is trimmed, what is empty then is null. Whether an answer is JSON or HTML follows the Accept header by
Laravel's own rule.
"""

from re import compile as pattern
from urllib.parse import unquote, urlsplit

from ..protocol.messages import Request
from .multipart import parsed_multipart
from .php import (
    Array,
    BadJSON,
    Value,
    base64_decoded,
    json_decoded,
    parsed_form,
    parsed_query,
    text_of,
    trimmed,
)

__all__ = [
    "BadMethod",
    "accepted",
    "basic_credentials",
    "input_of",
    "method_of",
    "parameters_of",
    "path_of",
    "query_of",
    "wants_json",
]

_JSON = ("application/json", "application/x-json")  # what Symfony takes for it, letter by letter
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "PATCH", "PURGE", "TRACE")
_LETTERS = pattern("[A-Z]+")
_MAYBE_METHOD = pattern(rb"ethod|%|\\\\")  # spelled out or escaped; most requests need not be read for it


class BadMethod(Exception):
    """A request that wants to be taken for one of a method that cannot be one."""


# Where it goes


def path_of(request: Request) -> str:
    """The path that the router matches: decoded, without slashes at its end (case M07); the root is ``/``."""
    return unquote(urlsplit(request.url).path.rstrip("/"), errors="surrogateescape") or "/"


def method_of(request: Request) -> str:
    """The method, in capitals; a POST may say another one in a header or in ``_method``. Raises `BadMethod`."""
    method = request.method.upper()
    if method != "POST":
        return method
    wish: Value = request.header("x-http-method-override")
    if wish in ("", "0"):  # no text at all to PHP
        spelled = any(map(_MAYBE_METHOD.search, (request.content, request.url.encode("utf-8", "surrogateescape"))))
        wish = input_of(request).get("_method") if spelled else None
    if not isinstance(wish, str | dict):
        return method
    if isinstance(wish, dict) or not (wish.upper() in _METHODS or _LETTERS.fullmatch(wish.upper())):
        raise BadMethod
    return wish.upper()


# What it says


def _query_part(url: str) -> bytes:
    return urlsplit(url).query.encode("utf-8", "surrogateescape")


def query_of(url: str) -> Array:
    """The parameters in a URL that are not null."""
    if "?" not in url:
        return {}
    return _given(_cleaned(parsed_query(_query_part(url))))


def parameters_of(request: Request) -> Array:
    """The parameters of a token request that are not null; raises `BadJSON`.

    The body reaches the league over a bridge. Where Laravel has found nothing in it, the bridge looks for itself, if
    the content type is one of two that it takes for JSON, and trims nothing.
    """
    bag = _bag(request)
    if not bag and request.content and _is_json_to_the_bridge(request.header("content-type")):
        data = json_decoded(request.content)
        if not isinstance(data, dict):
            raise BadJSON
        return _given(data)
    return _given(bag)


def _is_json_to_the_bridge(kind: str) -> bool:
    return kind in _JSON or kind.partition(";")[0].strip() in _JSON


def input_of(request: Request) -> Array:
    """What Laravel's ``input`` knows of a form that a page sent: its body, and then the query; null is a value here."""
    return {**_cleaned(parsed_query(_query_part(request.url))), **_bag(request)}


def _bag(request: Request) -> Array:
    return _cleaned(_body(request))


def _body(request: Request) -> Array:
    kind = request.header("content-type")
    if "/json" in kind or "+json" in kind:
        return _json_bag(request.content)
    if request.method.upper() != "POST":
        return parsed_form(request.content) if kind.startswith("application/x-www-form-urlencoded") else {}
    media_type = kind.partition(";")[0].partition(",")[0].partition(" ")[0].lower()
    if media_type == "application/x-www-form-urlencoded":
        return parsed_form(request.content)
    return parsed_multipart(kind, request.content) if media_type == "multipart/form-data" else {}


def _json_bag(content: bytes) -> Array:
    try:
        data = json_decoded(content) if content not in (b"", b"0") else {}
    except BadJSON:
        return {}
    if data is None:
        return {}
    return data if isinstance(data, dict) else {"0": data}


def _cleaned(array: Array) -> Array:
    return {name: _clean(value) for name, value in array.items()}


def _clean(value: Value) -> Value:
    if isinstance(value, dict):
        return _cleaned(value)
    return (trimmed(value) or None) if isinstance(value, str) else value


def _given(array: Array) -> Array:
    return {name: value for name, value in array.items() if value is not None}


def basic_credentials(authorization: str, *, strict: bool) -> tuple[str | None, str | None]:
    """User and password of HTTP Basic, read raw: Passport does not percent-decode them (cases M02, M03).

    With `strict` the scheme may be in any case, but the base64 has to be right, and there has to be a user.
    """
    scheme = authorization[:6]
    if scheme != "Basic " and not (strict and scheme.lower() == "basic "):
        return None, None
    decoded = base64_decoded(authorization[6:], strict=strict)
    user, colon, password = text_of(decoded or b"").partition(":")
    if not colon or (strict and not user):
        return None, None
    return user, password


# What it wants to read


def _quality(entry: str) -> float:
    for parameter in entry.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def accepted(header: str) -> list[str]:
    """The choices of an Accept-like header without their parameters, the preferred one first."""
    entries = sorted(filter(None, (entry.strip(" \t;") for entry in header.split(","))), key=_quality, reverse=True)
    return [entry.partition(";")[0].strip() for entry in entries]


def wants_json(request: Request) -> bool:
    """Laravel's ``expectsJson``: the preferred type of Accept is JSON, or an XMLHttpRequest accepts anything (U11)."""
    preferred = next(iter(accepted(request.header("accept"))), "*/*").lower()
    if "/json" in preferred or "+json" in preferred:
        return True
    asked_by_script = request.header("x-requested-with") == "XMLHttpRequest" and request.header("x-pjax") in ("", "0")
    return asked_by_script and preferred in ("*/*", "*")
