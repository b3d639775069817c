"""The blocking client. It decides nothing: calls are programs of `exbo_oauth.flow`, done by `sync_performer`."""

import warnings
from collections.abc import Callable, Iterable
from time import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack, cast, overload

from ..flow.accounts import accounts, forget_token, save_token
from ..flow.attempt import LoginAttempt
from ..flow.effects import Operation, Program
from ..flow.login import finish_login
from ..flow.needs import Need
from ..flow.readiness import check_store
from ..flow.replacement import replace_app_token, replace_user_token
from ..flow.retries import exchanged
from ..flow.sharing import ensure_app_token, ensure_user_token
from ..flow.user import user_info
from ..masking import Secret
from ..models import AppToken, UserInfo, UserToken
from ..protocol.exchange import Exchange, OAuthProtocol
from ..stores.base import TokenStore
from ..stores.guard import guarded
from .base import A, Account, BaseClient, I, Json, Options, U, account_key, environment, hidden, veiled
from .sync_performer import SyncHTTP, SyncPerformer

if TYPE_CHECKING:
    import httpx
    import httpx2

    from .auth_objects import SyncAuth

__all__ = ["SyncOAuthClient"]

T = TypeVar("T")


class SyncOptions(Options, total=False):
    """See `Options`."""

    http_client: "httpx.Client | httpx2.Client | None"


