"""What both clients have in common: their configuration, what needs no I/O, and what their calls promise.

The calls are written twice, blocking and as coroutines, each a line long: a program of `exbo_oauth.flow`, done by a
performer. What they mean stands here, once.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, NoReturn
from uuid import UUID

from ..boundary import boundary
from ..environment import VARIABLES, default_store_url, given_in
from ..errors import ConfigurationError
from ..flow.attempt import LoginAttempt
from ..flow.config import Config
from ..flow.effects import Operation, Program
from ..flow.login import check_savable, finish_login, new_attempt
from ..flow.needs import Need
from ..flow.retries import exchanged
from ..flow.sharing import ensure_app_token, ensure_user_token
from ..lazy import LazyModule
from ..masking import Secret
from ..misuse import kind_of, narrowed
from ..models import LIMIT_HEADERS, AppToken, RateLimit, UserInfo, UserToken
from ..protocol.exchange import Exchange, OAuthProtocol
from ..protocol.messages import Headers
from ..protocol.pkce import unguessable
from ..protocol.text import encodable
from ..stores.base import TokenStore
from .cache import cache_of, in_file

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from ..login.session import LoginSession
    from . import auth_objects
    from .auth import Bearer

    A = TypeVar("A", default=AppToken)
    U = TypeVar("U", default=UserToken)
    I = TypeVar("I", default=UserInfo)  # noqa: E741  # A, U and I: what the app, user and info calls return
else:
    from typing import TypeVar

    A, U, I = TypeVar("A"), TypeVar("U"), TypeVar("I")  # noqa: E741
    auth_objects = LazyModule(".auth_objects", __package__)

__all__ = ["Account", "BaseClient", "Json", "account_key"]

Json = dict[str, Any]
Account = str | int | UUID

_SECRET = ("client_secret", "store", "store_key")  # a store's URL may hold a password
_LEASE = 10.0  # seconds that a killed holder holds others up
_LONGEST_TIMEOUT = 86_400  # clocks and sockets do not count without end


class BaseClient(Generic[A, U, I]):
    """What both clients are made from, and can do without I/O.

    `base_url` must be https, or http on a loopback host. `timeout` (seconds) bounds one exchange as a whole;
    `max_retries` is how often a call that is safe to repeat is repeated. `store` is where managed tokens live, in
    memory by default; a URL such as ``sqlite:///tokens.db`` will do, too. A store or an `http_client` that you pass
    in is yours to close. ``issue="never"`` makes a follower, whose managed calls only read the store. With
    ``json=True`` the four calls return the server's JSON. Raises `ConfigurationError` for what could not work.

    `on_event` is called with each value of `exbo_oauth.events`, one after the other: on a thread of its own, or, if it
    is a coroutine function (for `AsyncOAuthClient` only), in a task of its own on the event loop. It may do what it
    likes, calling this client included: no call waits for it, and what it raises is logged and dropped. Of more than
    1000 events that wait for it, the oldest are dropped.
    """

    _closed: bool
    _at_once: Callable[[Any], Any]  # with an effect that waits for nothing

    def __init_subclass__(cls) -> None:
        if cls.__doc__ and BaseClient.__doc__:  # pragma: no branch  # for help(), but not under -OO
            cls.__doc__ += BaseClient.__doc__[BaseClient.__doc__.index("\n") :]

    def _configure(
        self, protocol: OAuthProtocol, *, json: bool, store: Any, timeout: Any, max_retries: Any, issue: Any
    ) -> None:
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= _LONGEST_TIMEOUT:
            limits = f"above 0 and up to {_LONGEST_TIMEOUT} (a day)"
            raise ConfigurationError(f"timeout must be a number of seconds {limits}, not {timeout!r}")
        if isinstance(max_retries, bool) or not isinstance(max_retries, int) or max_retries < 0:
            raise ConfigurationError(f"max_retries must be a whole number from 0 up, not {max_retries!r}")
        if issue not in ("auto", "never"):
            raise ConfigurationError(f'issue must be "auto" or "never", not {issue!r}')
        self._protocol, self._json, self._timeout = protocol, bool(json), float(timeout)
        self._store = _store(store)
        self._owns_store = self._store is not store
        patience = 2 * self._timeout + 5
        place = in_file(self._store)
        self._config = Config(protocol, min(_LEASE, patience), patience, max_retries, issue == "auto", place)
        self._cache = cache_of(self._store)
        self._shelf = self._cache.shelf(protocol.base_url, protocol.client_id)
        self._limited = Headers()

    @classmethod
    def from_env(cls, **overrides: Any) -> Any:
        """A client from the environment.

        Reads ``EXBO_CLIENT_ID``, ``EXBO_CLIENT_SECRET``, ``EXBO_REDIRECT_URI``, ``EXBO_SCOPE``, ``EXBO_OAUTH_URL`` and
        ``EXBO_STORE``; `overrides` are constructor arguments and win. Without ``EXBO_STORE`` tokens are kept where the
        command line keeps them, in a file in the user's data directory; ``memory:`` keeps them in this process alone.
        Raises `ConfigurationError` naming what is missing.
        """
        with boundary():
            make: Any = cls
            return make(**_environment(overrides))

    def get_authorize_url(
        self,
        state: str | None = None,
        redirect_uri: str | None = None,
        scope: str | None = None,
        *,
        code_challenge: str | None = None,
    ) -> str:
        """The URL to send a user's browser to (RFC 6749, section 4.1.1). Nothing is sent.

        `redirect_uri` and `scope` are the client's own if not given. `code_challenge` is a PKCE S256 challenge
        (RFC 7636). `begin_login` makes state and challenge for you.
        """
        return self._protocol.authorize_url(state, redirect_uri, scope, code_challenge)

    def get_app_token(self, scope: str | None = None) -> Any:
        """A new token of the application (RFC 6749, section 4.4). The server may end its earlier ones.

        Use `ensure_app_token` to share one. Raises a `ResponseError` or a `TransportError`.
        """

    def get_user_token(self, code: str, *, redirect_uri: str | None = None, code_verifier: str | None = None) -> Any:
        """A user's token for an authorization code (RFC 6749, section 4.1.3). Never sent twice.

        `redirect_uri` must be the authorize URL's; give `code_verifier` if and only if that carried a challenge.
        Raises `InvalidGrantError` for a dead code, `OutcomeUnknownError` if the answer was lost.
        """

    def refresh_user_token(self, refresh_token: str | UserToken, scope: str | None = None) -> Any:
        """A new pair for a refresh token (RFC 6749, section 6); the old pair is dead then. Never sent twice.

        Save the new pair at once, or let `ensure_user_token` do it. Raises `InvalidGrantError` for a dead refresh
        token, `OutcomeUnknownError` if the answer was lost.
        """

    def validate_user_token(self, token: str | UserToken) -> Any:
        """Who a token belongs to; a pasted ``Bearer`` is dropped. Raises `UnauthenticatedError` for a dead one."""

    def ensure_app_token(
        self, *, min_ttl: float = 60.0, rejected: AppToken | str | None = None, wait: float | None = None
    ) -> Any:
        """The application's shared token: from memory, else from the store, else by issuing one for everybody.

        It lives `min_ttl` more seconds, or is of a kind that never lives so long. Pass `rejected` if the API
        refused a token: a newer one is adopted if there is one, else one is issued. Waits up to `wait` seconds for
        others who are renewing it; without `wait`, for as long as they live. Raises `LeaseTimeoutError` after `wait`,
        `TokenConflictError`, `ReadOnlyError` (a follower), `StoreError`, and what `get_app_token` raises.
        """

    def ensure_user_token(
        self,
        account: Account,
        *,
        min_ttl: float = 60.0,
        rejected: UserToken | str | None = None,
        wait: float | None = None,
    ) -> Any:
        """A user's shared token, refreshed once for everybody when it ends; `account` is your own key of the user.

        Arguments and errors as for `ensure_app_token`. Raises `LoginRequiredError` if there is no token of this
        account or its refresh token is dead.
        """

    def replace_app_token(self, *, wait: float | None = None) -> Any:
        """A new token of the application now, whatever the present one's state; the server may end that one.

        One for everybody: whoever asks meanwhile gets the same, and one that others issue after this call began counts.
        `wait` is as for `ensure_app_token`. Raises `ReadOnlyError` (a follower), `StoreError`, and what `get_app_token`
        raises; a token that could not be replaced goes on serving.
        """

    def replace_user_token(self, account: Account, *, wait: float | None = None) -> Any:
        """`replace_app_token` for one user; raises `LoginRequiredError` if there is nothing to refresh."""

    def user_info(self, account: Account, *, wait: float | None = None) -> Any:
        """Who an account is, asked with its shared token. A refused token is replaced by a newer one first.

        Raises `LoginRequiredError` if that cannot be, `UnauthenticatedError` if the replacement is refused as well,
        and what `ensure_user_token` and `validate_user_token` raise.
        """

    def save_user_token(self, account: Account, token: UserToken) -> Any:
        """Put a user's token into the store under your own key; raises `StoreError` or `ReadOnlyError`."""

    def forget_user_token(self, account: Account) -> Any:
        """Remove a user's token from the store, if it is there; raises `StoreError` or `ReadOnlyError`."""

    def accounts(self) -> Any:
        """The accounts of this application that the store holds a token of, sorted; raises `StoreError`."""

    def begin_login(
        self, *, redirect_uri: str | None = None, scope: str | None = None, pkce: bool = True
    ) -> LoginAttempt:
        """Begin a user's sign-in: send them to the attempt's `url`, keep the attempt for `finish_login`.

        It carries a fresh state and, unless `pkce` is False, a PKCE challenge (RFC 7636, RFC 9700 section 2.1.1).
        Nothing is sent. Raises `ConfigurationError` for a redirect URI that could not work.
        """
        with boundary():
            now = datetime.now(UTC)
            return new_attempt(self._protocol, _random(), _random() if pkce else None, now, redirect_uri, scope)

    def finish_login(self, attempt: LoginAttempt, callback_url: str, *, account: Account | None = None) -> Any:
        """The token of a user who came back, saved under `account` if given.

        `callback_url` is the full URL that the browser was sent to, or its query string. State, issuer (RFC 9207),
        error and code are checked in this order. A success, or the server's refusal of the code, uses the attempt
        up; a stranger's callback does not. Raises a `CallbackError`, `InvalidGrantError`, `OutcomeUnknownError`, or
        `StoreError` with the token if it could not be saved.
        """

    def login(
        self,
        account: Account | None = None,
        *,
        open_browser: bool = True,
        timeout: float = 300.0,
        prompt: Callable[[str], str] | None = None,
    ) -> Any:
        """Sign a user in with their browser, on this machine, and return the token, saved under `account` if given.

        Listens on the client's redirect URI, which must be plain http on a loopback host and registered letter by
        letter; prints the address to open, and opens it if `open_browser` and there is a browser. Also takes the
        address that the browser ended on, pasted: `prompt` asks for it, or without one a terminal on standard input.
        The first wins. Waits `timeout` seconds for the user, an hour at most. Callbacks that are not this sign-in's
        are told so and change nothing.

        Raises `ConfigurationError` for an address that cannot be listened on, `LoginTimeoutError`,
        `AccessDeniedError`, and what `finish_login` raises. Nothing listens any more once this ends, however it ends.
        """

    def _login_session(
        self, account: str | None, open_browser: bool, timeout: float, prompt: Callable[[str], str] | None
    ) -> "LoginSession":
        from ..login.session import LoginSession

        self._check_open()
        check_savable(self._config, account)
        issuer = self._protocol.base_url
        return LoginSession.of(self.begin_login(), issuer, timeout=timeout, opens_browser=open_browser, ask=prompt)

    def app_auth(self, hosts: str | Iterable[str] | None = None) -> Any:
        """An ``httpx.Auth`` (and ``httpx2.Auth``) that sends the application's shared token with every request.

        On a 401 it replays the request, if its body is in memory: with a newer token, or with the same one if
        it was good a moment ago and may still be. A request is sent three times at most; what the API says to
        the last is yours. It goes to https or loopback only and, if given, to `hosts` only; elsewhere it raises a
        `ConfigurationError`, as does an auth object of a blocking client in an asynchronous HTTP client.
        """

    def user_auth(self, account: Account, hosts: str | Iterable[str] | None = None) -> Any:
        """`app_auth` with the shared token of one user; `LoginRequiredError` comes through the request."""

    def client_auth(self, hosts: str | Iterable[str] | None = None) -> "auth_objects.ClientAuth":
        """An auth object that sends the headers ``Client-Id`` and ``Client-Secret``.

        For app-level data, in place of a token, and for every HTTP library that `app_auth` is for, blocking or not. It
        goes to https or loopback only and, if given, to `hosts` only, and along no redirect to another origin.
        Raises `ConfigurationError` if the secret cannot travel in a header.
        """
        from .auth_objects import ClientAuth

        return ClientAuth(self._config.key(), self._protocol.client_secret, hosts, self._at_once)

    def _bearer(self, account: str | None, hosts: str | Iterable[str] | None) -> "Bearer":
        from .auth import Bearer, checked_hosts  # with all that is known of refusals, when there is a need

        return Bearer(
            config=self._config,
            key=self._config.key(account),
            cache=self._cache,
            held=lambda: self._shelf.get(account),
            perform=self._perform,
            hosts=checked_hosts(hosts),
        )

    def _perform(self, effect: Operation) -> Any:
        raise NotImplementedError

    def _check_open(self) -> None:
        if self._closed:
            raise ConfigurationError("this client is closed")

    def _finishing(self, attempt: LoginAttempt, account: str | None) -> Callable[[str], Program[UserToken]]:
        return lambda callback: finish_login(self._config, attempt, callback, account)

    def _called(self, describe: Callable[..., Exchange[Any]], *arguments: Any) -> Program[Any]:
        """One exchange. Like every program it does nothing, and so cannot fail, before it is run."""
        exchange = describe(*arguments)
        return (yield from exchanged(self._config, exchange, as_json=self._json))

    def _ensured(self, account: str | None, min_ttl: float, rejected: Any, wait: float | None) -> Program[Any]:
        need = Need(min_ttl, rejected, wait=wait)
        if account is None:
            return (yield from ensure_app_token(self._config, need))
        return (yield from ensure_user_token(self._config, account, need))

    @property
    def ratelimit(self) -> RateLimit:
        """The newest ``x-ratelimit-*`` headers that a call of this client was answered with; None until then."""
        return RateLimit.from_headers(self._limited) or RateLimit()

    def _note_limits(self, headers: Headers) -> None:
        if not LIMIT_HEADERS.isdisjoint(headers):  # read when somebody asks for them
            self._limited = headers

    def __repr__(self) -> str:
        # A traceback may render an instance whose construction failed half-way.
        protocol = getattr(self, "_protocol", None)
        base_url, client_id = getattr(protocol, "base_url", None), getattr(protocol, "client_id", None)
        return f"{type(self).__name__}(base_url={base_url!r}, client_id={client_id!r})"

    def __reduce_ex__(self, _: object) -> NoReturn:
        name = type(self).__name__
        raise ConfigurationError(f"a {name} is not pickled or copied: make one in each process, on one store")


