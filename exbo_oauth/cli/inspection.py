"""``inspect``: what is written in a token, read without believing it."""

import re
from base64 import urlsafe_b64decode
from datetime import UTC, datetime
from json import loads
from typing import Annotated, Any

import typer
from attrs import frozen

from ..language import mark, tr
from ..masking import MASK, Secret
from .options import Account, AsJson, configured
from .output import Failure, say_aside, say_json, say_wrapped
from .session import held, opened_store
from .settings import Settings, read_secret
from .wording import lifetime, moment

__all__ = ["Reading", "bare_token", "has_scheme", "inspect", "reading_of"]

WARNING = mark("Nothing of this is verified: anybody can write a token that says so.")

_STATE = re.compile(r'\{\s*"format"\s*:\s*"exbo-oauth sandbox"')
_SCHEME = re.compile(r"\s*(authorization[\"']?\s*[:=]\s*[\"']?\s*)?bearer(\s+|$)", re.IGNORECASE)


@frozen
class Reading:
    """What a text that should be an access token turns out to be; `problem` is why it cannot be one."""

    header: dict[str, Any]
    claims: dict[str, Any]
    problem: str | None = None

    def moment(self, claim: str) -> datetime | None:
        """A claim that is a moment, None if it is missing or not one."""
        try:
            return datetime.fromtimestamp(float(self.claims[claim]), UTC)
        except (KeyError, TypeError, ValueError, OverflowError, OSError):
            return None

    @property
    def audience(self) -> str | None:
        """The client id that the token was issued to."""
        value = self.claims.get("aud")
        value = value[0] if isinstance(value, list) and len(value) == 1 else value
        return None if value is None else str(value)


def bare_token(text: Secret) -> Secret:
    """What was copied without the header's name and the ``Bearer`` in front of it, and the quotes around it."""
    return Secret(_unquoted(_SCHEME.sub("", _unquoted(text.reveal()), count=1)))


def has_scheme(text: Secret) -> bool:
    """Whether a ``Bearer`` was copied with it, alone or with the header's name."""
    return _SCHEME.match(_unquoted(text.reveal())) is not None


def _unquoted(text: str) -> str:
    return text.strip().strip("\"'").strip()


def reading_of(text: Secret) -> Reading:
    """The JWT in `text` (RFC 7519), read without verifying anything; a ``Bearer`` in front is dropped."""
    bare = bare_token(text)
    problem = _problem(bare)
    if problem is not None:
        return Reading({}, {}, problem)
    header, claims, _ = (_part(part) for part in bare.reveal().split("."))
    if header is None or claims is None:
        return Reading({}, {}, tr("this is not a whole JWT: it has three parts, but they do not hold JSON"))
    return Reading(header, claims)


def _problem(bare: Secret) -> str | None:
    text = bare.reveal()
    if not text:
        return tr("there is no token in it")
    if _STATE.match(text):
        return tr("this is the state of a sandbox, the file of its --state, and not a token")
    if text.startswith("{"):
        return tr("this is a whole token answer, of which the access_token alone is the token")
    if MASK in text:
        return tr("this is a token's mask: what Python prints of a token has *** in place of it")
    if any(character.isspace() for character in text):
        return tr("there are spaces or line breaks in the token: was more than the token copied?")
    if text.startswith("def50200"):
        return tr("this is an authorization code or a refresh token, not an access token")
    if text.count(".") != 2:
        return tr("this is not a JWT, and EXBO's access tokens are: was it copied from somewhere else?")
    return None


def _part(text: str) -> dict[str, Any] | None:
    try:
        value = loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


@configured
def inspect(
    settings: Settings,
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="A file with a token, - for standard input.")
    ] = None,
    account: Account = None,
    as_json: AsJson = False,
) -> None:
    """Show what is written in a token, unverified.

    Claims and lifetimes, as the token states them. Without FILE it is the stored token of the application, or with
    --user that of a user.

      exbo-oauth inspect --user ivan
      exbo-oauth inspect token.txt

    From the clipboard, on macOS, on Linux and in PowerShell:

      pbpaste | exbo-oauth inspect -
      wl-paste | exbo-oauth inspect -
      Get-Clipboard | exbo-oauth inspect -
    """
    text, whose = _chosen(settings, file, account)
    reading = reading_of(text)
    if reading.problem is not None:
        raise Failure(f"{reading.problem[0].upper()}{reading.problem[1:]}")
    if as_json:
        say_json({"source": whose, "verified": False, "header": reading.header, "claims": reading.claims})
        return
    rows = _rows(reading)
    width = max(11, *(len(name) + 1 for name, _value in rows))
    for name, value in rows:
        say_wrapped(f"{name:<{width}}{value}", indent=width)
    say_wrapped(tr(WARNING), tell=say_aside)


def _chosen(settings: Settings, file: str | None, account: str | None) -> tuple[Secret, str]:
    if file is not None and account is not None:
        raise typer.BadParameter(tr("inspect either a FILE or the stored token of --user"))
    if file is not None:
        return read_secret(file), tr("standard input") if file == "-" else file
    with opened_store(settings, reads=True) as store:
        entry = held(settings, store, account)
    if entry is None:
        if account is None:
            raise Failure(tr("the store holds no token of the application"))
        raise Failure(tr("the store holds no token of {account!r}", account=account))
    whose = "the application" if account is None else repr(account)
    return Secret(entry.token.access_token), f"the stored token of {whose}"  # for scripts


def _rows(reading: Reading) -> list[tuple[str, str]]:
    claims = reading.claims
    rows = [
        (tr("client id"), reading.audience),
        (tr("user id"), claims.get("sub") or tr("none: the application's own token")),
        (tr("scopes"), " ".join(map(str, claims.get("scopes") or ())) or tr("none")),
        (tr("algorithm"), reading.header.get("alg")),
        (tr("token id"), claims.get("jti")),
        (tr("issued"), _when(reading, "iat")),
        (tr("not before"), _when(reading, "nbf")),
        (tr("expires"), _when(reading, "exp")),
    ]
    return [(name, str(value)) for name, value in rows if value is not None]


def _when(reading: Reading, claim: str) -> str | None:
    when = reading.moment(claim)
    if when is None:
        return None
    left = when - datetime.now(UTC)
    return f"{moment(when)} ({lifetime(left)})" if claim == "exp" else moment(when)
