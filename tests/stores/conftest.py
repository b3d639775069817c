"""One Redis, one PostgreSQL, one MariaDB and one desktop's keyring for all tests of the stores."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .processes import end_all
from .servers import GnomeKeyring, RedisServer, gnome_keyring, mariadb_server, postgres_server, redis_server


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    # A short path: a UNIX socket's may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="pg") as directory, postgres_server(Path(directory) / "data") as url:
        yield url


@pytest.fixture(scope="session")
def gnome() -> Iterator[GnomeKeyring]:
    with tempfile.TemporaryDirectory(prefix="gk") as directory, gnome_keyring(Path(directory)) as desktop:
        yield desktop


@pytest.fixture(scope="session")
def mariadb() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="my") as directory, mariadb_server(Path(directory)) as url:
        yield url


@pytest.fixture(autouse=True)
def no_process_stays() -> Iterator[None]:
    yield
    end_all()
