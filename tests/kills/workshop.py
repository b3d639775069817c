"""Forks processes that renew a user's token over and over: ``python workshop.py STORE BASE_URL ID SECRET``.

A line ``KIND ACCOUNT`` has one forked, of the blocking client or of one of the event loops. It says ``begun PID``, then
``saved NAME`` with the name of each pair that a call handed it, until it is ended; ``ended`` follows, with its status.
All is imported before anything is forked, so a process costs no more than what it does.
"""

import os
import sys
import threading
import time
import traceback
from typing import Any, NoReturn

import anyio
import httpx

from exbo_oauth import AsyncOAuthClient, SyncOAuthClient, UserToken
from exbo_oauth.flow.entries import fingerprint
from exbo_oauth.stores import StoreKey, TokenStore, store_from_url

STORE, BASE_URL, CLIENT_ID, SECRET = sys.argv[1:]
OPTIONS: dict[str, Any] = {"client_id": CLIENT_ID, "client_secret": SECRET, "base_url": BASE_URL}


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())  # at once and whole, whatever comes next


def renew(store: TokenStore, account: str) -> None:
    with SyncOAuthClient(**OPTIONS, store=store, http_client=httpx.Client(trust_env=False, verify=False)) as oauth:
        say(f"begun {os.getpid()}")
        while True:
            say(f"saved {fingerprint(oauth.replace_user_token(account).access_token)}")


async def renew_async(store: TokenStore, account: str) -> None:
    http = httpx.AsyncClient(trust_env=False, verify=False)
    async with AsyncOAuthClient(**OPTIONS, store=store, http_client=http) as oauth:
        say(f"begun {os.getpid()}")
        while True:
            say(f"saved {fingerprint((await oauth.replace_user_token(account)).access_token)}")


def work(kind: str, account: str) -> NoReturn:
    try:
        store = store_from_url(STORE)
        if kind == "blocking":
            renew(store, account)
        else:
            anyio.run(renew_async, store, account, backend=kind)
    except BaseException:  # noqa: BLE001  # the parent's frames are none of ours
        say(f"failed {' | '.join(traceback.format_exc().splitlines())}")
    os._exit(1)


async def call() -> None:
    async with AsyncOAuthClient(**OPTIONS, http_client=httpx.AsyncClient(trust_env=False, verify=False)) as oauth:
        await oauth.get_app_token()


def warm_up() -> None:
    """Have all imported and made that the first call of each kind would import and make; no thread stays."""
    with SyncOAuthClient(**OPTIONS, http_client=httpx.Client(trust_env=False, verify=False)) as oauth:
        oauth.get_app_token()
    for backend in ("asyncio", "trio"):
        anyio.run(call, backend=backend)
    UserToken.from_dict({"token_type": "Bearer", "access_token": "a", "refresh_token": "r", "expires_in": 9}).to_dict()
    store = store_from_url(STORE)
    store.load(StoreKey(BASE_URL, CLIENT_ID, "nobody"))
    store.close()
    while threading.active_count() > 1:
        time.sleep(0.01)


warm_up()
for line in sys.stdin:
    child = os.fork()
    if not child:
        work(*line.split())
    say(f"ended {os.waitpid(child, 0)[1]}")
