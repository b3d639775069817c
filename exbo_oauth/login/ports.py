"""Listening sockets on a endpoint's addresses, and clear words where the system gives none.

Nobody else may take the code: where ``localhost`` is registered, both of its addresses are taken, and a port that is
free on one of them only counts as busy. A machine without IPv6 is served on IPv4 alone, and the other way round.
"""

import errno
import os
import socket
import sys
from contextlib import ExitStack

from ..errors import ConfigurationError
from ..misuse import narrowed
from .endpoint import CallbackEndpoint

__all__ = ["bound"]

_BACKLOG = 128
_NO_SUCH_FAMILY = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)


def bound(endpoint: CallbackEndpoint) -> list[socket.socket]:
    """One listening, non-blocking socket for each address that this machine has; raises `ConfigurationError`."""
    with ExitStack() as opened:
        sockets, missing = [], None
        for address in endpoint.addresses:
            try:
                sockets.append(opened.enter_context(_listening(address, endpoint.port)))
            except OSError as error:
                missing = error
                if error.errno not in _NO_SUCH_FAMILY:
                    raise _unusable(endpoint, address, error) from None
        if missing is not None and not sockets:
            raise _unusable(endpoint, endpoint.host, missing) from None
        opened.pop_all()
        return sockets


def _listening(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with ExitStack() as opened:
        made = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
        # On Windows SO_REUSEADDR would let others take our port; elsewhere it skips the wait after an earlier use.
        if sys.platform == "win32":  # pragma: no cover
            made.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((address, port))
        made.listen(_BACKLOG)
        made.setblocking(False)
        opened.pop_all()
        return made


def _unusable(endpoint: CallbackEndpoint, address: str, error: OSError) -> ConfigurationError:
    where = f"[{address}]:{endpoint.port}" if ":" in address else f"{address}:{endpoint.port}"
    if error.errno == errno.EADDRINUSE:
        reason = "another program has this port. End that program, or use another port."
    elif isinstance(error, PermissionError):
        reason = (
            "the system does not let this program have this port. Most systems keep ports below 1024, and 80 is the "
            "one of http://localhost, for administrators."
        )
    else:
        reason = f"{error.strerror or os.strerror(error.errno or 0)}."
    text = (
        f"login() cannot listen on {where}, where the redirect URI {endpoint.redirect_uri!r} leads: {reason} "
        f"{endpoint.registering}"
    )
    return narrowed(ConfigurationError(text), "port-taken" if error.errno == errno.EADDRINUSE else None)
