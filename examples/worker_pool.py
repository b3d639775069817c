"""A pool of worker processes: each asks the API with the token that all of them share through one store.

    export EXBO_CLIENT_ID=… EXBO_CLIENT_SECRET=…
    python worker_pool.py

Every process opens the store for itself; nothing is passed between them but the work.
"""

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import cache

import httpx

from exbo_oauth import OAuthError, SyncOAuthClient

API = os.environ.get("EXBO_API_URL", "https://eapi.stalcraft.net")
REGIONS = ["RU", "EU", "NA", "SEA"]


@cache
def api() -> httpx.Client:
    """This process's HTTP client, made once: it lives as long as the worker does."""
    oauth = SyncOAuthClient.from_env()
    return httpx.Client(base_url=API, auth=oauth.app_auth())


def emission(region: str) -> str:
    try:
        answer = api().get(f"/{region}/emission").raise_for_status().json()
    except (OAuthError, httpx.HTTPError) as error:
        return f"{region}: {error}"
    return f"{region}: last emission {answer['previousStart']}"


def main() -> int:
    with ProcessPoolExecutor(4) as pool:
        for line in pool.map(emission, REGIONS * 5):
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # `| head` has seen enough
        os._exit(1)  # without trying once more to write what is left
