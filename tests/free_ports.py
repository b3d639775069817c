"""Ports for programs that are told where to listen."""

import os
import random
import socket
from contextlib import suppress
from itertools import cycle

__all__ = ["free_port"]

# Below those that a system gives to whoever asks for any, so that what was free is free when the program has started;
# and each process of xdist has a thousand of its own.
_FIRST = 20_000 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 12 * 1000
_PORTS = cycle(random.sample(range(_FIRST, _FIRST + 1000), 1000))


def free_port() -> int:
    """A port that nobody listens on, and that is given to nobody else."""
    for port in _PORTS:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError  # there is always another one
