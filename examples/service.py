"""An asyncio service: one task per region watches the auction, and all of them use one token.

    export EXBO_CLIENT_ID=… EXBO_CLIENT_SECRET=…
    python service.py y3nmw

Start it as often as you like: all your programs share one store, and with it the token. If another deployment fetches
one and ends ours, the next 401 replaces it once for everybody. ``EXBO_ROUNDS`` is how often to look; Ctrl-C ends it.
"""

import asyncio
import os
import sys
from contextlib import suppress
from itertools import count

import httpx

from exbo_oauth import AsyncOAuthClient, ConfigurationError, OAuthError

API = os.environ.get("EXBO_API_URL", "https://eapi.stalcraft.net")
ROUNDS = int(os.environ.get("EXBO_ROUNDS", "0"))
PAUSE = float(os.environ.get("EXBO_PAUSE", "60"))


async def watch(api: httpx.AsyncClient, region: str, item: str) -> None:
    for lap in count(1):
        try:
            answer = await api.get(f"/{region}/auction/{item}/lots")
            print(region, answer.raise_for_status().json()["total"], "lots", flush=True)
        except (OAuthError, httpx.HTTPError) as error:  # this region again next time; the others go on
            print(region, error, file=sys.stderr, flush=True)
        except BrokenPipeError:  # `| head` has seen enough
            os._exit(1)  # without trying once more to write what is left
        if lap == ROUNDS:
            return
        await asyncio.sleep(PAUSE)


async def main(item: str = "y3nmw") -> None:
    async with (
        AsyncOAuthClient.from_env() as oauth,
        httpx.AsyncClient(base_url=API, auth=oauth.app_auth()) as api,
        asyncio.TaskGroup() as tasks,
    ):
        for region in ("RU", "EU", "NA", "SEA"):
            tasks.create_task(watch(api, region, item))


if __name__ == "__main__":
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(main(*sys.argv[1:]))
    except ConfigurationError as error:
        sys.exit(f"service: {error}")
