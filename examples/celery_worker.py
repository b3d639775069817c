"""A Celery worker whose processes, or threads, share one token.

    pip install exbo-oauth "celery[redis]" httpx
    export EXBO_CLIENT_ID=… EXBO_CLIENT_SECRET=… CELERY_BROKER=redis://localhost
    celery -A celery_worker worker --concurrency 4                  # processes, or
    celery -A celery_worker worker --concurrency 4 --pool threads

On one host the processes share a file of yours. Workers on several hosts share a server: ``EXBO_STORE=redis://…``.
A warm shutdown (SIGTERM) lets a renewal that is under way finish.

Without an application of your own, `exbo-oauth sandbox --env-file .env` writes the settings of a sandbox, and
`dotenv run -- celery …` starts this with them.
"""

import os
import sys

import httpx
from celery import Celery

from exbo_oauth import ConfigurationError, OAuthError, SyncOAuthClient

API = os.environ.get("EXBO_API_URL", "https://eapi.stalcraft.net")
BROKER = os.environ.get("CELERY_BROKER", "redis://localhost")

try:
    exbo = SyncOAuthClient.from_env()  # survives the fork of the pool, and is shared by its threads
except ConfigurationError as error:
    sys.exit(f"celery_worker: {error}")

app = Celery("exbo", broker=BROKER, backend=BROKER)


@app.task(autoretry_for=(OAuthError, httpx.HTTPError), retry_backoff=True, max_retries=5)
def lots(region: str, item: str) -> int:
    """How many lots of an item there are."""
    answer = httpx.get(f"{API}/{region}/auction/{item}/lots", auth=exbo.app_auth())
    total: int = answer.raise_for_status().json()["total"]
    return total
