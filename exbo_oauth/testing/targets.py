"""What a request is addressed to, and whether that is this server.

A page that somebody visits can have its own host name lead to 127.0.0.1, and would then read whatever the sandbox
says, tokens included (DNS rebinding). Its requests carry that name in `Host`. Loopback names and addresses are safe,
and so is a name without a dot, which nobody can register: a container's, for instance. Any other has to be told to the
server.
"""

from collections.abc import Collection
from functools import lru_cache
from re import IGNORECASE
from re import compile as pattern

from ..protocol import addresses

__all__ = ["Misaddressed", "is_loopback", "url_of"]

# RFC 3986, section 3.2.2, without user information: an address in brackets, or a name; then perhaps a port.
_AUTHORITY = pattern(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(?::[0-9]{0,5})?")
_ABSOLUTE = pattern(r"http://(?P<authority>[^/?#]*)(?P<rest>.*)", IGNORECASE)


class Misaddressed(Exception):
    """A request that is not for this server; `status` is the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@lru_cache(maxsize=256)
def _host_in(authority: str) -> str | None:
    """The host of ``host:port`` in lower case, without brackets and the root's dot; None for what is neither."""
    match = _AUTHORITY.fullmatch(authority)
    return None if match is None else match["host"].strip("[]").removesuffix(".").lower()


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether a host is this machine and nothing else (RFC 6761, section 6.3)."""
    return host.endswith(".localhost") or addresses.is_loopback(host)


def _is_answered(host: str, names: Collection[str]) -> bool:
    return is_loopback(host) or host in names or not {".", ":"} & set(host)


def url_of(target: str, host: str, *, own: str, names: Collection[str]) -> str:
    """The URL that a request line's `target` and the `host` header mean (RFC 9112, section 3.2 and 3.3).

    `own` is this server's ``host:port``, for those who say none; `names` are further hosts that it answers for. Raises
    `Misaddressed`.
    """
    authority, rest = _split(target, host or own)
    name = _host_in(authority)
    if name is None:
        raise Misaddressed(400, "the Host header is not a host and a port")
    if not _is_answered(name, names):
        raise Misaddressed(421, f"this is {own}, not {authority}: a name of its own has to be told to the sandbox")
    return f"http://{authority}{rest}"


def _split(target: str, host: str) -> tuple[str, str]:
    if target.startswith("/"):
        return host, target
    absolute = _ABSOLUTE.fullmatch(target)  # what a client sends that takes this server for its proxy
    if absolute is None:
        raise Misaddressed(400, "the request's target is neither a path nor an http:// address")
    rest = absolute["rest"]
    return absolute["authority"], rest if rest.startswith("/") else f"/{rest}"
