"""Answers of the framework around the OAuth server: routing errors, the bearer guard, throttling, failures.

They carry only a `message`, and only for callers who prefer JSON; everybody else gets an HTML page, or for a missing
sign-in a redirect to ``/login`` (recorded cases U02, U04, C06b).
"""

from collections.abc import Mapping
from html import escape
from http import HTTPStatus
from json import dumps
from typing import Any
from urllib.parse import urlsplit

from ..protocol.messages import Request, Response
from .forms import wants_json
from .php import json_encoded

__all__ = ["ServerCrash", "framework_error", "html_answer", "json_answer", "origin_of", "see_login", "unauthenticated"]

_PHRASES = {413: "Content Too Large", 422: "Unprocessable Content"}
_NO_CACHE = {"cache-control": "no-cache, private"}
_MESSAGES = {400: "Bad request.", 429: "Too Many Attempts.", 500: "Server Error", 503: "Service Unavailable"}
# The framework has pages of its own for these, and Symfony's for all others.
_TITLES = {
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    419: "Page Expired",
    429: "Too Many Requests",
    500: "Server Error",
    503: "Service Unavailable",
}


class ServerCrash(Exception):
    """The original falls over here: 500 with nothing to go by (cases C08, R08)."""


def json_answer(
    data: Any, status: int = 200, headers: Mapping[str, str] | None = None, *, pretty: bool = False
) -> Response:
    """JSON as Laravel sends it: compact, and its HTTP errors indented and with bare slashes."""
    content = dumps(data, indent=4).encode() if pretty else json_encoded(data)
    return Response(status, {**_NO_CACHE, "content-type": "application/json", **(headers or {})}, content)


def html_answer(page: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A page."""
    return Response(status, {**_NO_CACHE, "content-type": "text/html; charset=UTF-8", **(headers or {})}, page.encode())


def _reason(status: int) -> str:
    try:
        return _PHRASES.get(status) or HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def framework_error(
    request: Request, status: int, message: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """An HTTP error in the caller's preferred form."""
    if wants_json(request):
        shown = {"message": message or _MESSAGES.get(status, _reason(status))}
        return json_answer(shown, status, headers, pretty=True)
    title = _TITLES.get(status) or escape(f"An Error Occurred: {_reason(status)}")
    page = f'<!DOCTYPE html><html lang="en"><head><title>{title}</title></head><body><h1>{title}</h1></body></html>'
    return html_answer(page, status, headers)


def origin_of(request: Request) -> str:
    """Scheme and host of the address that was asked for."""
    parts = urlsplit(request.url)
    return f"{parts.scheme}://{parts.netloc}"


def see_login(location: str) -> Response:
    """Symfony's redirect, which brings a small page along."""
    shown = escape(location)
    page = f'<!DOCTYPE html><html lang="en"><head><title>Redirecting to {shown}</title></head>'
    page += f'<body>Redirecting to <a href="{shown}">{shown}</a>.</body></html>'
    return html_answer(page, 302, {"location": location, "content-type": "text/html; charset=utf-8"})


def unauthenticated(request: Request) -> Response:
    """The guard's one answer to every cause (surprise 7)."""
    if wants_json(request):
        return json_answer({"message": "Unauthenticated."}, 401)
    return see_login(f"{origin_of(request)}/login")
