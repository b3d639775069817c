"""Clients by other people, each behind the same five calls: they drive the sandbox as their users would."""

import asyncio
import secrets
from collections.abc import Coroutine, Mapping
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import httpx_oauth.oauth2
import requests_oauth2client
import scapi
import scapi.exceptions
from authlib.integrations.base_client.errors import OAuthError as AuthlibError
from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuth2Client
from authlib.integrations.requests_client import OAuth2Session
from oauthlib.oauth2 import BackendApplicationClient
from oauthlib.oauth2.rfc6749.errors import OAuth2Error
from requests_oauthlib import OAuth2Session as RequestsOAuth2Session

from .conftest import Provider

__all__ = ["CLIENTS", "FOR_APPLICATIONS", "Other"]

Tokens = Mapping[str, Any]


class Other(Protocol):
    """One library, used for one user's sign-in. The tokens are mappings as the server sent them."""

    refuses_with: tuple[type[Exception], ...]

    def __init__(self, provider: Provider) -> None: ...
    def app_token(self) -> Tokens: ...
    def authorize_url(self) -> str: ...
    def user_token(self, callback: str) -> Tokens: ...
    def refreshed(self, refresh_token: str) -> Tokens: ...
    def close(self) -> None: ...


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def code_in(callback: str) -> str:
    return parse_qs(urlsplit(callback).query)["code"][0]


class Scapi:
    """stalcraft-api: EXBO's own reference client."""

    refuses_with = (scapi.exceptions.RequestError,)

    def __init__(self, provider: Provider) -> None:
        self._arguments = {
            "client_id": provider.client_id,
            "client_secret": provider.client_secret,
            "base_url": provider.base_url,
            "redirect_uri": provider.redirect_uri,
            "json": True,
        }

    async def _call(self, name: str, *arguments: str) -> Any:
        async with scapi.OAuthClient(**self._arguments) as client:
            return await getattr(client, name)(*arguments)

    def app_token(self) -> Tokens:
        return run(self._call("get_app_token"))

    def authorize_url(self) -> str:
        return scapi.OAuthClient(**self._arguments).get_authorize_url(state="state")

    def user_token(self, callback: str) -> Tokens:
        return run(self._call("get_user_token", code_in(callback)))

    def refreshed(self, refresh_token: str) -> Tokens:
        return run(self._call("refresh_user_token", refresh_token))

    def close(self) -> None:
        """Every call had a client of its own."""


class Authlib:
    """authlib over requests, with PKCE; the credentials in the body."""

    refuses_with = (AuthlibError,)
    session: Any = OAuth2Session
    method = "client_secret_post"

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._verifier = secrets.token_urlsafe(48)
        self._session = self.session(
            provider.client_id,
            provider.client_secret,
            redirect_uri=provider.redirect_uri,
            token_endpoint_auth_method=self.method,
            code_challenge_method="S256",
        )
        self._token_url = f"{provider.base_url}/token"

    def app_token(self) -> Tokens:
        return self._session.fetch_token(self._token_url, grant_type="client_credentials")

    def authorize_url(self) -> str:
        url, _ = self._session.create_authorization_url(
            f"{self._provider.base_url}/authorize", code_verifier=self._verifier
        )
        return str(url)

    def user_token(self, callback: str) -> Tokens:
        return self._session.fetch_token(self._token_url, authorization_response=callback, code_verifier=self._verifier)

    def refreshed(self, refresh_token: str) -> Tokens:
        return self._session.refresh_token(self._token_url, refresh_token=refresh_token)

    def close(self) -> None:
        self._session.close()


class AuthlibBasic(Authlib):
    """authlib with HTTP Basic."""

    method = "client_secret_basic"


class AuthlibHttpx(Authlib):
    """authlib over httpx."""

    session = OAuth2Client


class AuthlibAsync(Authlib):
    """authlib over asynchronous httpx."""

    session = AsyncOAuth2Client

    def __init__(self, provider: Provider) -> None:
        super().__init__(provider)
        self._runner = asyncio.Runner()

    def app_token(self) -> Tokens:
        return self._runner.run(super().app_token())

    def user_token(self, callback: str) -> Tokens:
        return self._runner.run(super().user_token(callback))

    def refreshed(self, refresh_token: str) -> Tokens:
        return self._runner.run(super().refreshed(refresh_token))

    def close(self) -> None:
        self._runner.run(self._session.aclose())
        self._runner.close()


