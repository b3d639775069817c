"""The asynchronous client, for asyncio and trio. It decides nothing: calls are programs, done by `aio_performer`."""

import warnings
from collections.abc import Callable, Iterable
from contextlib import nullcontext, suppress
from functools import partial
from time import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, cast, overload

from ..boundary import boundary
from ..errors import StoreError
from ..flow.accounts import accounts, forget_token, save_token
from ..flow.attempt import LoginAttempt
from ..flow.effects import Operation, Program
from ..flow.login import finish_login
from ..flow.readiness import check_store
from ..flow.replacement import replace_app_token, replace_user_token
from ..lazy import LazyModule
from ..models import AppToken, UserInfo, UserToken
from ..protocol.exchange import OAuthProtocol
from ..stores.base import TokenStore
from .aio_listener import finished, listener_of
from .aio_performer import AsyncHTTP, AsyncPerformer
from .alike import AsyncClientAlike
from .base import A, Account, BaseClient, I, Json, U, account_key
from .listener import OnEvent
from .pending import given_up, keep_trying

if TYPE_CHECKING:
    import httpx

    from . import auth_objects
else:
    httpx = LazyModule("httpx")
    auth_objects = LazyModule(".auth_objects", __package__)

__all__ = ["AsyncOAuthClient", "OAuthClient"]

T = TypeVar("T")


