"""This process, by a name that people recognise."""

import os
import socket

__all__ = ["identity"]


def identity() -> str:
    """Host and process id, as in ``web-1:4711``."""
    return f"{socket.gethostname()}:{os.getpid()}"
