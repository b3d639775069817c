"""What the server's answers become: frozen values that speak in aware UTC moments and never show a token.

Every model takes a server's JSON through `from_dict` and writes itself back with `to_dict`; a field that this
version does not know is kept in ``extra``. Relative lifetimes are turned into moments at the door: a saved
``expires_in`` of "one hour" would be an hour from every restart.
"""

import os
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from html import escape
from importlib import import_module
from json import loads
from typing import Any, Self
from uuid import UUID

from attrs import field, fields, frozen

from .boundary import bounded
from .masking import Secret
from .misuse import ConfigurationError
from .moments import UNKNOWN_END, as_expiry, as_reset, as_saved, aware, seconds_after, utc_now
from .shapes import fitting, written

__all__ = ["HEADER_SAFE", "AppToken", "OAuthModel", "RateLimit", "TokenResponse", "UserInfo", "UserToken"]

HEADER_SAFE = re.compile(r"[\x21-\x7e]+")
"""What can travel in a header by itself: visible ASCII."""

_LIMITS = ("limit", "remaining", "used", "reset")
LIMIT_HEADERS = frozenset(f"x-ratelimit-{name}" for name in _LIMITS)
"""The headers, by their lower-case names, of which a `RateLimit` is read."""

_PRINTABLE = bytes(range(0x20, 0x7F))  # RFC 6749, appendix A.17: VSCHAR
_VISIBLE = bytes(range(0x21, 0x7F))


# Looked at while they are converted, not by validators afterwards: a hundred thousand tokens are read one by one.


def _header_safe(text: str | Secret) -> Secret:
    return _made_of(_VISIBLE, text, "expected visible ASCII, which alone can travel in a header @ $.access_token")


def _printable(text: str | Secret) -> Secret:
    return _made_of(_PRINTABLE, text, "expected printable ASCII @ $.refresh_token")


def _made_of(characters: bytes, text: str | Secret, problem: str) -> Secret:
    if isinstance(text, Secret):  # was looked at: by attrs.evolve
        return text
    # A thousand characters and more, for which a pattern takes twice as long.
    if not isinstance(text, str) or not text or not text.isascii() or text.encode().translate(None, characters):
        raise ConfigurationError(problem)
    return Secret(text)


def _as_extra(value: Mapping[str, Any] | Secret[dict[str, Any]]) -> Secret[dict[str, Any]]:
    if not value and value.__class__ is dict:  # as it nearly always is
        return _NO_EXTRA
    if isinstance(value, Secret):
        return value
    if not isinstance(value, Mapping):
        raise ConfigurationError("extra must be a mapping of further fields")
    return Secret(dict(value))


_NO_EXTRA = Secret[dict[str, Any]]({})  # one for all: a hundred thousand tokens have none


def _unstructured(value: Any) -> Any:
    """What only a caller's own class has: a member of an enumeration, a list."""
    from .converter import unstructured  # cattrs loads when it is first needed

    return unstructured(value)


