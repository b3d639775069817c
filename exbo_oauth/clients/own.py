"""HTTP clients of our own, made from what the environment says of proxies and certificates."""

import os
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ..errors import ConfigurationError
from ..protocol.addresses import is_loopback
from .http import is_raised_into_us

__all__ = ["made_for"]

C = TypeVar("C")

_PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY")
_KNOWN_SCHEMES = ("http", "https", "socks5", "socks5h")


def made_for(url: str, make: Callable[..., C], create_ssl_context: Callable[[], Any]) -> C:
    """A client of the library, of our own, for requests to `url`.

    The environment's proxy is not for this machine itself: it would see the secrets, and could not even come back here.
    Raises `ConfigurationError` for what stands in the environment and cannot be used.
    """
    parts = urlsplit(url)
    try:
        if parts.scheme == "https":
            _check_directory()
        if not is_loopback(parts.hostname):
            return make()
        return make(trust_env=False, verify=create_ssl_context() if parts.scheme == "https" else _trusting_nobody())
    except Exception as error:  # the library checks nothing of what it finds
        if is_raised_into_us(error):
            raise
        problem = _unusable(error)
    raise ConfigurationError(problem)


def _check_directory() -> None:
    """Raise `OSError` if the directory of certificates that is named is none: OpenSSL would not say so."""
    named = "" if os.environ.get("SSL_CERT_FILE") else os.environ.get("SSL_CERT_DIR", "")
    if named and not any(map(os.path.isdir, named.split(os.pathsep))):
        raise NotADirectoryError


def _trusting_nobody() -> Any:
    """For plain http: Python's default context looks at files that the environment names (``SSLKEYLOGFILE``)."""
    from ssl import PROTOCOL_TLS_CLIENT, SSLContext

    return SSLContext(PROTOCOL_TLS_CLIENT)


def _unusable(error: Exception) -> str:
    """Which variable it is, and what to do. Its value is not quoted: a proxy's may hold a password."""
    if isinstance(error, OSError):
        return _unusable_file(error)
    for name in _PROXIES:
        scheme, separator, _ = (os.environ.get(name.lower()) or os.environ.get(name) or "").partition("://")
        if isinstance(error, ImportError) and scheme.startswith("socks5"):
            return f"{_set(name)} names a SOCKS proxy, which takes another package: pip install 'httpx[socks]'"
        if separator and scheme.lower() not in _KNOWN_SCHEMES:
            known = ", ".join(f"{one}://" for one in _KNOWN_SCHEMES)
            return f"{_set(name)} in the environment begins with {f'{scheme[:20]}://'!r}: write {known}, or unset it"
    names = _set("NO_PROXY", *_PROXIES) or "what the environment says of proxies"
    return f"{names} cannot be read by httpx ({type(error).__name__}): correct or unset it"


def _unusable_file(error: OSError) -> str:
    what = f"({type(error).__name__}): correct or unset it"
    if error.filename and error.filename == os.environ.get("SSLKEYLOGFILE"):
        return f"SSLKEYLOGFILE in the environment is not a file that can be written {what}"
    if names := _set("SSL_CERT_FILE", "SSL_CERT_DIR"):
        return f"{names} in the environment leads to no certificates {what}"
    return f"the certificates of the package certifi cannot be read ({error}): install it anew, or set SSL_CERT_FILE"


def _set(*names: str) -> str:
    """Those of the variables that are set, as they are spelled there."""
    spelled = (spelling for name in names for spelling in (name.lower(), name) if os.environ.get(spelling))
    return " or ".join(dict.fromkeys(spelled))
