"""What users write with aiohttp."""

import aiohttp

from exbo_oauth import AsyncOAuthClient


async def regions(oauth: AsyncOAuthClient) -> int:
    async with aiohttp.ClientSession(middlewares=(oauth.app_auth(),)) as http:
        async with http.get("https://eapi.stalcraft.net/regions") as answer:
            return answer.status


async def characters(http: aiohttp.ClientSession, oauth: AsyncOAuthClient) -> int:
    async with http.get("https://eapi.stalcraft.net/RU/characters", middlewares=(oauth.user_auth(7),)) as answer:
        return answer.status


async def with_the_secret(http: aiohttp.ClientSession, oauth: AsyncOAuthClient) -> int:
    async with http.get("https://eapi.stalcraft.net/regions", middlewares=(oauth.client_auth(),)) as answer:
        return answer.status
