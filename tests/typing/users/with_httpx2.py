"""What users write with httpx2."""

import httpx2

from exbo_oauth import AsyncOAuthClient, SyncOAuthClient


def regions(oauth: SyncOAuthClient) -> int:
    with httpx2.Client(auth=oauth.app_auth()) as http:
        return http.get("https://eapi.stalcraft.net/regions", auth=oauth.client_auth()).status_code


async def characters(oauth: AsyncOAuthClient) -> int:
    async with httpx2.AsyncClient(auth=oauth.user_auth(7, hosts=["eapi.stalcraft.net"])) as http:
        return (await http.get("https://eapi.stalcraft.net/RU/characters")).status_code


def shared(http: httpx2.Client) -> SyncOAuthClient:
    return SyncOAuthClient.from_env(http_client=http)
