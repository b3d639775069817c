"""Watches the emissions of all regions and prints the status of each answer."""

import os
import time

import requests

API = os.environ["EXBO_API_URL"]

session = requests.Session()
token = None


def get_token():
    form = {
        "client_id": os.environ["EXBO_CLIENT_ID"],
        "client_secret": os.environ["EXBO_CLIENT_SECRET"],
        "grant_type": "client_credentials",
        "scope": "",
    }
    return session.post(os.environ["EXBO_OAUTH_URL"] + "/token", data=form, timeout=10).json()["access_token"]


def get(path):
    global token
    if token is None:
        token = get_token()
    answer = session.get(API + path, headers={"Authorization": f"Bearer {token}"}, timeout=10)
    if answer.status_code == 401:
        token = get_token()
    return answer


for _ in range(int(os.environ["ROUNDS"])):
    for region in ("RU", "EU", "NA", "SEA"):
        print(get(f"/{region}/emission").status_code, flush=True)
    time.sleep(0.05)
