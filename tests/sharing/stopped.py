"""A process that is stopped while it renews a user's token: ``python stopped.py KIND STORE BASE_URL ID SECRET``."""

import sys
from typing import Any

import anyio

from exbo_oauth import AsyncOAuthClient, OAuthError, SQLiteTokenStore, SyncOAuthClient

KIND, PATH, BASE_URL, CLIENT_ID, SECRET = sys.argv[1:]
STORE = SQLiteTokenStore(PATH)
OPTIONS: dict[str, Any] = {"client_id": CLIENT_ID, "client_secret": SECRET, "base_url": BASE_URL, "store": STORE}


def renew() -> None:
    with SyncOAuthClient(**OPTIONS, timeout=4.0) as oauth:
        oauth.replace_user_token("ivan")


async def renew_async() -> None:
    async with AsyncOAuthClient(**OPTIONS, timeout=4.0) as oauth:
        await oauth.replace_user_token("ivan")


try:
    if KIND == "blocking":
        renew()
    else:
        anyio.run(renew_async, backend=KIND)
except OAuthError as error:
    sys.exit(f"{type(error).__name__}: {error}")
