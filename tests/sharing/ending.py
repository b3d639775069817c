"""A process that is ended while it renews a user's token: ``python ending.py KIND SIGNALS STORE BASE_URL ID SECRET``.

KIND is how it renews (``forked`` in a child that gets the signals of its parent, which ends as it does), SIGNALS what
the program does with signals itself: ``default``, ``exits`` (a handler that raises SystemExit(7)) or ``notes`` (a
handler that does nothing else). The store says ``saving`` and waits for a line before it writes. Afterwards the process
says ``renewed`` and waits to be ended.
"""

import os
import signal
import sys
import threading
import time
from typing import Any

KIND, SIGNALS, PATH, BASE_URL, CLIENT_ID, SECRET = sys.argv[1:]
if KIND == "greenlet":
    from gevent import monkey

    monkey.patch_all()

import anyio  # noqa: E402

from exbo_oauth import AsyncOAuthClient, Entry, SQLiteTokenStore, StoreKey, SyncOAuthClient  # noqa: E402


class TellingStore(SQLiteTokenStore):
    def swap(self, key: StoreKey, expected: int | None, entry: Entry | None) -> bool:
        print("saving", flush=True)
        sys.stdin.readline()
        return super().swap(key, expected, entry)


STORE = TellingStore(PATH)
KEY = StoreKey(BASE_URL, CLIENT_ID, "ivan")
OPTIONS: dict[str, Any] = {"client_id": CLIENT_ID, "client_secret": SECRET, "base_url": BASE_URL, "store": STORE}


def handled() -> None:
    """Say who handles the signals that would end us."""
    default = all(signal.getsignal(number) is signal.SIG_DFL for number in (signal.SIGTERM, signal.SIGHUP))
    print("default" if default else "handled", flush=True)


def renew() -> None:
    old = STORE.load(KEY)
    assert old is not None
    with SyncOAuthClient(**OPTIONS) as oauth:
        oauth.ensure_user_token("ivan", rejected=old.token.access_token)


async def renew_async() -> None:
    old = STORE.load(KEY)
    assert old is not None
    async with AsyncOAuthClient(**OPTIONS) as oauth:
        await oauth.ensure_user_token("ivan", rejected=old.token.access_token)


def exit_with_seven(*_: object) -> None:
    sys.exit(7)


def fork() -> None:
    """Go on in a child."""
    child = os.fork()
    if not child:
        return
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: os.kill(child, number))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


def main() -> None:
    if KIND == "forked":
        fork()
    if SIGNALS != "default":
        signal.signal(signal.SIGTERM, exit_with_seven if SIGNALS == "exits" else lambda *_: None)
    if KIND in ("blocking", "forked"):
        renew()
    elif KIND == "greenlet":
        import gevent

        gevent.spawn(renew).join()
    elif KIND == "thread":
        handled()
        worker = threading.Thread(target=renew)
        worker.start()
        worker.join(0.2)
        handled()
        worker.join()
    else:
        anyio.run(renew_async, backend=KIND)
    handled()
    print("renewed", flush=True)
    time.sleep(600)


main()
