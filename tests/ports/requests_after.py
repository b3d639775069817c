"""Watches the emissions of all regions and prints the status of each answer."""

import os
import time

import requests

from exbo_oauth import SyncOAuthClient

API = os.environ["EXBO_API_URL"]

session = requests.Session()
oauth = SyncOAuthClient.from_env()
session.auth = oauth.app_auth()


def get(path):
    return session.get(API + path, timeout=10)


for _ in range(int(os.environ["ROUNDS"])):
    for region in ("RU", "EU", "NA", "SEA"):
        print(get(f"/{region}/emission").status_code, flush=True)
    time.sleep(0.05)
oauth.close()
