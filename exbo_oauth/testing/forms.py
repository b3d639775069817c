"""What a request says, read as Laravel reads it.

Bodies are forms (RFC 6749, appendix B), multipart or JSON; the query string of a POST does not count (recorded
case A06). Of a parameter sent twice the last wins, ``name[]`` makes a list, strings are trimmed and empty ones
are missing. Whether an answer is JSON or HTML follows the Accept header by Laravel's own rule.
"""

from base64 import b64decode
from collections.abc import Iterable, Mapping
from email.parser import BytesParser
from email.policy import HTTP
from json import loads
from typing import TypeAlias
from urllib.parse import parse_qsl, urlsplit

from ..protocol.messages import Request

__all__ = [
    "BadJSON",
    "Parameters",
    "accepted",
    "basic_credentials",
    "parameters_of",
    "path_of",
    "query_of",
    "wants_json",
]

Parameters: TypeAlias = Mapping[str, "str | list[str]"]


class BadJSON(Exception):
    """The body calls itself JSON and is none (case C05)."""


def path_of(request: Request) -> str:
    """The path without a trailing slash (case M07); the root is ``/``."""
    return urlsplit(request.url).path.rstrip("/") or "/"


def query_of(url: str) -> dict[str, str]:
    """The query parameters of a URL that are not empty; of a repeated one the last."""
    return _texts(_cleaned(parse_qsl(urlsplit(url).query, keep_blank_values=True)))


def parameters_of(request: Request) -> Parameters:
    """The body's parameters; raises `BadJSON`."""
    kind = request.header("content-type").lower()
    if kind.startswith("application/x-www-form-urlencoded"):
        return _cleaned(parse_qsl(request.content.decode("utf-8", "replace"), keep_blank_values=True))
    if kind.startswith("multipart/form-data"):
        return _cleaned(_multipart(request))
    if "/json" in kind or "+json" in kind:
        return _cleaned(_from_json(request.content))
    return {}


def _texts(parameters: Parameters) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if isinstance(value, str)}


def _cleaned(pairs: Iterable[tuple[str, str]]) -> Parameters:
    cleaned: dict[str, str | list[str]] = {}
    for name, value in pairs:
        bare, bracket, _ = name.partition("[")
        known = cleaned.get(bare)
        if bracket:
            cleaned[bare] = [*(known if isinstance(known, list) else []), value]
        elif value.strip():
            cleaned[name] = value.strip()
        else:
            cleaned.pop(name, None)
    return cleaned


def _multipart(request: Request) -> Iterable[tuple[str, str]]:
    head = f"Content-Type: {request.header('content-type')}\r\n\r\n".encode("latin-1", "replace")
    for part in BytesParser(policy=HTTP).parsebytes(head + request.content).iter_parts():
        name, content = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            yield name, content.decode("utf-8", "replace")


def _from_json(content: bytes) -> Iterable[tuple[str, str]]:
    try:
        data = loads(content or b"{}")
    except (ValueError, RecursionError):
        raise BadJSON from None
    for name, value in data.items() if isinstance(data, dict) else ():
        if isinstance(value, list | dict):
            yield f"{name}[]", ""
        elif value is not None:
            yield name, str(int(value) if isinstance(value, bool) else value)


def basic_credentials(authorization: str) -> tuple[str | None, str | None]:
    """User and password of HTTP Basic, read raw: Passport does not percent-decode them (cases M02, M03)."""
    if not authorization.startswith("Basic "):
        return None, None
    try:
        user, colon, password = b64decode(authorization[6:]).decode("utf-8", "replace").partition(":")
    except ValueError:
        return None, None
    return (user, password) if colon else (None, None)


def _quality(entry: str) -> float:
    for parameter in entry.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def accepted(header: str) -> list[str]:
    """The choices of an Accept-like header without their parameters, the preferred one first."""
    entries = sorted(filter(None, map(str.strip, header.split(","))), key=_quality, reverse=True)
    return [entry.partition(";")[0].strip() for entry in entries]


def wants_json(request: Request) -> bool:
    """Laravel's ``expectsJson``: the preferred type of Accept is JSON, or an XMLHttpRequest accepts anything (U11)."""
    preferred = next(iter(accepted(request.header("accept"))), "*/*")
    if "/json" in preferred or "+json" in preferred:
        return True
    return request.header("x-requested-with") == "XMLHttpRequest" and preferred in ("*/*", "*")
