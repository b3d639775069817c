"""What users write with httpx."""

import httpx

from exbo_oauth import AsyncOAuthClient, SyncOAuthClient


def regions(oauth: SyncOAuthClient) -> int:
    with httpx.Client(auth=oauth.app_auth()) as http:
        return http.get("https://eapi.stalcraft.net/regions", auth=oauth.client_auth()).status_code


async def characters(oauth: AsyncOAuthClient) -> int:
    async with httpx.AsyncClient(auth=oauth.user_auth(7, hosts=["eapi.stalcraft.net"])) as http:
        return (await http.get("https://eapi.stalcraft.net/RU/characters")).status_code


def shared(http: httpx.Client) -> SyncOAuthClient:
    return SyncOAuthClient.from_env(http_client=http)


def passed_on(oauth: SyncOAuthClient) -> httpx.Auth:
    return oauth.app_auth()
