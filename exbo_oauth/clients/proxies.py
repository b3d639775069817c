"""Proxies that would see what is meant for this machine. Whether a request meets one only its connection knows."""

from typing import Any

from ..errors import ConfigurationError

__all__ = ["check_direct", "origin_in_plain", "proxied"]


def origin_in_plain(scheme: str, host: str | None, port: int | None) -> tuple[str, int] | None:
    """The host and port that a request goes to without TLS; None for one that a proxy could not read."""
    return ((host or "").strip("[]").lower(), port or 80) if scheme in ("http", "ws") else None


def check_direct(url: Any, plain: tuple[str, int], tunnelled: bool) -> None:
    """Raise `ConfigurationError` where httpcore is to send to `url` what is meant for `plain`, or through SOCKS."""
    host = url.host.decode("ascii").strip("[]").lower()
    if tunnelled or (host, url.port or 80) != plain:
        raise ConfigurationError(proxied(plain[0]))


def proxied(host: str) -> str:
    """What is said where a proxy, or whoever else a request is led to, would see a secret in plain text."""
    return (
        f"a proxy, or where a transport of yours leads, would see what is meant for {host} over plain http: add {host} "
        "to NO_PROXY, or leave the proxy or the transport out for this host where the HTTP client is told of it"
    )
