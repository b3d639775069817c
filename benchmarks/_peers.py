"""The same calls by other people's libraries, for `calls`; each as its documentation has it."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import sniffio

CLIENT_ID, CLIENT_SECRET = "59", "s" * 40
ACCESS, REFRESH = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9." + "a" * 900, "def50200" + "f" * 700
TOKEN = {"token_type": "Bearer", "access_token": ACCESS, "refresh_token": REFRESH, "expires_in": 31536000}

Calls = dict[str, Callable[[], object]]
AsyncCalls = dict[str, Callable[[], Awaitable[object]]]


@contextmanager
def authlib(url: str) -> Iterator[Calls]:
    from authlib.integrations.httpx_client import OAuth2Client

    endpoint = url + "/token"
    with OAuth2Client(CLIENT_ID, CLIENT_SECRET, token_endpoint_auth_method="client_secret_post", token=TOKEN) as client:
        yield {
            "get_app_token": lambda: client.fetch_token(endpoint, grant_type="client_credentials"),
            "refresh": lambda: client.refresh_token(endpoint, refresh_token=REFRESH),
            "validate": lambda: client.get(url + "/user").json()["login"],
        }


@contextmanager
def requests_oauthlib(url: str) -> Iterator[Calls]:
    from oauthlib.oauth2 import BackendApplicationClient
    from requests_oauthlib import OAuth2Session

    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"  # the loopback server has no TLS
    client = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    with OAuth2Session(client=BackendApplicationClient(CLIENT_ID), token=TOKEN) as session:
        yield {
            "get_app_token": lambda: session.fetch_token(url + "/token", **client, include_client_id=True),
            "refresh": lambda: session.refresh_token(url + "/token", refresh_token=REFRESH, **client),
            "validate": lambda: session.get(url + "/user").json()["login"],
        }


@asynccontextmanager
async def aauthlib(url: str) -> AsyncIterator[AsyncCalls]:
    from authlib.integrations.httpx_client import AsyncOAuth2Client

    async with AsyncOAuth2Client(
        CLIENT_ID, CLIENT_SECRET, token_endpoint_auth_method="client_secret_post", token=TOKEN
    ) as client:

        async def validate() -> str:
            return str((await client.get(url + "/user")).json()["login"])

        yield {
            "get_app_token": lambda: client.fetch_token(url + "/token", grant_type="client_credentials"),
            "refresh": lambda: client.refresh_token(url + "/token", refresh_token=REFRESH),
            "validate": validate,
        }


@asynccontextmanager
async def httpx_oauth(url: str) -> AsyncIterator[AsyncCalls]:
    """It has no application tokens; it makes a client for each call."""
    from httpx_oauth.oauth2 import OAuth2

    client = OAuth2(CLIENT_ID, CLIENT_SECRET, url + "/authorize", url + "/token", url + "/token")
    yield {"refresh": lambda: client.refresh_token(REFRESH)}


@asynccontextmanager
async def stalcraft_api(url: str) -> AsyncIterator[AsyncCalls]:
    """It stands on aiohttp, which runs on asyncio alone."""
    if sniffio.current_async_library() != "asyncio":
        yield {}
        return
    import scapi

    async with scapi.OAuthClient(client_id=CLIENT_ID, client_secret=CLIENT_SECRET, base_url=url) as client:
        yield {
            "get_app_token": client.get_app_token,
            "refresh": lambda: client.refresh_user_token(REFRESH),
            "validate": lambda: client.validate_user_token(ACCESS),
        }
