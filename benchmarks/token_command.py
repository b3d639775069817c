"""`exbo-oauth token` with a fresh token in the store, against a Python that only imports the HTTP library."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from exbo_oauth import AppToken, Entry, SQLiteTokenStore, StoreKey

from .ratio import Ratio, in_turns

ROUNDS = 25
THEIRS = [sys.executable, "-c", "import httpx"]
OURS = [sys.executable, "-m", "exbo_oauth", "token"]


def measure() -> Iterator[Ratio]:
    with TemporaryDirectory() as folder:
        path = Path(folder, "tokens.db")
        keep_a_token(path)
        environment = {
            **os.environ,
            "HOME": folder,
            "EXBO_CLIENT_ID": "59",
            "EXBO_STORE": f"sqlite:///{path.as_posix()}",
        }
        ours, theirs = partial(seconds, OURS, environment), partial(seconds, THEIRS, environment)
        ours(), theirs()  # both are compiled and in the file cache from here on
        our_times, their_times = in_turns(ours, theirs, ROUNDS)
        titles = ("exbo-oauth token, whole process", "import httpx, whole process")
        yield Ratio(ours=titles[0], theirs=titles[1], our_times=our_times, their_times=their_times, aim=1.00)


def keep_a_token(path: Path) -> None:
    """Put what `token` is to print into a new store."""
    token = AppToken(token_type="Bearer", access_token="a" * 640, expires_in=3600)
    entry = Entry(token=token, revision=1, issued_by="benchmark", issued_at=datetime.now(UTC))
    store = SQLiteTokenStore(path)
    store.swap(StoreKey("https://exbo.net/oauth", "59"), None, entry)
    store.close()


def seconds(command: list[str], environment: Mapping[str, str]) -> float:
    """How long the process takes, from its start to its end."""
    start = perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return perf_counter() - start
