"""Making tokens, and ending those that a new one replaces.

What EXBO ends when it issues is only known in part, so it is a knob: "all" ends the earlier access and refresh
tokens of the same user and application (or of the application), "access" only the access tokens, None nothing.
"""

import secrets
from typing import Literal, TypeAlias

from attrs import define, field

from ..protocol.messages import Response
from .clock import Clock
from .dialect import Dialect
from .journal import Journal
from .jwt import numeric_date, signed
from .php import json_encoded
from .state import App, IssuedToken, Registry, Vault

__all__ = ["Invalidate", "Issuer", "IssuingRules"]

Invalidate: TypeAlias = Literal["all", "access"] | None


@define(kw_only=True)
class IssuingRules:
    """The knobs that may change while the server runs; lifetimes in seconds."""

    invalidate: Invalidate
    token_ttl: float
    refresh_ttl: float
    code_ttl: float
    scopes: tuple[str, ...]


@define(kw_only=True)
class Issuer:
    """The part of the server that signs; `started` is when it began to."""

    settings: IssuingRules
    dialect: Dialect
    clock: Clock
    registry: Registry
    vault: Vault
    journal: Journal
    started: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.started = self.clock.now()

    def issue(self, app: App, user_id: int | None, scopes: tuple[str, ...], grant: str) -> IssuedToken:
        """A new token, with everything that this ends ended."""
        token = self._made(app, user_id, tuple(dict.fromkeys(scopes)), grant)
        self.journal.note("issued", token.issued, token=token.number, grant=grant, **self._owner(token))
        if self.settings.invalidate is not None:
            self.end_earlier(token, refresh_tokens=self.settings.invalidate == "all")
        self.vault.keep(token)
        return token

    def end_earlier(self, token: IssuedToken, *, refresh_tokens: bool) -> None:
        """End what `token` replaces, and tell the timeline."""
        ended = self.vault.end_earlier(token, refresh_tokens=refresh_tokens)
        for old in ended:
            self.note_end("superseded", old, token)

    def note_end(self, kind: str, token: IssuedToken, by: IssuedToken | None = None) -> None:
        """Tell the timeline how a token ended, and which one took its place."""
        number = None if by is None else by.number
        self.journal.note(kind, self.clock.now(), token=token.number, by=number, **self._owner(token))

    @staticmethod
    def _owner(token: IssuedToken) -> dict[str, str | int | None]:
        return {"client_id": token.client_id, "user_id": token.user_id}

    def _made(self, app: App, user_id: int | None, scopes: tuple[str, ...], grant: str) -> IssuedToken:
        now = self.clock.now()
        settings = self.settings
        return IssuedToken(
            number=self.vault.next_number(),
            client_id=app.client_id,
            user_id=user_id,
            grant=grant,
            scopes=scopes,
            access_token=self._jwt(app, user_id, scopes, now),
            refresh_token=None if user_id is None else self.vault.new_refresh_token(),
            issued=now,
            expires=now + settings.token_ttl,
            refresh_expires=now + settings.refresh_ttl,
        )

    def _jwt(self, app: App, user_id: int | None, scopes: tuple[str, ...], now: float) -> str:
        subject = "" if user_id is None else str(user_id)
        if user_id is None and self.dialect.app_token_subject:
            subject = app.client_id
        issued = numeric_date(now)
        claims = {
            "aud": app.client_id,
            "jti": secrets.token_hex(40),
            "iat": issued,
            "nbf": issued,
            "exp": numeric_date(now + self.settings.token_ttl),
            "sub": subject,
            "scopes": list(scopes),
        }
        return signed(claims)

    def answer(self, token: IssuedToken) -> Response:
        """The token endpoint's success (RFC 6749, section 5.1), keys in the recorded order."""
        body = {
            "token_type": "Bearer",
            "expires_in": round(token.expires - token.issued),
            "access_token": token.access_token,
        }
        if token.refresh_token is not None:
            body["refresh_token"] = token.refresh_token
        headers = {
            "content-type": "application/json; charset=UTF-8",
            "cache-control": "no-store, private",
            "pragma": "no-cache",
        }
        return Response(200, headers, json_encoded(body))
