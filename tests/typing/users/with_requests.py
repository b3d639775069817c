"""What users write with requests."""

import requests

from exbo_oauth import SyncOAuthClient


def regions(oauth: SyncOAuthClient) -> int | None:
    session = requests.Session()
    session.auth = oauth.app_auth()
    return session.get("https://eapi.stalcraft.net/regions", timeout=10).status_code


def characters(oauth: SyncOAuthClient) -> int | None:
    auth = oauth.user_auth(7, hosts="eapi.stalcraft.net")
    return requests.get("https://eapi.stalcraft.net/RU/characters", auth=auth, timeout=10).status_code


def with_the_secret(oauth: SyncOAuthClient) -> int | None:
    return requests.get("https://eapi.stalcraft.net/regions", auth=oauth.client_auth(), timeout=10).status_code
