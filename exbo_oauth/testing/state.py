"""What the server knows: applications, users, codes and tokens, and which of them are still good.

`Registry` keeps the people and the programs, `Vault` the grants. Everything is a lookup, so answers take as long
with 100,000 tokens as with one. Times are epoch seconds of the server's clock. Not thread-safe by itself: the
server holds its one lock around every use.
"""

import re
import secrets
import string
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from attrs import define, field, frozen

from ..errors import ConfigurationError
from ..flow.entries import fingerprint
from ..masking import MASK

__all__ = ["App", "Code", "IssuedToken", "Registry", "User", "Vault", "new_secret"]

# Long-lived codes and refresh tokens are encrypted payloads in the original; their shape is all a client sees.
_CODE_DIGITS, _REFRESH_DIGITS = 700, 710
_PREFIX = "def50200"
_NUMBER = re.compile(r"[ \t\n\v\f\r]*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[ \t\n\v\f\r]*")
_ALPHANUMERIC = string.ascii_letters + string.digits


def new_secret() -> str:
    """A client secret of Passport's kind."""
    return "".join(secrets.choice(_ALPHANUMERIC) for _ in range(40))


def _uuid_of(user_id: int, chosen: UUID | str | None = None) -> UUID:
    """A user's UUID, as in the recordings if none was chosen; raises `ConfigurationError` for what is not a UUID."""
    if chosen is None:
        return UUID(f"{user_id:08x}-0000-4000-8000-{user_id:012x}")
    try:
        return UUID(str(chosen))
    except ValueError:
        raise ConfigurationError(f"uuid is {chosen!r}: that is not a UUID") from None


@frozen(kw_only=True, repr=False)
class App:
    """A registered application. With an empty `client_secret` it is public; `first_party` skips the consent page.

    ::

        fake = FakeExbo(app=App(client_id="59", name="my bot", client_secret="secret", redirect_uris=("http://localhost:8080/callback",)))
    """

    client_id: str
    client_secret: str
    redirect_uris: tuple[str, ...]
    name: str
    first_party: bool = False

    @property
    def public(self) -> bool:
        """Whether it has no secret to prove itself with (RFC 6749, section 2.1)."""
        return not self.client_secret

    def __repr__(self) -> str:
        return f"App(client_id={self.client_id!r}, name={self.name!r}, redirect_uris={self.redirect_uris!r})"


@frozen(kw_only=True)
class User:
    """A user's account as ``/oauth/user`` shows it.

    ::

        petya = fake.add_user("petya")
        callback_url = fake.authorize(oauth.begin_login().url, petya)
    """

    id: int
    uuid: UUID
    login: str
    display_login: str | None = None
    distributor: str = "exbo"
    distributor_id: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The fields as the server sends them, in its order."""
        return {
            "id": self.id,
            "uuid": str(self.uuid),
            "login": self.login,
            "display_login": self.display_login,
            "distributor": self.distributor,
            "distributor_id": self.distributor_id,
        }


@frozen(kw_only=True, repr=False)
class Code:
    """An authorization code and what it was given for."""

    client_id: str
    user_id: int
    redirect_uri: str | None
    scopes: tuple[str, ...]
    challenge: str | None
    challenge_method: str
    expires: float


@define(kw_only=True, eq=False, repr=False)
class IssuedToken:
    """One answer of the token endpoint: an access token, and for a user its refresh token.

    `number` counts from 1. `user_id` is None for an app token. `ended` says why the access token died before its
    time ("superseded", "refreshed", "revoked"), `refresh_ended` the same of the refresh token; None while it has not.
    `ended_by` is the number of the token that took its place, if one did.

    ::

        for issued in fake.issued:
            print(issued.number, issued.grant, issued.ended, issued.ended_by)
    """

    number: int
    client_id: str
    user_id: int | None
    grant: str
    scopes: tuple[str, ...]
    access_token: str
    refresh_token: str | None
    issued: float
    expires: float
    refresh_expires: float
    ended: str | None = None
    refresh_ended: str | None = None
    ended_by: int | None = None

    @property
    def key(self) -> tuple[str, int | None]:
        """Whose token this is: tokens of one key supersede each other."""
        return self.client_id, self.user_id

    @property
    def is_good(self) -> bool:
        """Whether nobody has ended all of it; it may have expired."""
        return self.ended is None or (self.refresh_token is not None and self.refresh_ended is None)

    @property
    def fingerprint(self) -> str:
        """What the library's events and ``exbo-oauth status --json`` call the access token."""
        return fingerprint(self.access_token)

    @property
    def issued_at(self) -> datetime:
        """When it was issued, by the server's clock (aware UTC)."""
        return datetime.fromtimestamp(self.issued, UTC)

    @property
    def expires_at(self) -> datetime:
        """When it ends by itself, by the server's clock (aware UTC)."""
        return datetime.fromtimestamp(self.expires, UTC)

    def __repr__(self) -> str:
        owner = "app" if self.user_id is None else f"user {self.user_id}"
        state = self.ended or "not ended"
        return f"<IssuedToken #{self.number} of {owner} for client {self.client_id}: {MASK}, {state}>"


