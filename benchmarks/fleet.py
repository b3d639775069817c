"""Eight processes of 25 tasks on one token, and the same fleet where each process fetches its own.

The server ends the earlier token with each new one, as EXBO does; tokens live for 2 s. Needs a Redis or Valkey.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stores.fleet import fleet
from tests.stores.servers import redis_server

TTL, SECONDS = 2.0, 20.0


def measure() -> Iterator[str]:
    try:
        with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as server:
            yield f"  shared in Redis:   {_told(server.url)}"
    except pytest.skip.Exception as missing:
        yield f"  {missing}"
    yield f"  each its own:      {_told('naive')}"


def _told(store_url: str) -> str:
    with fleet(store_url, ttl=TTL) as ours:
        time.sleep(SECONDS)
        return str(ours.report())
