"""This process, by a name that people recognise."""

import os
import socket
from functools import lru_cache

__all__ = ["identity"]


def identity() -> str:
    """Host and process id, as in ``web-1:4711``."""
    return _named(os.getpid())


@lru_cache(1)
def _named(number: int) -> str:
    return f"{socket.gethostname()}:{number}"  # which stays, if the host is called otherwise one day