class AsyncOAuthClient(BaseClient[A, U, I]):
    """EXBO's OAuth 2.0 service for asyncio and trio; may be shared by tasks and event loops. See `BaseClient`.

    ::

        async with AsyncOAuthClient.from_env() as oauth, httpx.AsyncClient(auth=oauth.app_auth()) as api:
            print((await api.get(f"{fake.api_url}/regions")).json())
    """

    @overload
    def __init__(
        self: "AsyncOAuthClient[AppToken, UserToken, UserInfo]",
        *,
        client_id: int | str,
        client_secret: str,
        base_url: str = "https://exbo.net/oauth",
        redirect_uri: str = "http://localhost",
        scope: str = "",
        json: Literal[False] = False,
        store: TokenStore | str | None = None,
        timeout: float = 30.0,
        max_retries: int = 2,
        http_client: "httpx.AsyncClient | AsyncClientAlike | None" = None,
        issue: Literal["auto", "never"] = "auto",
        on_event: OnEvent | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: "AsyncOAuthClient[Json, Json, Json]",
        *,
        client_id: int | str,
        client_secret: str,
        base_url: str = "https://exbo.net/oauth",
        redirect_uri: str = "http://localhost",
        scope: str = "",
        json: Literal[True],
        store: TokenStore | str | None = None,
        timeout: float = 30.0,
        max_retries: int = 2,
        http_client: "httpx.AsyncClient | AsyncClientAlike | None" = None,
        issue: Literal["auto", "never"] = "auto",
        on_event: OnEvent | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: "AsyncOAuthClient[AppToken | Json, UserToken | Json, UserInfo | Json]",
        *,
        client_id: int | str,
        client_secret: str,
        base_url: str = "https://exbo.net/oauth",
        redirect_uri: str = "http://localhost",
        scope: str = "",
        json: bool,
        store: TokenStore | str | None = None,
        timeout: float = 30.0,
        max_retries: int = 2,
        http_client: "httpx.AsyncClient | AsyncClientAlike | None" = None,
        issue: Literal["auto", "never"] = "auto",
        on_event: OnEvent | None = None,
    ) -> None: ...
    def __init__(
        self,
        *,
        client_id: int | str,
        client_secret: str,
        base_url: str = "https://exbo.net/oauth",
        redirect_uri: str = "http://localhost",
        scope: str = "",
        json: bool = False,
        store: TokenStore | str | None = None,
        timeout: float = 30.0,
        max_retries: int = 2,
        http_client: "httpx.AsyncClient | AsyncClientAlike | None" = None,
        issue: Literal["auto", "never"] = "auto",
        on_event: OnEvent | None = None,
    ) -> None:
        with boundary():
            protocol = OAuthProtocol(
                client_id=client_id,
                client_secret=client_secret,
                base_url=base_url,
                redirect_uri=redirect_uri,
                scope=scope,
            )
            self._configure(protocol, json=json, store=store, timeout=timeout, max_retries=max_retries, issue=issue)
            self._http = AsyncHTTP(self._timeout, http_client)
            self._listener = listener_of(on_event)
            emit = self._listener.emit
            self._performer = AsyncPerformer(
                self._http,
                self._store,
                self._cache,
                self._note_limits,
                emit=emit,
                keep_trying=partial(keep_trying, self._store, self._cache),
            )
            self._at_once = self._performer.at_once
            self._closed = False

    @overload  # type: ignore[override]  # that of the base hands on whatever a constructor takes
    @classmethod
    def from_env(
        cls,
        *,
        client_id: int | str = ...,
        client_secret: str = ...,
        base_url: str = ...,
        redirect_uri: str = ...,
        scope: str = ...,
        json: Literal[False] = False,
        store: TokenStore | str | None = ...,
        timeout: float = 30.0,
        max_retries: int = 2,
        http_client: "httpx.AsyncClient | AsyncClientAlike | None" = None,
        issue: Literal["auto", "never"] = "auto",
        on_event: OnEvent | None = None,
    ) -> Self: ...
    @overload
    @classmethod
    def from_env(
        cls,
        *,
        client_id: int | str = ...,
        client_secret: str = ...,
        base_url: str = ...,
        redirect_uri: str = ...,
        scope: str = ...,
        json: Literal[True],
        store: TokenStore | str | None = ...,
        timeout: float = 30.0,
        max_retries: int = 2,
        http_client: "httpx.AsyncClient | AsyncClientAlike | None" = None,
        issue: Literal["auto", "never"] = "auto",
        on_event: OnEvent | None = None,
    ) -> "AsyncOAuthClient[Json, Json, Json]": ...
    @classmethod
    def from_env(cls, **overrides: Any) -> Any:
        return super().from_env(**overrides)

    async def get_app_token(self, scope: str | None = None) -> A:
        return cast("A", await self._run(self._called(self._protocol.app_token, scope)))

    async def get_user_token(
        self, code: str, *, redirect_uri: str | None = None, code_verifier: str | None = None
    ) -> U:
        return cast("U", await self._run(self._called(self._protocol.user_token, code, redirect_uri, code_verifier)))

    async def refresh_user_token(self, refresh_token: str | UserToken, scope: str | None = None) -> U:
        return cast("U", await self._run(self._called(self._protocol.refresh, refresh_token, scope)))

    async def validate_user_token(self, token: str | UserToken) -> I:
        return cast("I", await self._run(self._called(self._protocol.user_info, token)))

    async def ensure_app_token(
        self, *, min_ttl: float = 60.0, rejected: AppToken | str | None = None, wait: float | None = None
    ) -> AppToken:
        held = self._shelf.get(None)
        if held is not None and rejected is None and wait is None and held.serves(time(), min_ttl):
            return cast("AppToken", held.token)
        return cast("AppToken", await self._run(self._ensured(None, min_ttl, rejected, wait)))

    async def ensure_user_token(
        self,
        account: Account,
        *,
        min_ttl: float = 60.0,
        rejected: UserToken | str | None = None,
        wait: float | None = None,
    ) -> UserToken:
        account = account_key(account)
        held = self._shelf.get(account)
        if held is not None and rejected is None and wait is None and held.serves(time(), min_ttl):
            return cast("UserToken", held.token)
        return cast("UserToken", await self._run(self._ensured(account, min_ttl, rejected, wait)))

    async def replace_app_token(self, *, wait: float | None = None) -> AppToken:
        return await self._run(replace_app_token(self._config, wait))

    async def replace_user_token(self, account: Account, *, wait: float | None = None) -> UserToken:
        return await self._run(replace_user_token(self._config, account_key(account), wait))

    async def user_info(self, account: Account, *, wait: float | None = None) -> UserInfo:
        from ..flow.user import user_info

        return await self._run(user_info(self._config, account_key(account), wait))

    async def save_user_token(self, account: Account, token: UserToken) -> None:
        await self._run(save_token(self._config, account_key(account), token))

    async def forget_user_token(self, account: Account) -> None:
        await self._run(forget_token(self._config, account_key(account)))

    async def accounts(self) -> list[str]:
        return await self._run(accounts(self._config))

    async def finish_login(
        self, attempt: LoginAttempt, callback_url: str, *, account: Account | None = None
    ) -> UserToken:
        key = None if account is None else account_key(account)
        return await self._run(finish_login(self._config, attempt, callback_url, key))

    async def login(
        self,
        account: Account | None = None,
        *,
        open_browser: bool = True,
        timeout: float = 300.0,  # noqa: ASYNC109  # of people, not of tasks
        prompt: Callable[[str], str] | None = None,
    ) -> UserToken:
        with boundary():
            key = None if account is None else account_key(account)
            session = self._login_session(key, open_browser, timeout, prompt)
            if key is not None:
                await self._run(check_store(self._config.key(key)))
            await self._http.prepare(self._protocol.base_url)
            return await self._performer.sign_in(session, self._finishing(session.attempt, key))

    def app_auth(self, hosts: str | Iterable[str] | None = None) -> "auth_objects.AsyncAuth":
        from .auth_objects import AsyncAuth

        return AsyncAuth(self._bearer(None, hosts))

    def user_auth(self, account: Account, hosts: str | Iterable[str] | None = None) -> "auth_objects.AsyncAuth":
        from .auth_objects import AsyncAuth

        return AsyncAuth(self._bearer(account_key(account), hosts))

    async def aclose(self) -> None:
        """Close the connections. A store or HTTP client that was passed in stays open.

        A token that could not be saved is saved first, if the store takes it now. If it is the client's own store that
        does not take it, raises `StoreError` with the token once all is closed. `on_event` is first told what it has
        not been told yet, and so is the store, for two seconds at most each.
        """
        with boundary():
            try:
                problems = await self._performer.saved()
                await finished(self._cache.notes)
                await finished(self._listener)
            finally:
                self._closed = True
                self._shelf = {}
                await self._http.close()
                if self._owns_store:
                    await self._performer.stored(self._store.close)
            if self._owns_store:
                given_up(self._store, problems)

    async def close(self) -> None:
        """`aclose` by its older name."""
        await self.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with nullcontext() if error is None else suppress(StoreError):  # it tells of the same token as ours, as a rule
            await self.aclose()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True) and self._http.is_open:
            warnings.warn(
                f"unclosed {self!r}: use it in an async with statement, or await aclose()",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )

    async def _run(self, program: Program[T]) -> T:
        with boundary():
            self._check_open()
            return await self._performer.run(program)

    async def _perform(self, effect: Operation) -> Any:
        with boundary():
            self._check_open()
            return await self._performer.perform(effect)


AsyncOAuthClient.__module__ = "exbo_oauth"

OAuthClient = AsyncOAuthClient  # the name in the older library
