"""Reading an answer: a JSON object, or the one typed error that says what the server meant.

Two server generations speak here. league-8 calls a dead refresh token ``401 invalid_request`` and a dead code
``400 invalid_request`` with a telling hint; league-9 calls both ``400 invalid_grant``. Laravel around them answers
``{"message": …}`` without an ``error``, and HTML where it was not asked for JSON.
"""

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from json import JSONDecoder, detect_encoding
from math import isfinite
from typing import Any, NoReturn, TypeVar

from attrs import frozen

from ..errors import (
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    MalformedResponseError,
    RateLimitError,
    ResponseError,
    ServerError,
    TokenRequestError,
    UnauthenticatedError,
    UnauthorizedClientError,
    UnsupportedGrantTypeError,
)
from ..masking import Secret, redacted
from ..misuse import narrowed
from ..models import OAuthModel, RateLimit
from .advice import advice_on
from .messages import Headers, Response
from .text import quoted

__all__ = ["MAX_BODY", "Call", "decoded", "modelled", "patience_asked", "retry_after"]

MAX_BODY = 1024 * 1024
_WEB_PAGE = "an HTML page in place of JSON"
_NESTING = frozenset({dict, list})
_DEEPEST = 64  # levels of nesting; a recorded answer has one

_M = TypeVar("_M", bound=OAuthModel)

_BY_CODE: dict[str, type[TokenRequestError]] = {
    "invalid_request": InvalidRequestError,
    "invalid_client": InvalidClientError,
    "invalid_grant": InvalidGrantError,
    "unauthorized_client": UnauthorizedClientError,
    "unsupported_grant_type": UnsupportedGrantTypeError,
    "invalid_scope": InvalidScopeError,
}

# R01, R04, R05, X04: league's hints about a refresh token that was read and found dead.
_DEAD_REFRESH_HINTS = ("cannot decrypt", "token is not linked", "token has expired", "token has been revoked")


@frozen
class Call:
    """What an answer answers. `grant` is None for the bearer call; `secrets` are what the request carried."""

    title: str
    base_url: str
    grant: str | None
    secrets: tuple[Secret, ...]

    def quote(self, text: object) -> str | None:
        """The server's words without what we had sent it; None if they are not text."""
        return quoted(redacted(text, self.secrets)) if isinstance(text, str) and text else None


def decoded(call: Call, response: Response, now: datetime | None) -> dict[str, Any]:
    """The JSON object of a 2xx answer; anything else is raised as a `ResponseError`."""
    if not 200 <= response.status < 300:
        _refuse(call, response, now)
    body = _object(response)
    if isinstance(body, str):
        raise _malformed(call, response, body)
    return body


def modelled(call: Call, response: Response, now: datetime, build: Callable[[dict[str, Any]], _M | str]) -> _M:
    """What `build` makes of a 2xx answer; raises `MalformedResponseError` if its fields do not fit.

    A refusal in a 2xx, as some proxies and frameworks send it, is told in the server's own words.
    """
    body = decoded(call, response, now)
    model = build(body)
    if not isinstance(model, str):
        return model
    error, description, hint = _words(call, body)
    if error is not None and call.grant is not None:
        raise _token_error(call, response, error, description, hint)
    raise _malformed(call, response, model)


def retry_after(headers: Headers, now: datetime | None) -> float | None:
    """``Retry-After`` in seconds (RFC 9110, section 10.2.3), None if it is missing or makes no sense."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:12])
    if not value:
        return None
    from email.utils import parsedate_to_datetime  # hardly any answer has a date there

    try:
        moment = parsedate_to_datetime(value)
        start = parsedate_to_datetime(headers["date"]) if now is None else now
        return max(0.0, (moment - start).total_seconds())
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def patience_asked(headers: Headers, now: datetime) -> float | None:
    """How many seconds whoever wants fewer requests asks for.

    The game API has no ``Retry-After``: its ``x-ratelimit-reset``, in milliseconds, is when its minute is over.
    """
    limits = RateLimit.from_headers(headers)
    if (seconds := retry_after(headers, now)) is not None or limits is None or limits.reset is None:
        return seconds
    return max(0.0, (limits.reset - now).total_seconds())


def _refuse(call: Call, response: Response, now: datetime | None) -> NoReturn:
    status, body = response.status, _object(response)
    problem = body if isinstance(body, str) else None
    error, description, hint = (None, None, None) if isinstance(body, str) else _words(call, body)
    said = description or error
    common = _common(call, response)
    if status == 429:
        wait = retry_after(response.headers, now)
        asked = "" if wait is None else f"It asks for {wait:g} s of patience."
        raise RateLimitError(_text(call, status, said, asked), retry_after=wait, **common)
    advice = advice_on(call.base_url, call.grant, status).text
    if status >= 500:
        raise ServerError(_text(call, status, said, advice), retry_after=retry_after(response.headers, now), **common)
    if 300 <= status < 400:
        raise narrowed(_malformed(call, response, _redirect(call, response)), "redirect")
    if call.grant is None and status == 401 and (problem is None or not response.content.strip()):
        raise UnauthenticatedError(_text(call, status, said, advice), **common)
    if problem is not None:
        raise _malformed(call, response, problem)
    if error is None or call.grant is None:
        raise ResponseError(_text(call, status, said, advice), **common)
    raise _token_error(call, response, error, description, hint)


def _common(call: Call, response: Response) -> dict[str, Any]:
    """What every `ResponseError` is told, apart from its text. The headers without what we had sent."""
    headers = Headers({name: redacted(value, call.secrets) for name, value in response.headers.items()})
    return {"status": response.status, "headers": headers, "grant": call.grant}


def _words(call: Call, body: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
    """The server's error, description and hint, without what we had sent it."""
    names = ("error", "error_description", "message", "title", "hint")
    error, description, message, title, hint = (call.quote(body.get(name)) for name in names)
    return error, description or message or title, hint


