"""Watches the emissions of all regions and prints the status of each answer."""

import asyncio
import os

import aiohttp

from exbo_oauth import AsyncOAuthClient

API = os.environ["EXBO_API_URL"]


async def main():
    async with AsyncOAuthClient.from_env() as oauth, aiohttp.ClientSession(middlewares=(oauth.app_auth(),)) as http:
        for _ in range(int(os.environ["ROUNDS"])):
            for region in ("RU", "EU", "NA", "SEA"):
                async with http.get(f"{API}/{region}/emission") as answer:
                    print(answer.status, flush=True)
            await asyncio.sleep(0.05)


asyncio.run(main())
