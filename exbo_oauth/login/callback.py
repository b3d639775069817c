"""What a browser, or anybody else on this machine, says to the loopback listener: bytes in, a value out.

Only the head of a request is read (RFC 9112, sections 3 to 5). It has to be a GET of the one path that the redirect
URI names, addressed to this machine by name: a page elsewhere that makes its own host name point here (DNS rebinding)
gives itself away in ``Host``. `read` raises nothing, whatever it is fed.
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from attrs import frozen

from ..masking import Secret
from .endpoint import CallbackEndpoint

__all__ = ["MAX_HEAD", "Callback", "Language", "Refusal", "language_in", "read"]

MAX_HEAD = 64 * 1024

Language: TypeAlias = Literal["en", "ru"]

_LANGUAGES: tuple[Language, ...] = ("en", "ru")


@frozen
class Callback:
    """A request for the path of the redirect URI. `query` may be empty; nothing of it is believed yet."""

    query: Secret
    language: Language = "en"


@frozen
class Refusal:
    """Any other request, and the HTTP status that says why it is none of ours."""

    status: int


def read(head: bytes, endpoint: CallbackEndpoint) -> Callback | Refusal:
    """The meaning of a request's head, without the empty line that ends it."""
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    headers = _headers(lines)
    if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0") or headers is None:
        return Refusal(400)
    if headers.get("host", "").lower().replace("localhost.", "localhost", 1) not in endpoint.hosts:
        return Refusal(403)
    path, _, query = words[1].partition("?")
    if path not in (endpoint.path, endpoint.sent_path):
        return Refusal(404)
    if words[0] != "GET":
        return Refusal(405)
    return Callback(Secret(query), language_in(headers.get("accept-language", "")))


def _headers(lines: list[str]) -> Mapping[str, str] | None:
    """The headers by lower-case name; None if a line is none, or ``Host`` is not there exactly once."""
    pairs = [line.partition(":") for line in lines]
    names = [name.lower() for name, _, _ in pairs]
    broken = any(not colon or not name or name != name.strip() for name, colon, _ in pairs)
    if broken or names.count("host") != 1:
        return None
    return {name.lower(): value.strip() for name, _, value in pairs}


def language_in(accepted: str) -> Language:
    """Which of our languages ``Accept-Language`` puts first, English if neither (RFC 9110, section 12.5.4)."""
    chosen, best = _LANGUAGES[0], 0.0
    for item in accepted.lower().split(","):
        tag, *parameters = item.split(";")
        weight = _weight(parameters)
        for language in _LANGUAGES:
            if tag.partition("-")[0].strip() == language and weight > best:
                chosen, best = language, weight
    return chosen


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.strip().partition("=")
        if name.strip() == "q":
            return _number(value)
    return 1.0


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0 <= value <= 1 else 0.0