class HttpxOauth:
    """httpx-oauth, which has no grant for applications."""

    refuses_with = (httpx_oauth.oauth2.GetAccessTokenError, httpx_oauth.oauth2.RefreshTokenError)
    method: Any = "client_secret_post"

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        token_url = f"{provider.base_url}/token"
        self._client = httpx_oauth.oauth2.BaseOAuth2(
            provider.client_id,
            provider.client_secret,
            f"{provider.base_url}/authorize",
            token_url,
            token_url,
            token_endpoint_auth_method=self.method,
        )

    def authorize_url(self) -> str:
        return run(self._client.get_authorization_url(self._provider.redirect_uri, "state"))

    def user_token(self, callback: str) -> Tokens:
        return run(self._client.get_access_token(code_in(callback), self._provider.redirect_uri))

    def refreshed(self, refresh_token: str) -> Tokens:
        return run(self._client.refresh_token(refresh_token))

    def close(self) -> None:
        """It makes a client for every call, and closes it."""


class HttpxOauthBasic(HttpxOauth):
    """httpx-oauth with HTTP Basic."""

    method = "client_secret_basic"


class RequestsOauthlib:
    """requests-oauthlib with PKCE. It wants https unless it is told otherwise, in the environment."""

    refuses_with = (OAuth2Error,)

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._session = RequestsOAuth2Session(
            provider.client_id, redirect_uri=provider.redirect_uri, pkce="S256", scope=""
        )
        self._token_url = f"{provider.base_url}/token"
        self._secret = {"client_secret": provider.client_secret, "include_client_id": True}

    def app_token(self) -> Tokens:
        client = BackendApplicationClient(client_id=self._provider.client_id)
        with RequestsOAuth2Session(client=client) as session:
            return session.fetch_token(self._token_url, **self._secret)

    def authorize_url(self) -> str:
        return self._session.authorization_url(f"{self._provider.base_url}/authorize")[0]

    def user_token(self, callback: str) -> Tokens:
        # It wants https for the callback, too, which is only looked at for its query.
        return self._session.fetch_token(
            self._token_url, authorization_response=callback.replace("http:", "https:"), **self._secret
        )

    def refreshed(self, refresh_token: str) -> Tokens:
        secret = {"client_id": self._provider.client_id, "client_secret": self._provider.client_secret}
        return self._session.refresh_token(self._token_url, refresh_token=refresh_token, **secret)

    def close(self) -> None:
        self._session.close()


class RequestsOauth2client:
    """requests_oauth2client with PKCE, the credentials by HTTP Basic."""

    refuses_with = (requests_oauth2client.OAuth2Error,)

    def __init__(self, provider: Provider) -> None:
        self._client = requests_oauth2client.OAuth2Client(
            token_endpoint=f"{provider.base_url}/token",
            authorization_endpoint=f"{provider.base_url}/authorize",
            redirect_uri=provider.redirect_uri,
            auth=requests_oauth2client.ClientSecretBasic(provider.client_id, provider.client_secret),
            testing=True,  # http:// will do
        )
        self._asked = self._client.authorization_request(scope=None)

    def app_token(self) -> Tokens:
        return self._client.client_credentials().as_dict()

    def authorize_url(self) -> str:
        return str(self._asked)

    def user_token(self, callback: str) -> Tokens:
        return self._client.authorization_code(self._asked.validate_callback(callback)).as_dict()

    def refreshed(self, refresh_token: str) -> Tokens:
        return self._client.refresh_token(refresh_token).as_dict()

    def close(self) -> None:
        self._client.session.close()


FOR_APPLICATIONS: list[Any] = [
    Scapi,
    Authlib,
    AuthlibBasic,
    AuthlibHttpx,
    AuthlibAsync,
    RequestsOauthlib,
    RequestsOauth2client,
]
CLIENTS: list[Any] = [*FOR_APPLICATIONS, HttpxOauth, HttpxOauthBasic]
