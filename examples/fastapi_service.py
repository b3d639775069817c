"""A FastAPI service that asks the game API, with our client as a dependency.

    pip install exbo-oauth fastapi uvicorn
    export EXBO_CLIENT_ID=… EXBO_CLIENT_SECRET=…
    uvicorn fastapi_service:app --workers 4

All workers share one token. Without an application of your own, `exbo-oauth sandbox --env-file .env` writes the
settings of a sandbox, and `dotenv run -- uvicorn fastapi_service:app` starts this with them.
"""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI, HTTPException, Request

from exbo_oauth import AsyncOAuthClient, ConfigurationError, OAuthError

API = os.environ.get("EXBO_API_URL", "https://eapi.stalcraft.net")

try:
    exbo = AsyncOAuthClient.from_env()
except ConfigurationError as error:
    sys.exit(f"fastapi_service: {error}")


@asynccontextmanager
async def connections(app: FastAPI) -> AsyncIterator[None]:
    async with exbo, httpx.AsyncClient(base_url=API, auth=exbo.app_auth()) as app.state.api:
        yield


def game_api(request: Request) -> httpx.AsyncClient:
    api: httpx.AsyncClient = request.app.state.api
    return api


app = FastAPI(lifespan=connections)
GameAPI = Annotated[httpx.AsyncClient, Depends(game_api)]


@app.get("/emission/{region}")
async def emission(region: str, api: GameAPI) -> dict[str, str | None]:
    try:
        answer = (await api.get(f"/{region}/emission")).raise_for_status().json()
    except (OAuthError, httpx.HTTPError) as error:
        raise HTTPException(502, str(error)) from None
    return {"previous": answer["previousStart"], "current": answer.get("currentStart")}


@app.get("/ready")
async def ready() -> dict[str, bool]:
    """For a load balancer: whether there is a token, in memory or in the store, or one can be had."""
    try:
        await exbo.ensure_app_token()
    except OAuthError as error:
        raise HTTPException(503, str(error)) from None
    return {"ready": True}
