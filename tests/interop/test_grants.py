"""Every grant and its refusals, at servers over real sockets; one of them is not ours."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from exbo_oauth import (
    AccessDeniedError,
    AppToken,
    AttemptUsedError,
    CallbackError,
    InvalidClientError,
    InvalidGrantError,
    InvalidScopeError,
    MemoryTokenStore,
    StateMismatchError,
    TokenRequestError,
    UnauthenticatedError,
    UserToken,
)

from ..surfaces.conftest import Surface
from .conftest import Provider

YEAR = timedelta(days=366)


def code_of(callback: str) -> str:
    return parse_qs(urlsplit(callback).query)["code"][0]


async def signed_in(client: Any, provider: Provider, **options: Any) -> UserToken:
    attempt = client.begin_login()
    return await client.finish_login(attempt, provider.visit(attempt.url), **options)


def test_an_app_token_is_issued(provider: Provider, surface: Surface) -> None:
    async def scenario(client: Any) -> None:
        token = await client.get_app_token()
        assert type(token) is AppToken
        assert token.token_type == "Bearer"
        assert datetime.now(UTC) < token.expires_at < datetime.now(UTC) + YEAR

    surface.call(provider.client(surface), scenario)


def test_an_app_token_is_raw_json_if_asked_for(provider: Provider, surface: Surface) -> None:
    async def scenario(client: Any) -> None:
        data = await client.get_app_token()
        assert type(data) is dict
        assert data["token_type"] == "Bearer"
        assert isinstance(data["expires_in"], int)

    surface.call(provider.client(surface, json=True), scenario)


def test_a_user_signs_in_with_pkce_and_state(provider: Provider, surface: Surface) -> None:
    async def scenario(client: Any) -> None:
        token = await signed_in(client, provider, account=7)
        info = await client.validate_user_token(token)
        assert (info.name, info.distributor) == ("ivan", "exbo")
        assert await client.accounts() == ["7"]

    surface.call(provider.client(surface), scenario)


def test_a_refresh_rotates_both_tokens(provider: Provider, surface: Surface) -> None:
    async def scenario(client: Any) -> None:
        first = await signed_in(client, provider)
        second = await client.refresh_user_token(first)
        assert second.access_token != first.access_token
        assert second.refresh_token != first.refresh_token
        assert (await client.validate_user_token(second)).login == "ivan"
        with pytest.raises(UnauthenticatedError):
            await client.validate_user_token(first)

    surface.call(provider.client(surface), scenario)


def test_a_replayed_refresh_token_is_dead(provider: Provider, surface: Surface) -> None:
    async def scenario(client: Any) -> None:
        first = await signed_in(client, provider)
        await client.refresh_user_token(first)
        with pytest.raises(InvalidGrantError) as caught:
            await client.refresh_user_token(first.refresh_token)
        assert caught.value.grant == "refresh_token"

    surface.call(provider.client(surface), scenario)


def test_a_replayed_code_is_dead(provider: Provider, surface: Surface) -> None:
    async def scenario(client: Any) -> None:
        attempt = client.begin_login()
        callback = provider.visit(attempt.url)
        await client.finish_login(attempt, callback)
        with pytest.raises(AttemptUsedError):
            await client.finish_login(attempt, callback)
        with pytest.raises(InvalidGrantError) as caught:
            await client.get_user_token(code_of(callback), code_verifier="v" * 43)
        assert caught.value.grant == "authorization_code"

    surface.call(provider.client(surface), scenario)


def test_a_made_up_code_and_refresh_token_are_dead(provider: Provider, surface: Surface) -> None:
    async def scenario(client: Any) -> None:
        with pytest.raises(InvalidGrantError):
            await client.get_user_token("made-up")
        with pytest.raises(InvalidGrantError):
            await client.refresh_user_token("made-up")

    surface.call(provider.client(surface), scenario)


def test_a_wrong_verifier_is_refused(provider: Provider, surface: Surface) -> None:
    async def scenario(client: Any) -> None:
        callback = provider.visit(client.begin_login().url)
        with pytest.raises(TokenRequestError, match=r"(?i)verif|grant"):
            await client.get_user_token(code_of(callback), code_verifier="w" * 43)

    surface.call(provider.client(surface), scenario)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"client_secret": "not the secret"}, id="wrong secret"),
        pytest.param({"client_id": "59595959"}, id="unknown client"),
    ],
)
def test_wrong_credentials_are_refused_for_every_grant(
    provider: Provider, surface: Surface, changes: dict[str, str]
) -> None:
    async def scenario(client: Any) -> None:
        with pytest.raises(InvalidClientError):
            await client.get_app_token()
        with pytest.raises(InvalidClientError):
            await client.get_user_token("any", code_verifier="v" * 43)
        with pytest.raises(InvalidClientError):
            await client.refresh_user_token("any")

    surface.call(provider.client(surface, **changes), scenario)


def test_an_unknown_scope_is_refused_at_the_token_endpoint(provider: Provider, surface: Surface) -> None:
    async def scenario(client: Any) -> None:
        with pytest.raises(InvalidScopeError):
            await client.get_app_token("no-such-scope")

    surface.call(provider.client(surface), scenario)


def test_an_unknown_scope_comes_back_as_what_it_is(provider: Provider, surface: Surface) -> None:
    async def scenario(client: Any) -> None:
        attempt = client.begin_login(scope="no-such-scope")
        with pytest.raises(CallbackError) as caught:
            await client.finish_login(attempt, provider.visit(attempt.url))
        assert caught.value.error == "invalid_scope"

    surface.call(provider.client(surface), scenario)


def test_a_denied_consent_is_access_denied(provider: Provider, surface: Surface) -> None:
    async def scenario(client: Any) -> None:
        attempt = client.begin_login()
        with pytest.raises(AccessDeniedError):
            await client.finish_login(attempt, provider.visit(attempt.url, "Cancel"))

    surface.call(provider.client(surface), scenario)


def test_the_callback_of_another_attempt_is_refused_and_spoils_nothing(provider: Provider, surface: Surface) -> None:
    async def scenario(client: Any) -> None:
        ours, theirs = client.begin_login(), client.begin_login()
        callback = provider.visit(ours.url)
        with pytest.raises(StateMismatchError):
            await client.finish_login(ours, provider.visit(theirs.url))
        assert isinstance(await client.finish_login(ours, callback), UserToken)

    surface.call(provider.client(surface), scenario)


def test_a_made_up_bearer_token_is_refused(provider: Provider, surface: Surface) -> None:
    async def scenario(client: Any) -> None:
        with pytest.raises(UnauthenticatedError) as caught:
            await client.validate_user_token(secrets.token_hex())
        assert caught.value.status == 401

    surface.call(provider.client(surface), scenario)


def test_a_refused_user_token_is_refreshed_once_and_kept(provider: Provider, surface: Surface) -> None:
    store = MemoryTokenStore()

    async def scenario(client: Any) -> None:
        first = await signed_in(client, provider, account="ivan")
        second = await client.ensure_user_token("ivan", rejected=first)
        assert second.refresh_token != first.refresh_token
        assert await client.ensure_user_token("ivan", rejected=first) == second
        async with surface.http(auth=client.user_auth("ivan"), trust_env=False) as api:
            answer = await api.get(f"{provider.base_url}/user")
        assert answer.json()["login"] == "ivan"

    surface.call(provider.client(surface, store=store), scenario)
