"""Asks for emissions in Celery's worker processes: ``celery -A celery_before worker``."""

import os

import httpx
from celery import Celery

app = Celery("prices", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
token = None


def get_token():
    form = {
        "client_id": os.environ["EXBO_CLIENT_ID"],
        "client_secret": os.environ["EXBO_CLIENT_SECRET"],
        "grant_type": "client_credentials",
        "scope": "",
    }
    return httpx.post(os.environ["EXBO_OAUTH_URL"] + "/token", data=form).json()["access_token"]


@app.task(name="emission")
def emission(region):
    global token
    if token is None:
        token = get_token()
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx.get(f"{os.environ['EXBO_API_URL']}/{region}/emission", headers=headers)
    if answer.status_code == 401:
        token = get_token()
    return answer.status_code