class Registry:
    """Applications by client id and users by id."""

    def __init__(self) -> None:
        self.apps: dict[str, App] = {}
        self.users: dict[int, User] = {}
        self._logins: dict[str, User] = {}
        self.revoked: set[str] = set()
        self.highest_user_id: int = 0
        self._highest_client_id = 0

    def add_app(self, app: App) -> App:
        if app.client_id in self.apps:
            raise ConfigurationError(f"client_id {app.client_id!r} is registered already")
        self.apps[app.client_id] = app
        if app.client_id.isdecimal():
            self._highest_client_id = max(self._highest_client_id, int(app.client_id))
        return app

    def add_user(self, user: User) -> User:
        if user.id in self.users or user.login in self._logins:
            raise ConfigurationError(f"a user with id {user.id} or login {user.login!r} exists already")
        self.users[user.id] = self._logins[user.login] = user
        self.highest_user_id = max(self.highest_user_id, user.id)
        return user

    def restore(self, apps: Iterable[App], revoked: Iterable[str], users: Iterable[User], highest_id: int) -> None:
        """Put in who was here before; nobody may be here yet."""
        for app in apps:
            self.add_app(app)
        self.revoked.update(revoked)
        for user in users:
            self.add_user(user)
        self.highest_user_id = max(self.highest_user_id, highest_id)

    def change_app(self, app: App) -> App:
        """Put `app` in the place of the one with its client id."""
        self.apps[app.client_id] = app
        return app

    def new_user(self, login: str, user_id: int | None = None, uuid: UUID | str | None = None, **facts: Any) -> User:
        """Add a user, with the next id and a UUID made of it unless given; `facts` are the other fields."""
        number = self.highest_user_id + 1 if user_id is None else user_id
        return self.add_user(User(id=number, uuid=_uuid_of(number, uuid), login=login, **facts))

    @property
    def next_client_id(self) -> int:
        return self._highest_client_id + 1

    def revoke_app(self, app: App) -> None:
        self.revoked.add(app.client_id)

    def remove_user(self, user: User) -> None:
        self.users.pop(user.id, None)
        self._logins.pop(user.login, None)

    def active_app(self, client_id: str | None) -> App | None:
        app = None if client_id is None else self._app_of(client_id)
        return None if app is None or app.client_id in self.revoked else app

    def _app_of(self, client_id: str) -> App | None:
        """By its id, or by what a database takes for the same number: 05, 5.0, 5e0."""
        app = self.apps.get(client_id)
        if app is None and _NUMBER.fullmatch(client_id):
            return self.apps.get(f"{float(client_id):.0f}") if float(client_id).is_integer() else None
        return app

    def user_by_login(self, login: str) -> User | None:
        return self._logins.get(login)

    def user(self, which: "User | str | int") -> User:
        """The user meant by an object, a login or an id; raises `ConfigurationError` naming what is not there."""
        if isinstance(which, str):
            found = self._logins.get(which)
        else:
            found = self.users.get(which.id if isinstance(which, User) else which)
        if found is None:
            raise ConfigurationError(f"no such user: {which!r}; add_user() makes one")
        return found

    def app(self, which: "App | str | int") -> App:
        """The application meant by an object or a client id; raises `ConfigurationError` naming what is not there."""
        client_id = which.client_id if isinstance(which, App) else str(which)
        if client_id not in self.apps:
            raise ConfigurationError(f"no such application: {client_id!r}; add_app() makes one")
        return self.apps[client_id]


