"""Which redirect URIs an application may use: exactly the registered ones, save that a loopback IP takes any port.

RFC 8252, section 7.3, for ``127.0.0.1`` and ``[::1]``; ``localhost`` has no such licence (cases Z04 to Z04e).
"""

from urllib.parse import urlsplit

from .state import App

__all__ = ["allows"]


def _without_port(uri: str) -> str | None:
    """A plain-http loopback IP address with its port taken out; None for anything else."""
    try:
        parts = urlsplit(uri)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return None
    if parts.scheme != "http" or host not in ("127.0.0.1", "::1"):
        return None
    return parts._replace(netloc=f"[{host}]" if ":" in host else host).geturl()


def allows(app: App, redirect_uri: str) -> bool:
    """Whether `redirect_uri` is registered for `app`."""
    if redirect_uri in app.redirect_uris:
        return True
    bare = _without_port(redirect_uri)
    return bare is not None and any(bare == _without_port(known) for known in app.redirect_uris)
