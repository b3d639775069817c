"""What both clients have in common: their configuration, and everything that needs no I/O."""

import os
import secrets
import socket
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, Literal, Required, TypedDict
from uuid import UUID

from ..environment import VARIABLES, default_store_url, given_in
from ..errors import ConfigurationError
from ..flow.attempt import LoginAttempt
from ..flow.config import Config
from ..flow.effects import Operation
from ..flow.login import check_savable, new_attempt
from ..masking import Secret
from ..models import AppToken, RateLimit, TokenResponse, UserInfo, UserToken
from ..protocol.exchange import OAuthProtocol
from ..protocol.messages import Headers
from ..protocol.pkce import unguessable
from ..protocol.text import encodable
from ..stores.base import TokenStore
from .auth import Bearer, checked_hosts
from .cache import cache_of

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from ..login.session import LoginSession
    from .auth_objects import ClientAuth

    A = TypeVar("A", default=AppToken)
    U = TypeVar("U", default=UserToken)
    I = TypeVar("I", default=UserInfo)  # noqa: E741  # A, U and I: what the app, user and info calls return
else:
    from typing import TypeVar

    A, U, I = TypeVar("A"), TypeVar("U"), TypeVar("I")  # noqa: E741

__all__ = ["Account", "BaseClient", "Json", "Options", "account_key", "environment", "hidden", "identity", "veiled"]

Json = dict[str, Any]
Account = str | int | UUID

_SECRET = ("client_secret", "store", "store_key")  # a store's URL may hold a password
_LONGEST_TIMEOUT = 86_400  # clocks and sockets do not count without end


class Options(TypedDict, total=False):
    """The constructor's arguments apart from ``json`` and ``http_client``, for type checkers."""

    client_id: Required[int | str]
    client_secret: Required[str]
    base_url: str
    redirect_uri: str
    scope: str
    store: TokenStore | str | None
    timeout: float
    max_retries: int
    issue: Literal["auto", "never"]


class BaseClient(Generic[A, U, I]):
    """The pure half of a client."""

    _closed: bool

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
        self._protocol = protocol
        self._json = bool(json)
        self._timeout = float(timeout)
        self._max_retries = max_retries
        self._store = _store(store)
        self._owns_store = self._store is not store
        self._config = Config(protocol, 2 * self._timeout + 5, max_retries, issue == "auto")
        self._cache = cache_of(self._store)
        self._shelf = self._cache.shelf(protocol.base_url, protocol.client_id)
        self._ratelimit = RateLimit()

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

    def begin_login(
        self, *, redirect_uri: str | None = None, scope: str | None = None, pkce: bool = True
    ) -> LoginAttempt:
        """Begin a user's sign-in: send them to the attempt's `url`, keep the attempt for `finish_login`.

        It carries a fresh state and, unless `pkce` is False, a PKCE challenge (RFC 7636, RFC 9700 section 2.1.1).
        Nothing is sent. Raises `ConfigurationError` for a redirect URI that could not work.
        """
        state, verifier = (Secret(unguessable(secrets.token_bytes(32))) for _ in range(2))
        return new_attempt(self._protocol, state, verifier if pkce else None, datetime.now(UTC), redirect_uri, scope)

    def _login_session(
        self, account: str | None, open_browser: bool, timeout: float, prompt: Callable[[str], str] | None
    ) -> "LoginSession":
        from ..login.session import LoginSession

        self._check_open()
        check_savable(self._config, account)
        issuer = self._protocol.base_url
        return LoginSession.of(self.begin_login(), issuer, timeout=timeout, opens_browser=open_browser, ask=prompt)

    def client_auth(self, hosts: str | Iterable[str] | None = None) -> "ClientAuth":
        """An auth object that sends the headers ``Client-Id`` and ``Client-Secret``.

        For app-level data, in place of a token, and for every HTTP library that `app_auth` is for, blocking or not. It
        goes to https or loopback only and, if given, to `hosts` only, and along no redirect to another origin.
        (httpx with a transport of your own that emits no trace events would take it along: leave redirects off there.)
        Raises `ConfigurationError` if the secret cannot travel in a header.
        """
        from .auth_objects import ClientAuth

        return ClientAuth(self._protocol.client_id, self._protocol.client_secret, hosts)

    def _bearer(self, account: str | None, hosts: str | Iterable[str] | None) -> Bearer:
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

    @property
    def ratelimit(self) -> RateLimit:
        """The newest ``x-ratelimit-*`` headers that a call of this client was answered with; None until then."""
        return self._ratelimit

    def _note_limits(self, headers: Headers) -> None:
        self._ratelimit = RateLimit.from_headers(headers) or self._ratelimit

    def __repr__(self) -> str:
        # A traceback may render an instance whose construction failed half-way.
        protocol = getattr(self, "_protocol", None)
        base_url, client_id = getattr(protocol, "base_url", None), getattr(protocol, "client_id", None)
        return f"{type(self).__name__}(base_url={base_url!r}, client_id={client_id!r})"


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
    kind = type(store).__name__
    raise ConfigurationError(f"store must be a token store such as SQLiteTokenStore(path), or its URL, not a {kind}")


def account_key(account: Account) -> str:
    """The caller's key of an account as text; a number (a Telegram id) and a UUID will do, too."""
    if isinstance(account, bool) or not isinstance(account, str | int | UUID):
        kind = type(account).__name__
        raise ConfigurationError(f"account must be your own key of the user, a str, an int or a UUID, not a {kind}")
    if account == "":
        raise ConfigurationError("account must be your own non-empty key of the user")
    try:
        return encodable("account", str(account))
    except ValueError as error:  # thousands of digits
        raise error if isinstance(error, ConfigurationError) else ConfigurationError("account is too long") from None


def environment(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Constructor arguments from ``EXBO_*``; an override wins, and an empty variable counts as unset.

    Tokens are kept where ``EXBO_STORE`` says, else in the user's own file, as the commands keep them, encrypted if
    there is an ``EXBO_STORE_KEY``.
    """
    from ..stores.address import StoreAddress

    arguments = {name: _hidden(value) if name == "client_secret" else value for name, value in overrides.items()}
    del overrides  # this frame may raise, and so may those below it
    found: dict[str, Any] = {
        name: _hidden(value) if name in _SECRET else value for name, value in given_in(os.environ).items()
    }
    place, key = found.pop("store", None), found.pop("store_key", Secret(""))
    given = found | arguments
    missing = [VARIABLES[name] for name in ("client_id", "client_secret") if name not in given]
    if missing:
        several = "s" * (len(missing) > 1)
        raise ConfigurationError(
            f"set the environment variable{several} {' and '.join(missing)}: from_env() reads nothing else "
            "(python-dotenv can put what a .env file says into the environment)"
        )
    if "store" not in given:
        given["store"] = StoreAddress(place or Secret(default_store_url()), key)
    return given


def _hidden(value: Any) -> Any:
    return Secret(value) if isinstance(value, str) else value


def identity() -> str:
    """This process by a name that people recognise."""
    return f"{socket.gethostname()}:{os.getpid()}"


def hidden(client_secret: str | Secret) -> Secret:
    """The caller's secret, wrapped before any of our frames passes it on."""
    return client_secret if isinstance(client_secret, Secret) else Secret(client_secret)


def veiled(value: Any) -> Any:
    """What a caller passed as a token or a code, wrapped whatever it is: our own models mask themselves."""
    return value if value is None or isinstance(value, Secret | TokenResponse) else Secret(value)
