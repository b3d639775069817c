"""A process that shares tokens: ``python worker.py COLOUR COUNT STORE BASE_URL CLIENT_ID CLIENT_SECRET TIMEOUT``.

It says ``ready``, waits for a line, asks for the token from COUNT threads or tasks at once, and prints the fingerprint
of each token that it got, or the error. COLOUR ``stopping`` is a thread whose store stops the whole process just before
it saves.
"""

import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any

import anyio

from exbo_oauth import AppToken, AsyncOAuthClient, Entry, OAuthError, SQLiteTokenStore, StoreKey, SyncOAuthClient


class StoppingStore(SQLiteTokenStore):
    def swap(self, key: StoreKey, expected: int | None, entry: Entry | None) -> bool:
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)  # ourselves: another thread would stop too late
        return super().swap(key, expected, entry)


def fingerprint(token: AppToken) -> str:
    return sha256(token.access_token.encode()).hexdigest()[:16]


def threads(count: int, options: dict[str, Any]) -> list[str]:
    with SyncOAuthClient(**options) as oauth, ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: fingerprint(oauth.ensure_app_token()), range(count)))


async def tasks(count: int, options: dict[str, Any]) -> list[str]:
    got: list[str] = []

    async def ask() -> None:
        try:
            got.append(fingerprint(await oauth.ensure_app_token()))
        except OAuthError as error:
            got.append(type(error).__name__)

    async with AsyncOAuthClient(**options) as oauth, anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(ask)
    return got


def main() -> None:
    colour, count, path, base_url, client_id, client_secret, timeout = sys.argv[1:]
    store = StoppingStore(path) if colour == "stopping" else SQLiteTokenStore(path)
    options: dict[str, Any] = {"client_id": client_id, "client_secret": client_secret, "base_url": base_url}
    options["store"] = store
    options["timeout"] = float(timeout)
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        asked = colour in ("asyncio", "trio")
        got = anyio.run(tasks, int(count), options, backend=colour) if asked else threads(int(count), options)
        print("\n".join(got), flush=True)
    except OAuthError as error:
        print(type(error).__name__, flush=True)
    finally:
        store.close()


if __name__ == "__main__":
    main()
