"""Asks for emissions in Celery's worker processes: ``celery -A celery_after worker``."""

import os

import httpx
from celery import Celery

from exbo_oauth import SyncOAuthClient

app = Celery("prices", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
oauth = SyncOAuthClient.from_env()


@app.task(name="emission")
def emission(region):
    answer = httpx.get(f"{os.environ['EXBO_API_URL']}/{region}/emission", auth=oauth.app_auth())
    return answer.status_code
