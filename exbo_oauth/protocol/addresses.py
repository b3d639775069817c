"""Which addresses may be used: pure checks of the caller's URLs.

Secrets travel to the base URL, so it is https, or http on this very machine (RFC 9700, section 2.6).
"""

import re
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from ..errors import ConfigurationError
from ..misuse import narrowed

__all__ = ["checked_base_url", "checked_redirect_uri", "is_loopback", "origin_of"]

_VISIBLE = re.compile(r"[\x21-\x5b\x5d-\x7e]+")  # visible ASCII without the backslash, which parsers disagree about
_JOINERS = "\u200c\u200d"  # invisible, and part of how words of some scripts are spelled
_AUTHORITY = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@lru_cache(maxsize=256)  # asked of every request that carries a token
def is_loopback(host: str | None) -> bool:
    """Whether `host` is this machine by name or by address (RFC 8252, section 8.3)."""
    if host is None:
        return False
    if host.removesuffix(".").lower() == "localhost":
        return True
    try:
        address = ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)  # Python before 3.13 does not look at it
    return (mapped or address).is_loopback


def origin_of(url: str) -> str:
    """Scheme, host and port of a checked URL, a default port left out."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def checked_base_url(url: str) -> str:
    """The base URL in its normal form, without a trailing slash; a `ConfigurationError` if it may not be used."""
    if not isinstance(url, str) or not _VISIBLE.fullmatch(url):
        raise ConfigurationError("base_url must be a URL of visible ASCII characters")
    parts = _split("base_url", url)
    if "@" in url:
        raise ConfigurationError("base_url must not carry a user name or password")
    if "?" in url or "#" in url or not _AUTHORITY.fullmatch(parts.netloc):
        raise ConfigurationError(f"base_url {url!r} must be scheme, host and path only, as in https://exbo.net/oauth")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        text = f"base_url {url!r} must be https: http is for a loopback host such as 127.0.0.1 only"
        raise narrowed(ConfigurationError(text), "plain-http")
    return origin_of(url) + parts.path.rstrip("/")


def checked_redirect_uri(uri: str) -> str:
    """`uri` as it is; a `ConfigurationError` if it is not absolute or has a fragment (RFC 6749, section 3.1.2).

    It may be in any script: the server compares it letter by letter with what was registered, so nobody may encode it.
    An application's own scheme is fine (RFC 8252, section 7.1); ``localhost:8080/callback`` is a forgotten one.
    """
    if not isinstance(uri, str) or not uri or not all(map(_is_visible, uri)):
        raise ConfigurationError(
            "redirect_uri must be a URL without spaces, backslashes and invisible characters: was it copied with more "
            "than itself?"
        )
    parts = _split("redirect_uri", uri)
    hostless = not parts.hostname and (parts.scheme in _DEFAULT_PORTS or parts.path[:1].isdigit())
    if not parts.scheme or hostless or "#" in uri:
        raise ConfigurationError(
            f"redirect_uri {uri!r} must be absolute and without a fragment, as in http://localhost"
        )
    return uri


def _is_visible(character: str) -> bool:
    return (character.isprintable() and character not in " \\") or character in _JOINERS


def _split(name: str, url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # parsed when read
    except ValueError as error:
        # Not quoted if it may carry a password.
        what = name if "@" in url else f"{name} {url!r} ({error})"
        raise ConfigurationError(f"{what} is not a URL") from None
    return parts
