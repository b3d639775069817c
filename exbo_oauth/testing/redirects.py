"""Which redirect URIs an application may use: exactly the registered ones, save that a loopback IP takes any port.

RFC 8252, section 7.3, for ``127.0.0.1`` and ``[::1]``; ``localhost`` has no such licence (cases Z04 to Z04e). For
people there is also in which part a URI that may not be used differs from one that may.
"""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from attrs import frozen

from .state import App

__all__ = ["Difference", "allows", "difference"]

# As the league reads it: the scheme in any case, any digits for a port or none; what follows letter by letter.
_LOOPBACK = re.compile(r"(?i:http)://(?P<host>127\.0\.0\.1|\[::1\])(?::[0-9]*)?(?P<rest>[/?#].*)?", re.DOTALL)


def _without_port(uri: str) -> tuple[str, str] | None:
    """A plain-http loopback IP address with its port taken out; None for anything else."""
    match = _LOOPBACK.fullmatch(uri)
    return None if match is None else (match["host"], match["rest"] or "")


def allows(app: App, redirect_uri: str) -> bool:
    """Whether `redirect_uri` is registered for `app`."""
    if redirect_uri in app.redirect_uris:
        return True
    bare = _without_port(redirect_uri)
    return bare is not None and any(bare == _without_port(known) for known in app.redirect_uris)


@frozen
class Difference:
    """The one thing in which a URI differs from the `nearest` registered one: a part of a URI, "slash" or "case"."""

    part: str
    nearest: str


def difference(uri: str, registered: Iterable[str]) -> Difference | None:
    """Why `uri` is none of the registered ones, if it is a near miss."""
    misses = (Difference(part, known) for known in registered if (part := _difference(uri, known)) is not None)
    return next(misses, None)


def _difference(uri: str, known: str) -> str | None:
    if uri.casefold() == known.casefold():
        return "case"
    if uri.rstrip("/") == known.rstrip("/"):
        return "slash"
    ours, theirs = _parts(uri), _parts(known)
    differing = [part for part in ours if ours[part] != theirs.get(part)]
    return differing[0] if len(differing) == 1 else None


def _parts(uri: str) -> dict[str, str]:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return {}
    name, _, place = parts.netloc.rpartition("@")
    host, _, port = place.partition(":") if not place.startswith("[") else place.rpartition("]")
    return {
        "scheme": parts.scheme,
        "user": name,
        "host": host,
        "port": port.lstrip(":"),
        "path": parts.path,
        "query": parts.query,
        "fragment": parts.fragment,
    }