@define
class _Good:
    """The tokens of one key that nobody has ended, in the order of issue."""

    access: dict[IssuedToken, None] = field(factory=dict)
    refresh: dict[IssuedToken, None] = field(factory=dict)


class Vault:
    """Codes and tokens. The newest `history` codes and dead tokens are remembered, older ones are garbage."""

    def __init__(self, history: int) -> None:
        self.issued: deque[IssuedToken] = deque()
        self._history = history
        self.number: int = 0
        self._access: dict[str, IssuedToken] = {}
        self._refresh: dict[str, IssuedToken] = {}
        self._numbered: dict[int, IssuedToken] = {}
        self._good: dict[tuple[str, int | None], _Good] = {}
        self.codes: dict[str, Code] = {}
        self.used_codes: set[str] = set()

    def next_number(self) -> int:
        self.number += 1
        return self.number

    @staticmethod
    def new_refresh_token() -> str:
        return _PREFIX + secrets.token_hex((_REFRESH_DIGITS - len(_PREFIX)) // 2)

    def keep_code(self, code: Code) -> str:
        text = _PREFIX + secrets.token_hex((_CODE_DIGITS - len(_PREFIX)) // 2)
        self.codes[text] = code
        if len(self.codes) > self._history:
            oldest = next(iter(self.codes))
            del self.codes[oldest]
            self.used_codes.discard(oldest)
        return text

    def code(self, text: str) -> Code | None:
        return self.codes.get(text.lower())  # hexadecimal digits, as refresh tokens are

    def use_code(self, text: str) -> None:
        self.used_codes.add(text.lower())

    def code_used(self, text: str) -> bool:
        return text.lower() in self.used_codes

    def keep(self, token: IssuedToken) -> None:
        self.issued.append(token)
        self._access[token.access_token] = self._numbered[token.number] = token
        good = self._good.setdefault(token.key, _Good())
        if token.ended is None:
            good.access[token] = None
        if token.refresh_token is not None:
            self._refresh[token.refresh_token] = token
            if token.refresh_ended is None:
                good.refresh[token] = None
        if len(self.issued) > self._history:
            self._forget(self.issued.popleft())

    def restore(
        self, tokens: Iterable[IssuedToken], number: int, codes: Mapping[str, Code], used: Iterable[str]
    ) -> None:
        """Put in what was issued before, oldest first; `number` is the last token's."""
        for token in tokens:
            self.keep(token)
        self.number = number
        self.codes.update(codes)
        self.used_codes.update(used)

    def _forget(self, token: IssuedToken) -> None:
        del self._numbered[token.number]
        if token.ended:
            self._access.pop(token.access_token, None)
        if token.refresh_ended and token.refresh_token:
            self._refresh.pop(token.refresh_token, None)

    def by_access(self, text: str) -> IssuedToken | None:
        return self._access.get(text)

    def numbered(self, number: int) -> IssuedToken | None:
        return self._numbered.get(number)

    def by_refresh(self, text: str) -> IssuedToken | None:
        return self._refresh.get(text.lower())

    def end_access(self, token: IssuedToken, why: str, by: int | None = None) -> None:
        if self._good[token.key].access.pop(token, 0) is None:
            token.ended, token.ended_by = why, by
            if token.number not in self._numbered:
                del self._access[token.access_token]

    def end_refresh(self, token: IssuedToken, why: str) -> None:
        if token.refresh_token is not None and self._good[token.key].refresh.pop(token, 0) is None:
            token.refresh_ended = why
            if token.number not in self._numbered:
                del self._refresh[token.refresh_token]

    def end_earlier(self, newest: IssuedToken, *, refresh_tokens: bool) -> list[IssuedToken]:
        """End what else is still good of the same key; the access tokens that were ended before their time."""
        good = self._good.setdefault(newest.key, _Good())
        access = [token for token in good.access if token is not newest]
        for token in access:
            self.end_access(token, "superseded", newest.number)
        for token in [token for token in good.refresh if token is not newest] if refresh_tokens else ():
            self.end_refresh(token, "superseded")
        return [token for token in access if token.expires > newest.issued]

    def live(self, key: tuple[str, int | None], now: float) -> Iterable[IssuedToken]:
        """The access tokens of `key` that nobody ended and that have not expired."""
        good = self._good.get(key)
        return [] if good is None else [token for token in good.access if token.expires > now]


for _public in (App, IssuedToken, User):
    _public.__module__ = "exbo_oauth.testing"