@bounded
@frozen(kw_only=True, repr=False)
class OAuthModel:
    """What all models share. `extra` holds the fields of an answer that the class does not know.

    ::

        saved = token.to_dict()  # secrets included: for a place that nobody else reads
        assert UserToken.from_dict(saved) == token
    """

    _extra: Secret[dict[str, Any]] = field(  # pyright: ignore[reportAssignmentType]  # the converter wraps it
        factory=dict, converter=_as_extra, hash=False, alias="extra"
    )

    @property
    def extra(self) -> dict[str, Any]:
        """The fields of an answer that the class does not know, by name."""
        return self._extra.reveal() or {}

    @classmethod
    @bounded
    def from_dict(cls, data: Mapping[str, Any], *, now: datetime | None = None) -> Self:
        """A model from a server's answer, from `to_dict`, or from what another library saved.

        `now` (aware) is the moment that relative times count from, the present by default. Raises
        `ConfigurationError` if a field is missing or of the wrong type; the text says which and where.
        """
        model = cls.read(data, None if now is None else aware(now))
        if isinstance(model, str):
            raise ConfigurationError(f"this is not a valid {cls.__name__}: {model}")
        return model

    @classmethod
    def read(cls, data: object, now: datetime | None) -> Self | str:
        """`from_dict` for our own layers: a model, or what is wrong with `data` and where."""
        normal = cls._normal(data, now) if isinstance(data, dict | Mapping) else "expected an object @ $"
        if isinstance(normal, str):
            return normal
        model = fitting(cls, normal)
        return cls._converted(normal) if model is None else model

    @classmethod
    def _converted(cls, normal: dict[str, Any]) -> Self | str:
        from .converter import structured  # cattrs loads when it is first needed

        names = [known.alias for known in fields(cls) if known.alias != "extra"]
        known = {name: normal.pop(name) for name in names if name in normal}
        known["extra"] = {str(key): value for key, value in normal.items()}
        return structured(known, cls)

    @classmethod
    def _normal(cls, data: Mapping[str, Any], now: datetime | None) -> dict[str, Any] | str:
        """A copy of `data` with its times as moments, or what is wrong with those."""
        return dict(data)

    def to_dict(self) -> dict[str, Any]:
        """The model as JSON-safe values, secrets included; `from_dict` gives an equal model back."""
        data = written(self, _unstructured)
        return {**data.pop("extra"), **data}

    def _rows(self) -> list[tuple[str, str]]:
        """The fields as they may be shown."""
        # A traceback may render an instance whose construction failed half-way.
        rows = [(known.alias, repr(getattr(self, known.name, None))) for known in fields(type(self))]
        extra = getattr(self, "_extra", Secret[dict[str, Any]]({})).reveal()
        shown = [row for row in rows if row[0] != "extra"]
        # What the server added is unknown to us, so it may be a secret.
        return [*shown, ("extra", f"<{', '.join(sorted(map(repr, extra)))}>")] if extra else shown

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value}' for name, value in self._rows())})"

    def _repr_html_(self) -> str:
        """A small table for notebooks; secrets stay masked."""
        rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in self._rows())
        return f"<table><caption>{type(self).__name__}</caption>{rows}</table>"


@bounded
@frozen(kw_only=True, repr=False)
class TokenResponse(OAuthModel):
    """A bearer token (RFC 6749, section 5.1).

    `expires_in` is the moment of expiry as an aware UTC datetime, counted from before the request went out. The
    constructor also takes seconds from now, as a number or digits. A server may leave it out: such a token ends, as
    far as anybody can tell, with the calendar (1 January 9999), and serves until it is refused.

    `access_token` is visible ASCII, or it could not travel in a header: anything else is a `ConfigurationError`. Use
    `authorization` where a whole header is wanted: a token itself prints as what it is, with its secrets masked.

    ::

        if token.is_expired(leeway=60):
            token = oauth.replace_user_token("ivan")
        headers = {"Authorization": token.authorization}  # never f"Bearer {token}"
    """

    token_type: str
    _access_token: Secret = field(alias="access_token", converter=_header_safe)
    expires_in: datetime = field(converter=as_expiry)

    @property
    def access_token(self) -> str:
        """The token itself. A secret."""
        return self._access_token.reveal()

    @classmethod
    def parse_expires_in(cls, value: object, now: datetime | None = None) -> datetime:
        """The moment `value` seconds after `now` (aware; the present by default), in UTC.

        Takes an int, a float or digits; what is not a number is a `ConfigurationError` (a ValueError) naming it.
        """
        return seconds_after(value, now)

    @classmethod
    def _normal(cls, data: Mapping[str, Any], now: datetime | None) -> dict[str, Any] | str:
        saved, relative = data.get("expires_at"), data.get("expires_in")
        # Without the value itself: in a garbled answer it could be the token.
        problem = "expected an ISO 8601 moment or epoch seconds @ $.expires_at"
        try:
            moment = as_saved(saved)
            problem = "expected a number of seconds @ $.expires_in"
            if moment is None:
                moment = UNKNOWN_END if relative is None else seconds_after(relative, now)
        except ConfigurationError:
            return problem
        normal = {**data, "expires_in": moment}
        normal.pop("expires_at", None)
        return normal

    def to_dict(self) -> dict[str, Any]:
        """The token as JSON-safe values, the moment of expiry as ``expires_at`` (ISO 8601, UTC)."""
        data = super().to_dict()
        data["expires_at"] = data.pop("expires_in")
        return data

    @property
    def expires_at(self) -> datetime:
        """`expires_in` by its usual name."""
        return self.expires_in

    def is_expired(self, *, leeway: float = 0, now: datetime | None = None) -> bool:
        """Whether the token ends within `leeway` seconds of `now` (aware; the present by default)."""
        return self.expires_after(now).total_seconds() <= leeway

    def expires_after(self, now: datetime | None = None) -> timedelta:
        """The lifetime left at `now` (aware; the present by default), negative once it is over."""
        return self.expires_in - (utc_now() if now is None else aware(now))

    @property
    def claims(self) -> dict[str, Any] | None:
        """The payload of the token as a JWT, read WITHOUT verifying anything; None if it is not a JWT (RFC 7519)."""
        try:
            _, payload, _ = self.access_token.split(".")
            claims = loads(urlsafe_b64decode(payload + "=="))  # what is too much of it is passed over
        except (ValueError, RecursionError):
            return None
        return claims if isinstance(claims, dict) else None

    @property
    def authorization(self) -> str:
        """The value of the ``Authorization`` header (RFC 6750, section 2.1). A secret.

        The scheme is spelled ``Bearer`` whatever the server calls it: it refuses ``bearer`` (recorded case U08).
        """
        return f"Bearer {self.access_token}"

    def _repr_html_(self) -> str:
        left = self.expires_after()
        shown = "expired" if left <= timedelta() else f"{left - timedelta(microseconds=left.microseconds)} left"
        return super()._repr_html_().replace("</table>", f"<tr><th>lifetime</th><td>{shown}</td></tr></table>")


