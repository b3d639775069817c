"""EXBO's OAuth 2.0 service from Python: sync and async clients, tokens shared by everything that needs them.

Start with `SyncOAuthClient` or `AsyncOAuthClient`, with ``EXBO_CLIENT_ID`` and ``EXBO_CLIENT_SECRET`` set::

    import httpx
    from exbo_oauth import SyncOAuthClient

    with SyncOAuthClient.from_env() as oauth, httpx.Client(auth=oauth.app_auth()) as api:
        print(api.get("https://eapi.stalcraft.net/regions").json())

================================  =============================================================================
`ensure_app_token`, `app_auth`    the application's token: one for all programs, processes and hosts on one store
`login`, `begin_login`            a user signs in: on this machine, or through a bot or a web site
`user_auth`, `user_info`          requests as that user; `LoginRequiredError` when they have to sign in again
`get_app_token`, …                one request each, nothing stored: for those who share tokens themselves
================================  =============================================================================

Durations are seconds, moments aware UTC datetimes. Everything that is raised on purpose is an `OAuthError`.
`exbo_oauth.stores` has the places where tokens live, `exbo_oauth.events` what can be told of them,
`exbo_oauth.protocol` the core without I/O, and `exbo_oauth.testing` an EXBO of your own: the examples in all of them
call that `fake`, and a client of it `oauth`. Every public name is loaded when it is first asked for, so that
importing the package costs less than importing the HTTP library beneath it.
"""

from typing import TYPE_CHECKING

from ._version import __version__ as __version__
from .lazy import lazily

if TYPE_CHECKING:
    from .clients.aio import AsyncOAuthClient as AsyncOAuthClient
    from .clients.aio import OAuthClient as OAuthClient
    from .clients.sync import SyncOAuthClient as SyncOAuthClient
    from .errors import AccessDeniedError as AccessDeniedError
    from .errors import AttemptUsedError as AttemptUsedError
    from .errors import CallbackError as CallbackError
    from .errors import ConfigurationError as ConfigurationError
    from .errors import InvalidClientError as InvalidClientError
    from .errors import InvalidGrantError as InvalidGrantError
    from .errors import InvalidRequestError as InvalidRequestError
    from .errors import InvalidScopeError as InvalidScopeError
    from .errors import IssuerMismatchError as IssuerMismatchError
    from .errors import LeaseTimeoutError as LeaseTimeoutError
    from .errors import LoginRequiredError as LoginRequiredError
    from .errors import LoginTimeoutError as LoginTimeoutError
    from .errors import MalformedResponseError as MalformedResponseError
    from .errors import MissingCodeError as MissingCodeError
    from .errors import OAuthError as OAuthError
    from .errors import OutcomeUnknownError as OutcomeUnknownError
    from .errors import RateLimitError as RateLimitError
    from .errors import ReadOnlyError as ReadOnlyError
    from .errors import ResponseError as ResponseError
    from .errors import ServerError as ServerError
    from .errors import StateMismatchError as StateMismatchError
    from .errors import StoreError as StoreError
    from .errors import TokenConflictError as TokenConflictError
    from .errors import TokenRequestError as TokenRequestError
    from .errors import TransportError as TransportError
    from .errors import UnauthenticatedError as UnauthenticatedError
    from .errors import UnauthorizedClientError as UnauthorizedClientError
    from .errors import UnsupportedGrantTypeError as UnsupportedGrantTypeError
    from .flow.attempt import LoginAttempt as LoginAttempt
    from .login.pending import PendingLogins as PendingLogins
    from .models import AppToken as AppToken
    from .models import OAuthModel as OAuthModel
    from .models import RateLimit as RateLimit
    from .models import TokenResponse as TokenResponse
    from .models import UserInfo as UserInfo
    from .models import UserToken as UserToken
    from .protocol.authorization import parse_callback as parse_callback
    from .protocol.exchange import Exchange as Exchange
    from .protocol.exchange import OAuthProtocol as OAuthProtocol
    from .stores.base import Entry as Entry
    from .stores.base import StoreKey as StoreKey
    from .stores.base import TokenStore as TokenStore
    from .stores.memory import MemoryTokenStore as MemoryTokenStore
    from .stores.sqlite import SQLiteTokenStore as SQLiteTokenStore

# Where a name lives, unless it is an error's.
_HOME_OF = {
    "AppToken": "models",
    "AsyncOAuthClient": "clients.aio",
    "Entry": "stores.base",
    "Exchange": "protocol.exchange",
    "LoginAttempt": "flow.attempt",
    "MemoryTokenStore": "stores.memory",
    "OAuthClient": "clients.aio",
    "OAuthModel": "models",
    "OAuthProtocol": "protocol.exchange",
    "PendingLogins": "login.pending",
    "RateLimit": "models",
    "SQLiteTokenStore": "stores.sqlite",
    "StoreKey": "stores.base",
    "SyncOAuthClient": "clients.sync",
    "TokenResponse": "models",
    "TokenStore": "stores.base",
    "UserInfo": "models",
    "UserToken": "models",
    "parse_callback": "protocol.authorization",
}

__all__ = [
    "AccessDeniedError",
    "AppToken",
    "AsyncOAuthClient",
    "AttemptUsedError",
    "CallbackError",
    "ConfigurationError",
    "Entry",
    "Exchange",
    "InvalidClientError",
    "InvalidGrantError",
    "InvalidRequestError",
    "InvalidScopeError",
    "IssuerMismatchError",
    "LeaseTimeoutError",
    "LoginAttempt",
    "LoginRequiredError",
    "LoginTimeoutError",
    "MalformedResponseError",
    "MemoryTokenStore",
    "MissingCodeError",
    "OAuthClient",
    "OAuthError",
    "OAuthModel",
    "OAuthProtocol",
    "OutcomeUnknownError",
    "PendingLogins",
    "RateLimit",
    "RateLimitError",
    "ReadOnlyError",
    "ResponseError",
    "SQLiteTokenStore",
    "ServerError",
    "StateMismatchError",
    "StoreError",
    "StoreKey",
    "SyncOAuthClient",
    "TokenConflictError",
    "TokenRequestError",
    "TokenResponse",
    "TokenStore",
    "TransportError",
    "UnauthenticatedError",
    "UnauthorizedClientError",
    "UnsupportedGrantTypeError",
    "UserInfo",
    "UserToken",
    "__version__",
    "parse_callback",
]

if not TYPE_CHECKING:  # pragma: no branch  # with a __getattr__, every name would be one to type checkers
    __getattr__, __dir__ = lazily(globals(), dict.fromkeys(__all__, "errors") | _HOME_OF)
