"""Watches the emissions of all regions and prints the status of each answer."""

import asyncio
import os

import aiohttp

API = os.environ["EXBO_API_URL"]


async def get_token(http):
    form = {
        "client_id": os.environ["EXBO_CLIENT_ID"],
        "client_secret": os.environ["EXBO_CLIENT_SECRET"],
        "grant_type": "client_credentials",
        "scope": "",
    }
    async with http.post(os.environ["EXBO_OAUTH_URL"] + "/token", data=form) as answer:
        return (await answer.json())["access_token"]


async def main():
    async with aiohttp.ClientSession() as http:
        token = await get_token(http)
        for _ in range(int(os.environ["ROUNDS"])):
            for region in ("RU", "EU", "NA", "SEA"):
                headers = {"Authorization": f"Bearer {token}"}
                async with http.get(f"{API}/{region}/emission", headers=headers) as answer:
                    print(answer.status, flush=True)
                    if answer.status == 401:
                        token = await get_token(http)
            await asyncio.sleep(0.05)


asyncio.run(main())
