"""What type checkers infer from the public API with no cast. Read by mypy --strict and pyright, never run.

What is wrong carries an ignore, and both complain about an ignore that is not needed.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from datetime import datetime, timedelta
from typing import Any, assert_type
from uuid import UUID

import aiohttp
import httpx
import httpx2
import niquests
import requests

from exbo_oauth import (
    AppToken,
    AsyncOAuthClient,
    Entry,
    Exchange,
    InvalidGrantError,
    LoginAttempt,
    MemoryTokenStore,
    OAuthClient,
    OAuthError,
    OAuthProtocol,
    RateLimit,
    RateLimitError,
    ResponseError,
    SQLiteTokenStore,
    StoreKey,
    SyncOAuthClient,
    TokenRequestError,
    TokenStore,
    TransportError,
    UserInfo,
    UserToken,
    parse_callback,
)
from exbo_oauth.protocol import Request, Response
from exbo_oauth.testing import FakeExbo

Json = dict[str, Any]


def models_by_default(user: UserToken) -> None:
    client = SyncOAuthClient(client_id=59, client_secret="secret")
    assert_type(client.get_app_token(), AppToken)
    assert_type(client.get_user_token("code"), UserToken)
    assert_type(client.get_user_token("code", redirect_uri="http://localhost", code_verifier="v"), UserToken)
    assert_type(client.refresh_user_token(user), UserToken)
    assert_type(client.refresh_user_token("refresh", "scope"), UserToken)
    assert_type(client.validate_user_token(user), UserInfo)
    assert_type(client.ratelimit, RateLimit)
    assert_type(client.get_authorize_url("state", code_challenge="c"), str)


def json_if_asked_for() -> None:
    client = SyncOAuthClient(client_id="59", client_secret="secret", json=True)
    assert_type(client.get_app_token(), Json)
    assert_type(client.get_user_token("code"), Json)
    assert_type(client.refresh_user_token("refresh"), Json)
    assert_type(client.validate_user_token("access"), Json)
    assert_type(client.ensure_app_token(), AppToken)
    assert_type(client.replace_app_token(), AppToken)
    assert_type(client.user_info("ivan"), UserInfo)


def models_if_said_so() -> None:
    client = SyncOAuthClient(client_id=59, client_secret="secret", json=False)
    assert_type(client.get_app_token(), AppToken)


def either_if_not_known(raw: bool) -> None:
    client = SyncOAuthClient(client_id=59, client_secret="secret", json=raw)
    assert_type(client.get_app_token(), AppToken | Json)


async def models_by_default_async(user: UserToken) -> None:
    client = AsyncOAuthClient(client_id=59, client_secret="secret")
    assert_type(await client.get_app_token(), AppToken)
    assert_type(await client.get_user_token("code"), UserToken)
    assert_type(await client.refresh_user_token(user), UserToken)
    assert_type(await client.validate_user_token(user), UserInfo)
    assert_type(client.get_authorize_url(), str)


async def json_if_asked_for_async() -> None:
    client = OAuthClient(client_id=59, client_secret="secret", json=True)
    assert_type(await client.get_app_token(), Json)
    assert_type(await client.get_user_token("code"), Json)
    assert_type(await client.refresh_user_token("refresh"), Json)
    assert_type(await client.validate_user_token("access"), Json)


async def either_if_not_known_async(raw: bool) -> None:
    client = AsyncOAuthClient(client_id=59, client_secret="secret", json=raw)
    assert_type(await client.validate_user_token("access"), UserInfo | Json)


async def from_the_environment() -> None:
    assert_type(SyncOAuthClient.from_env().get_app_token(), AppToken)
    assert_type(SyncOAuthClient.from_env(json=True, timeout=5).get_app_token(), Json)
    assert_type(ClientOfMine.from_env(client_id=5, store="memory:"), ClientOfMine)
    assert_type(AsyncClientOfMine.from_env(), AsyncClientOfMine)
    assert_type(await AsyncOAuthClient.from_env(scope="").get_app_token(), AppToken)
    assert_type(await AsyncOAuthClient.from_env(json=True).get_app_token(), Json)


class ClientOfMine(SyncOAuthClient):
    """What users derive."""


class AsyncClientOfMine(AsyncOAuthClient):
    """The same."""


def a_plain_annotation_means_models(client: SyncOAuthClient) -> AppToken:
    return client.get_app_token()


async def a_plain_annotation_means_models_async(client: AsyncOAuthClient) -> UserInfo:
    return await client.validate_user_token("access")


def made_and_passed_on() -> AppToken:
    return a_plain_annotation_means_models(SyncOAuthClient(client_id=59, client_secret="secret"))


async def as_context_managers() -> None:
    with SyncOAuthClient(client_id=59, client_secret="secret", json=True) as raw:
        assert_type(raw.get_app_token(), Json)
    with SyncOAuthClient.from_env() as client:
        assert_type(client.get_app_token(), AppToken)
    async with AsyncOAuthClient.from_env() as client:
        assert_type(await client.get_app_token(), AppToken)


def managed_tokens(client: SyncOAuthClient, telegram_id: int, account: UUID, store: TokenStore) -> None:
    app = client.ensure_app_token(min_ttl=30)
    assert_type(app, AppToken)
    assert_type(client.ensure_app_token(rejected=app), AppToken)
    user = client.ensure_user_token(telegram_id)
    assert_type(user, UserToken)
    assert_type(client.ensure_user_token(account, rejected=user), UserToken)
    assert_type(client.replace_app_token(), AppToken)
    assert_type(client.replace_user_token(account), UserToken)
    assert_type(client.user_info(telegram_id), UserInfo)
    client.save_user_token("ivan", user)
    client.forget_user_token("ivan")
    assert_type(client.accounts(), list[str])


async def managed_tokens_async(client: AsyncOAuthClient) -> None:
    assert_type(await client.ensure_app_token(), AppToken)
    assert_type(await client.ensure_user_token("ivan"), UserToken)
    assert_type(await client.replace_app_token(), AppToken)
    assert_type(await client.replace_user_token("ivan"), UserToken)
    assert_type(await client.user_info("ivan"), UserInfo)
    await client.save_user_token("ivan", await client.ensure_user_token("ivan"))
    await client.forget_user_token("ivan")
    assert_type(await client.accounts(), list[str])


def auth_objects_fit_into_http_clients(client: SyncOAuthClient) -> None:
    httpx.Client(auth=client.app_auth())
    httpx.Client(auth=client.user_auth(7, hosts=["eapi.stalcraft.net"]))
    httpx.Client(auth=client.client_auth("eapi.stalcraft.net"))
    httpx2.Client(auth=client.app_auth())
    httpx2.Client(auth=client.client_auth())


def auth_objects_fit_into_requests(client: SyncOAuthClient) -> None:
    requests.get("https://eapi.stalcraft.net/regions", auth=client.app_auth(), timeout=10)
    session = requests.Session()
    session.auth = client.user_auth(7)
    session.auth = client.client_auth()
    niquests.get("https://eapi.stalcraft.net/regions", auth=client.app_auth())


async def auth_objects_fit_into_async_http_clients(client: AsyncOAuthClient) -> None:
    httpx.AsyncClient(auth=client.app_auth())
    httpx.AsyncClient(auth=client.client_auth())
    httpx2.AsyncClient(auth=client.user_auth(7))
    aiohttp.ClientSession(middlewares=(client.app_auth(), client.client_auth()))


def http_clients_of_one_s_own() -> None:
    SyncOAuthClient(client_id=59, client_secret="secret", http_client=httpx.Client())
    SyncOAuthClient(client_id=59, client_secret="secret", http_client=httpx2.Client())
    AsyncOAuthClient(client_id=59, client_secret="secret", http_client=httpx.AsyncClient())
    AsyncOAuthClient(client_id=59, client_secret="secret", http_client=httpx2.AsyncClient())


def signing_in(client: SyncOAuthClient) -> None:
    attempt = client.begin_login(redirect_uri="http://localhost:9999/callback", pkce=True)
    assert_type(attempt, LoginAttempt)
    assert_type(attempt.url, str)
    assert_type(LoginAttempt.from_dict(attempt.to_dict()), LoginAttempt)
    assert_type(client.finish_login(attempt, "?code=c&state=s", account=7), UserToken)
    assert_type(client.login("ivan", open_browser=False, timeout=60, prompt=input), UserToken)


async def signing_in_async(client: AsyncOAuthClient) -> None:
    attempt = client.begin_login()
    assert_type(attempt, LoginAttempt)
    assert_type(await client.finish_login(attempt, "?code=c&state=s"), UserToken)
    assert_type(await client.login(), UserToken)


def tokens(token: UserToken, info: UserInfo, limits: RateLimit) -> None:
    assert_type(token.access_token, str)
    assert_type(token.refresh_token, str)
    assert_type(token.expires_in, datetime)
    assert_type(token.expires_at, datetime)
    assert_type(token.expires_after(), timedelta)
    assert_type(token.is_expired(leeway=60), bool)
    assert_type(token.authorization, str)
    assert_type(UserToken.from_dict(token.to_dict()), UserToken)
    assert_type(AppToken.parse_expires_in("60"), datetime)
    AppToken(token_type="Bearer", access_token="a", expires_in=60)
    AppToken(token_type="Bearer", access_token="a", expires_in="60")
    AppToken(token_type="Bearer", access_token="a", expires_in=token.expires_at)
    assert_type(info.id, int)
    assert_type(info.uuid, UUID)
    assert_type(info.display_login, str | None)
    assert_type(info.name, str)
    assert_type(limits.remaining, int | None)
    assert_type(limits.reset, datetime | None)


def errors() -> None:
    try:
        SyncOAuthClient.from_env().get_app_token()
    except InvalidGrantError as error:
        assert_type(error.error, str)
        assert_type(error.description, str | None)
    except TokenRequestError as error:
        assert_type(error.hint, str | None)
    except RateLimitError as error:
        assert_type(error.retry_after, float | None)
    except ResponseError as error:
        assert_type(error.status, int)
        assert_type(error.grant, str | None)
    except TransportError as error:
        assert_type(error.request_sent, bool)
    except OAuthError:
        pass


def the_core(now: datetime) -> None:
    protocol = OAuthProtocol(client_id=59, client_secret="secret")
    assert_type(protocol.app_token(), Exchange[AppToken])
    assert_type(protocol.user_token("code", code_verifier="v"), Exchange[UserToken])
    assert_type(protocol.refresh("refresh"), Exchange[UserToken])
    assert_type(protocol.user_info("access"), Exchange[UserInfo])
    exchange = protocol.app_token()
    assert_type(exchange.request, Request)
    answer = Response(200, {"content-type": "application/json"}, b"{}")
    assert_type(exchange.parse(answer, now=now), AppToken)
    assert_type(exchange.json(answer), Json)
    assert_type(protocol.authorize_url("state"), str)
    assert_type(parse_callback("?code=c&state=s", state="s"), str)


class OurStore:
    """What users write: nothing to inherit from."""

    def load(self, key: StoreKey) -> Entry | None:
        raise NotImplementedError

    def swap(self, key: StoreKey, expected: int | None, entry: Entry | None) -> bool:
        raise NotImplementedError

    def acquire(self, key: StoreKey, owner: str, ttl: float) -> bool:
        raise NotImplementedError

    def release(self, key: StoreKey, owner: str) -> None:
        raise NotImplementedError

    def keys(self) -> list[StoreKey]:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


def stores(ours: OurStore) -> list[TokenStore]:
    SyncOAuthClient(client_id=59, client_secret="secret", store=ours)
    return [MemoryTokenStore(), SQLiteTokenStore("tokens.db"), ours]


def the_sandbox() -> None:
    fake = FakeExbo("league-9", invalidate="access")
    with fake.serve() as base_url:
        assert_type(base_url, str)
    httpx.Client(transport=fake.transport())
    httpx.AsyncClient(transport=fake.transport())


def what_could_not_work(raw: "SyncOAuthClient[Json, Json, Json]") -> None:
    SyncOAuthClient(59, "secret")  # type: ignore[call-overload]  # keyword-only
    SyncOAuthClient(client_id=59)  # type: ignore[call-overload]  # no secret
    SyncOAuthClient(client_id=59, client_secret="s", timout=3)  # type: ignore[call-overload]  # misspelt
    SyncOAuthClient(client_id=59, client_secret="s", http_client=httpx.AsyncClient())  # type: ignore[call-overload]
    SyncOAuthClient(client_id=59, client_secret="s", http_client="nonsense")  # type: ignore[call-overload]
    SyncOAuthClient(client_id=59, client_secret="s", http_client=requests.Session())  # type: ignore[call-overload]
    AsyncOAuthClient(client_id=59, client_secret="s", http_client=httpx2.Client())  # type: ignore[call-overload]
    SyncOAuthClient.from_env(timout=3)  # type: ignore[call-overload]
    SyncOAuthClient.from_env(timeout="3")  # type: ignore[call-overload]
    AsyncOAuthClient.from_env(json=True, http_client=httpx.Client())  # type: ignore[call-overload]
    a_plain_annotation_means_models(raw)  # type: ignore[arg-type]