@bounded
@frozen(kw_only=True, repr=False)
class AppToken(TokenResponse):
    """An application's token (client credentials, RFC 6749, section 4.4). It has no refresh token.

    ::

        token = oauth.ensure_app_token()
        print(token.expires_after())  # a timedelta
    """


@bounded
@frozen(kw_only=True, repr=False)
class UserToken(TokenResponse):
    """A user's token with the `refresh_token` that renews it. EXBO rotates it: each serves once.

    ::

        token = oauth.finish_login(attempt, callback_url, account="ivan")
        assert oauth.ensure_user_token("ivan") == token
    """

    _refresh_token: Secret = field(alias="refresh_token", converter=_printable)

    @property
    def refresh_token(self) -> str:
        """What renews the token. A secret."""
        return self._refresh_token.reveal()


@bounded
@frozen(kw_only=True, repr=False)
class UserInfo(OAuthModel):
    """Who a user token belongs to.

    `distributor` is where the account comes from ("exbo", "steam", …; the set is open). `display_login` and
    `distributor_id` are None where the server sends null or nothing.

    ::

        user = oauth.user_info("ivan")
        print(user.id, user.uuid, user.name)
    """

    id: int
    uuid: UUID
    login: str
    display_login: str | None = None
    distributor: str
    distributor_id: str | None = None

    @property
    def name(self) -> str:
        """The name to show: `display_login`, or else `login`."""
        return self.display_login or self.login


@bounded
@frozen(kw_only=True, repr=False)
class RateLimit(OAuthModel):
    """The newest ``x-ratelimit-*`` headers; what was not sent, or makes no sense, is None.

    `reset` is the moment at which the bucket is full again, from epoch seconds or milliseconds.

    ::

        answer = httpx.get(f"{fake.api_url}/regions", headers={"Authorization": oauth.ensure_app_token().authorization})
        limit = RateLimit.from_headers(answer.headers)
        if limit is not None and limit.remaining == 0 and limit.reset is not None:
            time.sleep(max(0.0, (limit.reset - datetime.now(UTC)).total_seconds()))
    """

    limit: int | None = None
    remaining: int | None = None
    used: int | None = None
    reset: datetime | None = field(default=None, converter=as_reset)

    @classmethod
    def _normal(cls, data: Mapping[str, Any], now: datetime | None) -> dict[str, Any] | str:
        try:
            return dict(data) | {"reset": as_saved(data.get("reset"))}
        except ConfigurationError as error:
            return f"{error} @ $.reset"

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> "RateLimit | None":
        """The limits in an answer's headers (lower-case names), None if it carries none of them."""
        sent = {name: headers.get(f"x-ratelimit-{name}") for name in _LIMITS}
        if all(value is None for value in sent.values()):
            return None
        limits: dict[str, Any] = {name: _lenient(value) for name, value in sent.items()}
        try:
            return cls(**limits)
        except ConfigurationError:  # a reset beyond the calendar
            del limits["reset"]
            return cls(**limits)


def _lenient(value: str | None) -> int | None:
    return int(value) if value is not None and value.isascii() and value.isdigit() and len(value) < 16 else None


for _public in (OAuthModel, TokenResponse, AppToken, UserToken, UserInfo, RateLimit):
    _public.__module__ = "exbo_oauth"


if hasattr(os, "register_at_fork"):  # pragma: no branch  # not on Windows, which cannot fork
    # A child that was forked while another thread imported would wait for that import for ever.
    os.register_at_fork(before=partial(import_module, ".converter", __package__))