def _store(store: Any) -> TokenStore:
    if store is None:
        from ..stores.memory import MemoryTokenStore

        return MemoryTokenStore()
    if isinstance(store, str):
        from ..stores.urls import store_from_url

        return store_from_url(store)
    from ..stores.address import StoreAddress

    if isinstance(store, StoreAddress):
        return store.opened()
    if isinstance(store, TokenStore) and not isinstance(store, type):
        return store
    kind = kind_of(store)
    raise ConfigurationError(f"store must be a token store such as SQLiteTokenStore(path), or its URL, not {kind}")


# Of the value: a kind of the caller's own, such as an enumeration's, may call it otherwise.
_TEXTS: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (str, str.__str__),
    (int, int.__repr__),
    (UUID, UUID.__str__),
)


def account_key(account: Account) -> str:
    """The caller's key of an account as text; a number (a Telegram id) and a UUID will do, too."""
    text_of = next((text_of for kind, text_of in _TEXTS if isinstance(account, kind)), None)
    if text_of is None or isinstance(account, bool):
        kind = kind_of(account)
        raise ConfigurationError(f"account must be your own key of the user, a str, an int or a UUID, not {kind}")
    try:
        text = text_of(account)
    except ValueError:  # thousands of digits
        raise ConfigurationError("account is too long") from None
    if not text:
        raise ConfigurationError("account must be your own non-empty key of the user")
    return encodable("account", text)


def _environment(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Constructor arguments from ``EXBO_*``; an override wins, and an empty variable counts as unset.

    Tokens are kept where ``EXBO_STORE`` says, else in the user's own file, as the commands keep them, encrypted if
    there is an ``EXBO_STORE_KEY``.
    """
    from ..stores.address import StoreAddress

    found: dict[str, Any] = given_in(os.environ)
    place, key = found.pop("store", None), found.pop("store_key", "")
    given = {**found, **overrides}
    missing = [VARIABLES[name] for name in ("client_id", "client_secret") if name not in given]
    if missing:
        several = "s" * (len(missing) > 1)
        text = (
            f"set the environment variable{several} {' and '.join(missing)}: from_env() reads nothing else "
            "(python-dotenv can put what a .env file says into the environment)"
        )
        raise narrowed(ConfigurationError(text), "missing-setting")
    if "store" not in given:
        given["store"] = StoreAddress(Secret(place or default_store_url()), Secret(key))
    return given


def _random() -> str:
    return unguessable(os.urandom(32))
