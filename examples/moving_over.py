"""From stalcraft-api's `scapi.OAuthClient` to ours, with its `AppClient` kept as it is.

    pip install exbo-oauth stalcraft-api
    export EXBO_CLIENT_ID=… EXBO_CLIENT_SECRET=…
    python moving_over.py

Call by call:

===============================================  =====================================================================
scapi                                            exbo_oauth
===============================================  =====================================================================
``OAuthClient(client_id=…, client_secret=…)``    ``OAuthClient(…)``, the same arguments
``get_authorize_url(state)``                     the same; `begin_login` makes and keeps the state, and PKCE
``get_app_token()``                              ``ensure_app_token()``: one for all your processes
``get_user_token(code)``                         ``finish_login(attempt, callback_url, account=…)``: checked and saved
``refresh_user_token(token)``                    not needed: ``ensure_user_token(account)`` renews
``validate_user_token(token)``                   ``user_info(account)``
``AppClient(token=token.access_token)``          the same, with the token of the moment: see `AppApi` below
===============================================  =====================================================================
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from scapi import AppClient
from scapi.exceptions import UnauthorizedError

from exbo_oauth import OAuthClient, OAuthError

T = TypeVar("T")

API = os.environ.get("EXBO_API_URL", "https://eapi.stalcraft.net")  # scapi's own default is plain http


class AppApi:
    """scapi's client with a token that is alive: it keeps the one that it is made with, so it is made anew."""

    def __init__(self, oauth: OAuthClient) -> None:
        self._oauth = oauth
        self._token = ""

    async def call(self, work: Callable[[AppClient], Awaitable[T]]) -> T:
        token = await self._oauth.ensure_app_token()
        try:
            return await work(self._client(token.access_token))
        except UnauthorizedError:
            token = await self._oauth.ensure_app_token(rejected=token)
            return await work(self._client(token.access_token))

    def _client(self, token: str) -> AppClient:
        if token != self._token:
            self._token, self._made = token, AppClient(token=token, base_url=API)
        return self._made


async def show(api: AppApi, region: str) -> None:
    emission = await api.call(lambda client: client.emission(region))
    print(region, emission.previous_start, flush=True)


async def main() -> None:
    async with OAuthClient.from_env() as oauth:
        api = AppApi(oauth)
        for region in ("RU", "EU"):
            await show(api, region)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except OAuthError as error:
        sys.exit(f"moving_over: {error}")
    except BrokenPipeError:  # `| head` has seen enough
        os._exit(1)  # without trying once more to write what is left