class SyncOAuthClient(BaseClient[A, U, I]):
    """EXBO's OAuth 2.0 service for blocking programs; may be shared by threads.

    `base_url` must be https, or http on a loopback host. `timeout` (seconds) bounds one exchange as a whole;
    `max_retries` is how often a call that is safe to repeat is repeated. `store` is where managed tokens live, in
    memory by default; a URL such as ``sqlite:///tokens.db`` will do, too. A store or an `http_client` that you pass
    in is yours to close. ``issue="never"`` makes a follower, whose managed calls only read the store. With
    ``json=True`` the four calls return the server's JSON. Raises `ConfigurationError` for what could not work.
    """

    @overload
    def __init__(
        self: "SyncOAuthClient[AppToken, UserToken, UserInfo]",
        *,
        json: Literal[False] = False,
        **options: Unpack[SyncOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: "SyncOAuthClient[Json, Json, Json]", *, json: Literal[True], **options: Unpack[SyncOptions]
    ) -> None: ...
    @overload
    def __init__(
        self: "SyncOAuthClient[AppToken | Json, UserToken | Json, UserInfo | Json]",
        *,
        json: bool,
        **options: Unpack[SyncOptions],
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
        http_client: "httpx.Client | httpx2.Client | None" = None,
        issue: Literal["auto", "never"] = "auto",
    ) -> None:
        protocol = OAuthProtocol(
            client_id=client_id,
            client_secret=hidden(client_secret),
            base_url=base_url,
            redirect_uri=redirect_uri,
            scope=scope,
        )
        self._configure(protocol, json=json, store=store, timeout=timeout, max_retries=max_retries, issue=issue)
        self._http = SyncHTTP(self._timeout, http_client)
        self._performer = SyncPerformer(self._http, self._store, self._cache, self._note_limits)
        self._closed = False

    @overload
    @classmethod
    def from_env(cls, *, json: Literal[True], **overrides: Any) -> "SyncOAuthClient[Json, Json, Json]": ...
    @overload
    @classmethod
    def from_env(
        cls, *, json: Literal[False] = False, **overrides: Any
    ) -> "SyncOAuthClient[AppToken, UserToken, UserInfo]": ...
    @classmethod
    def from_env(cls, **overrides: Any) -> Any:
        """A client from the environment.

        Reads ``EXBO_CLIENT_ID``, ``EXBO_CLIENT_SECRET``, ``EXBO_REDIRECT_URI``, ``EXBO_SCOPE``, ``EXBO_OAUTH_URL`` and
        ``EXBO_STORE``; `overrides` are constructor arguments and win. Without ``EXBO_STORE`` tokens are kept where the
        command line keeps them, in a file in the user's data directory; ``memory:`` keeps them in this process alone.
        Raises `ConfigurationError` naming what is missing.
        """
        make: Any = cls
        return make(**environment(overrides))

    def get_app_token(self, scope: str | None = None) -> A:
        """A new token of the application (RFC 6749, section 4.4). The server may end its earlier ones.

        Use `ensure_app_token` to share one. Raises a `ResponseError` or a `TransportError`.
        """
        return cast("A", self._call(self._protocol.app_token(scope)))

    def get_user_token(self, code: str, *, redirect_uri: str | None = None, code_verifier: str | None = None) -> U:
        """A user's token for an authorization code (RFC 6749, section 4.1.3). Never sent twice.

        `redirect_uri` must be the authorize URL's; give `code_verifier` if and only if that carried a challenge.
        Raises `InvalidGrantError` for a dead code, `OutcomeUnknownError` if the answer was lost.
        """
        return cast("U", self._call(self._protocol.user_token(Secret(code), redirect_uri, veiled(code_verifier))))

    def refresh_user_token(self, refresh_token: str | UserToken, scope: str | None = None) -> U:
        """A new pair for a refresh token (RFC 6749, section 6); the old pair is dead then. Never sent twice.

        Save the new pair at once, or let `ensure_user_token` do it. Raises `InvalidGrantError` for a dead refresh
        token, `OutcomeUnknownError` if the answer was lost.
        """
        return cast("U", self._call(self._protocol.refresh(veiled(refresh_token), scope)))

    def validate_user_token(self, token: str | UserToken) -> I:
        """Who a token belongs to; a pasted ``Bearer`` is dropped. Raises `UnauthenticatedError` for a dead one."""
        return cast("I", self._call(self._protocol.user_info(veiled(token))))

    def ensure_app_token(self, *, min_ttl: float = 60.0, rejected: AppToken | str | None = None) -> AppToken:
        """The application's shared token: from memory, else from the store, else by issuing one for everybody.

        It lives `min_ttl` more seconds, or is of a kind that never lives so long. Pass `rejected` if the API
        refused a token: a newer one is adopted if there is one, else one is issued. Raises `TokenConflictError`,
        `ReadOnlyError` (a follower), `StoreError`, and what `get_app_token` raises.
        """
        held = self._shelf.get(None)
        if held is not None and rejected is None and held.serves(time(), min_ttl):
            return cast("AppToken", held.token)
        return self._run(ensure_app_token(self._config, Need(min_ttl, veiled(rejected))))

    def ensure_user_token(
        self, account: Account, *, min_ttl: float = 60.0, rejected: UserToken | str | None = None
    ) -> UserToken:
        """A user's shared token, refreshed once for everybody when it ends; `account` is your own key of the user.

        Arguments and errors as for `ensure_app_token`. Raises `LoginRequiredError` if there is no token of this
        account or its refresh token is dead.
        """
        account = account_key(account)
        held = self._shelf.get(account)
        if held is not None and rejected is None and held.serves(time(), min_ttl):
            return cast("UserToken", held.token)
        return self._run(ensure_user_token(self._config, account, Need(min_ttl, veiled(rejected))))

    def replace_app_token(self) -> AppToken:
        """A new token of the application now, whatever the present one's state; the server may end that one.

        One for everybody: who asks meanwhile gets the same, and one that others issue after this call began counts.
        Raises `ReadOnlyError` (a follower), `StoreError`, and what `get_app_token` raises; a token that could not be
        replaced goes on serving.
        """
        return self._run(replace_app_token(self._config))

    def replace_user_token(self, account: Account) -> UserToken:
        """`replace_app_token` for one user; raises `LoginRequiredError` if there is nothing to refresh."""
        return self._run(replace_user_token(self._config, account_key(account)))

    def user_info(self, account: Account) -> UserInfo:
        """Who an account is, asked with its shared token. A refused token is replaced by a newer one first.

        Raises `LoginRequiredError` if that cannot be, `UnauthenticatedError` if the replacement is refused as well,
        and what `ensure_user_token` and `validate_user_token` raise.
        """
        return self._run(user_info(self._config, account_key(account)))

    def save_user_token(self, account: Account, token: UserToken) -> None:
        """Put a user's token into the store under your own key; raises `StoreError` or `ReadOnlyError`."""
        self._run(save_token(self._config, account_key(account), token))

    def forget_user_token(self, account: Account) -> None:
        """Remove a user's token from the store, if it is there; raises `StoreError` or `ReadOnlyError`."""
        self._run(forget_token(self._config, account_key(account)))

    def accounts(self) -> list[str]:
        """The accounts of this application that the store holds a token of, sorted; raises `StoreError`."""
        return self._run(accounts(self._config))

    def finish_login(self, attempt: LoginAttempt, callback_url: str, *, account: Account | None = None) -> UserToken:
        """The token of a user who came back, saved under `account` if given.

        `callback_url` is the full URL that the browser was sent to, or its query string. State, issuer (RFC 9207),
        error and code are checked in this order. A success, or the server's refusal of the code, uses the attempt
        up; a stranger's callback does not. Raises a `CallbackError`, `InvalidGrantError`, `OutcomeUnknownError`, or
        `StoreError` with the token if it could not be saved.
        """
        key = None if account is None else account_key(account)
        return self._run(finish_login(self._config, attempt, Secret(callback_url), key))

    def login(
        self,
        account: Account | None = None,
        *,
        open_browser: bool = True,
        timeout: float = 300.0,
        prompt: Callable[[str], str] | None = None,
    ) -> UserToken:
        """Sign a user in with their browser, on this machine, and return the token, saved under `account` if given.

        Listens on the client's redirect URI, which must be plain http on a loopback host and registered letter by
        letter; prints the address to open, and opens it if `open_browser` and there is a browser. Also takes the
        address that the browser ended on, pasted: `prompt` asks for it, or without one a terminal on standard input.
        The first wins. Waits `timeout` seconds for the user, an hour at most. Callbacks that are not this sign-in's
        are told so and change nothing.

        Raises `ConfigurationError` for an address that cannot be listened on, `LoginTimeoutError`,
        `AccessDeniedError`, and what `finish_login` raises. Nothing listens any more when this ends, in whatever way.
        """
        from ..login.waiting import leave, opened

        key = None if account is None else account_key(account)
        session = self._login_session(key, open_browser, timeout, prompt)
        if key is not None:
            self._run(check_store(self._config.key(key)))
        try:
            callback = opened(session)
            with session.reporting():
                return self._run(finish_login(self._config, session.attempt, callback, key))
        finally:
            leave(session)

    def app_auth(self, hosts: str | Iterable[str] | None = None) -> "SyncAuth":
        """An ``httpx.Auth`` (and ``httpx2.Auth``) that sends the application's shared token with every request.

        On a 401 it replays the request, if its body is in memory: with a newer token, or with the same one where
        that was good a moment ago and may be so still. A request is sent three times at most; what the API says to
        the last is yours. It goes to https or loopback only and, if given, to `hosts` only; elsewhere it raises a
        `ConfigurationError`, as it does in an HTTP client of the other colour.
        """
        from .auth_objects import SyncAuth

        return SyncAuth(self._bearer(None, hosts))

    def user_auth(self, account: Account, hosts: str | Iterable[str] | None = None) -> "SyncAuth":
        """`app_auth` with the shared token of one user; `LoginRequiredError` comes through the request."""
        from .auth_objects import SyncAuth

        return SyncAuth(self._bearer(account_key(account), hosts))

    def close(self) -> None:
        """Close the connections. A store or HTTP client that was passed in stays open."""
        self._closed = True
        self._shelf = {}
        self._http.close()
        if self._owns_store:
            guarded(self._store.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True) and self._http.is_open:
            warnings.warn(
                f"unclosed {self!r}: use it in a with statement, or call close()",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )

    def _call(self, exchange: Exchange[Any]) -> Any:
        return self._run(exchanged(exchange, self._max_retries, as_json=self._json))

    def _run(self, program: Program[T]) -> T:
        self._check_open()
        return self._performer.run(program)

    def _perform(self, effect: Operation) -> Any:
        self._check_open()
        return self._performer.perform(effect)


SyncOAuthClient.__module__ = "exbo_oauth"