def _token_error(
    call: Call, response: Response, error: str, description: str | None, hint: str | None
) -> TokenRequestError:
    status = response.status
    dead = _is_dead(call.grant, status, error, description, hint)
    kind = InvalidGrantError if dead else _BY_CODE.get(error, TokenRequestError)
    advice = advice_on(call.base_url, call.grant, status, error=error, hint=hint, dead=dead)
    said = ", ".join(part.removesuffix(".") for part in (error, description, hint and f"hint: {hint}") if part)
    text = _text(call, status, said, advice.text)
    refusal = kind(text, error=error, description=description, hint=hint, **_common(call, response))
    return narrowed(refusal, advice.situation)


def _is_dead(grant: str | None, status: int, error: str, description: str | None, hint: str | None) -> bool:
    """Whether the code or the refresh token itself is no good, in either generation's words."""
    if error == "invalid_grant":
        return True
    if error != "invalid_request":
        return False
    said = (hint or "").lower()
    if grant == "authorization_code":  # D01, D04, D07b, X02: every such hint, and no other, spells it out
        return "authorization code" in said
    missing = said.startswith("check the")  # R02: a parameter that did not arrive
    invalid = "refresh token is invalid" in (description or "").lower()
    return (
        grant == "refresh_token" and not missing and (status == 401 or invalid or said.startswith(_DEAD_REFRESH_HINTS))
    )


def _object(response: Response) -> dict[str, Any] | str:
    """The body as a JSON object, or why it is not one of bearable size."""
    content = response.content
    if len(content) > MAX_BODY:
        return f"a body over {MAX_BODY} bytes"
    if not content.strip():
        return "an empty body"
    try:
        value = _DECODER.decode(content.decode(detect_encoding(content), "surrogatepass"))
    except (ValueError, RecursionError):
        page = content.lstrip().startswith(b"<") or "html" in response.headers.get("content-type", "").lower()
        return _WEB_PAGE if page else "a body that is not JSON"
    if not isinstance(value, dict):
        return "JSON that is not an object @ $"
    flat = _NESTING.isdisjoint(map(type, value.values()))
    return value if flat or not _is_deeper(value, _DEEPEST) else "JSON nested too deep @ $"


def _is_deeper(value: object, levels: int) -> bool:
    """Whether `value` has more than `levels` of nesting, which could not be written back to a store."""
    layer = [value]
    for _ in range(levels):
        layer = [child for item in layer for child in _children(item)]
        if not layer:
            return False
    return True


def _children(value: object) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _finite(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise ValueError
    return number


def _refused_constant(_: str) -> NoReturn:
    raise ValueError


_DECODER = JSONDecoder(parse_constant=_refused_constant, parse_float=_finite)


def _redirect(call: Call, response: Response) -> str:
    target = re.split("[?#]", call.quote(response.headers.get("location")) or "")[0]
    return f"a redirect to {target}" if target else "a redirect"


def _malformed(call: Call, response: Response, problem: str) -> MalformedResponseError:
    spent = ""
    if 200 <= response.status < 300 and call.grant in ("authorization_code", "refresh_token"):
        spent = " The grant is probably spent: the user may have to sign in again."
    error = MalformedResponseError(
        f"{call.title} was answered {response.status} with something unusable: {problem}.{spent}"
        f"{' Check base_url and any proxy in between.' if not spent else ''}",
        **_common(call, response),
    )
    return narrowed(error, "web-page" if problem == _WEB_PAGE else None)


def _text(call: Call, status: int, said: str | None, advice: str) -> str:
    return f"{call.title} was answered {status}: {(said or 'no reason given').removesuffix('.')}. {advice}".rstrip()
