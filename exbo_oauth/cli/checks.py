"""What `exbo-oauth doctor` can see without asking anybody: settings, files, a pasted token.

Each check says what it found and, if that is trouble, one sentence of cure. The list follows what has gone wrong in
real projects.
"""

import os
import re
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from shlex import quote
from typing import Literal
from urllib.parse import urlsplit

from attrs import frozen

from ..errors import ConfigurationError, OAuthError
from ..masking import Secret
from ..protocol.addresses import checked_base_url, checked_redirect_uri, is_loopback
from ..stores.guard import guarded_keys
from .inspection import Reading, reading_of
from .session import accounts, opened_store
from .settings import Settings

__all__ = ["Finding", "Level", "of_token", "offline"]

Level = Literal["ok", "warning", "problem"]

_TOKEN_LIKE = re.compile(r"\s*(bearer\s|eyJ|def50200)", re.IGNORECASE)


@frozen
class Finding:
    """What a check found; `cure` is what to do about it."""

    check: str
    level: Level
    text: str
    cure: str = ""


def offline(settings: Settings) -> Iterator[Finding]:
    """Everything that needs no network."""
    yield from _credentials(settings)
    yield from _trust(settings)
    yield from _address(settings)
    yield from _redirect_uri(settings)
    yield from _store(settings)
    yield from _secret_files(settings)
    yield from _proxy(settings)


def _credentials(settings: Settings) -> Iterator[Finding]:
    client_id, secret = settings.text("client_id"), Secret(settings.text("client_secret"))
    problems = [*_client_id(client_id), *_client_secret(secret)]
    yield from problems
    if not problems:
        sources = {settings.source("client_id"), settings.source("client_secret")}
        yield Finding("credentials", "ok", f"client {client_id} and its secret, from {' and '.join(sorted(sources))}")


def _client_id(client_id: str) -> Iterator[Finding]:
    if not client_id:
        yield Finding("credentials", "problem", "there is no client id", "Set EXBO_CLIENT_ID to what the bot gave you.")
    elif _untidy(client_id):
        yield _untidiness("client id", "EXBO_CLIENT_ID")
    elif not client_id.isdecimal():
        cure = "EXBO's are plain numbers such as 59: check it."
        yield Finding("credentials", "warning", f"the client id is {client_id!r}", cure)


def _client_secret(secret: Secret) -> Iterator[Finding]:
    text = secret.reveal()
    if not text:
        cure = "Set EXBO_CLIENT_SECRET, or pass --client-secret-file FILE."
        yield Finding("credentials", "problem", "there is no client secret", cure)
    elif _TOKEN_LIKE.match(text):
        cure = "Use the secret that the bot gave you with the client id; tokens are fetched with it."
        yield Finding("credentials", "problem", "the client secret is a token, copied from the wrong place", cure)
    elif _untidy(text):
        yield _untidiness("client secret", "EXBO_CLIENT_SECRET")


def _untidy(text: str) -> bool:
    return any(character.isspace() or not character.isprintable() for character in text)


def _untidiness(what: str, variable: str) -> Finding:
    return Finding(
        "credentials",
        "problem",
        f"there is a space or a line break in the {what}",
        f"Copy it again without what stands around it, into {variable}.",
    )


def _trust(settings: Settings) -> Iterator[Finding]:
    problem = settings.misplaced("base_url", "store")
    if problem is not None:
        text, _, cure = problem.partition(". ")
        yield Finding("trust", "problem", text, f"{cure}.")


def _address(settings: Settings) -> Iterator[Finding]:
    url = settings.text("base_url")
    try:
        base_url = checked_base_url(url)
    except ConfigurationError as error:
        insecure = url.lower().startswith("http:")
        cure = "Use https: the secret would travel in the clear." if insecure else "EXBO's is https://exbo.net/oauth."
        yield Finding("server", "problem", str(error), cure)
        return
    host = urlsplit(base_url).hostname or ""
    if host.startswith(("dapi.", "demo.")):
        cure = "Use https://exbo.net/oauth; the demo's tokens are published by EXBO and need no credentials."
        yield Finding("server", "problem", f"{host} is a demo host: real credentials do not work there", cure)
    elif host.startswith("eapi."):
        cure = "The OAuth service is https://exbo.net/oauth; send only API calls to this host."
        yield Finding("server", "problem", f"{host} is the game API, not the OAuth service", cure)
    else:
        yield Finding("server", "ok", f"{base_url}, from {settings.source('base_url')}")


def _redirect_uri(settings: Settings) -> Iterator[Finding]:
    """What `login` would say: it is asked to listen, and stopped at once."""
    from ..login.endpoint import HOW_TO_REGISTER, endpoint_of
    from ..login.ports import bound

    uri = settings.text("redirect_uri")
    try:
        checked_redirect_uri(uri)
    except ConfigurationError as error:
        yield Finding("redirect URI", "problem", str(error), HOW_TO_REGISTER)
        return
    try:
        for listening in bound(endpoint_of(uri)):
            listening.close()
    except ConfigurationError as error:
        text = str(error).replace(HOW_TO_REGISTER, "").strip()
        yield Finding("redirect URI", "warning", text, HOW_TO_REGISTER)
        return
    yield Finding("redirect URI", "ok", f"{uri}: login can listen there; is it registered letter by letter?")


def _store(settings: Settings) -> Iterator[Finding]:
    if settings.misplaced("store") is not None:
        return
    try:
        with opened_store(settings) as store:
            count = len(accounts(settings, store)) if settings.text("client_id") else len(list(guarded_keys(store)))
            risks: list[str] = getattr(store, "risks", list)()
    except OAuthError as error:
        text, _, cure = str(error).partition(". Run: ")
        yield Finding(
            "store", "problem", text, f"Run: {cure}" if cure else "Mend it, or set EXBO_STORE to another one."
        )
        return
    yield Finding("store", "ok", f"it opens, {count} user{'s' * (count != 1)} signed in")
    for risk in risks:
        text, _, cure = risk.partition(": ")
        yield Finding("store", "warning", text, f"{cure[0].upper()}{cure[1:]}.")


def _secret_files(settings: Settings) -> Iterator[Finding]:
    for name in ("client_secret", "store_key"):
        path = settings.file(name)
        if path is not None and os.name == "posix" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            text = f"others can read the {name.replace('_', ' ')} in {path}"
            yield Finding("secrets", "warning", text, f"Run: chmod 600 {quote(str(path))}")


def _proxy(settings: Settings) -> Iterator[Finding]:
    from urllib.request import getproxies, proxy_bypass  # heavier than all the rest here

    parts = urlsplit(settings.text("base_url"))
    proxies, host = getproxies(), parts.hostname or ""
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy and not is_loopback(host) and not proxy_bypass(host):
        cure = f"If sign-ins or tokens fail, go around it: NO_PROXY={host}"
        yield Finding("proxy", "warning", f"requests go through the proxy {_without_password(proxy)}", cure)


def _without_password(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//", url)


def of_token(text: Secret, settings: Settings) -> Iterator[Finding]:
    """What is wrong with a pasted token."""
    if re.match(r"\s*bearer\s", text.reveal(), re.IGNORECASE):
        cure = "Keep the token alone: this package writes the Bearer, and twice is refused."
        yield Finding("token", "warning", '"Bearer " is part of what was copied', cure)
    reading = reading_of(text)
    if reading.problem is not None:
        cure = "Take the access_token of a token answer, or what exbo-oauth token prints."
        yield Finding("token", "problem", reading.problem, cure)
        return
    yield from _of_claims(reading, settings)


def _of_claims(reading: Reading, settings: Settings) -> Iterator[Finding]:
    now, expires, begins = datetime.now(UTC), reading.moment("exp"), reading.moment("nbf")
    client_id = settings.text("client_id")
    trouble = False
    if client_id and reading.audience not in (None, client_id):
        trouble = True
        cure = "A token of the docs page or of another program does not work with your credentials: exbo-oauth token"
        yield Finding("token", "problem", f"it belongs to client {reading.audience}, not to {client_id}", cure)
    if expires is not None and expires <= now:
        trouble = True
        yield Finding("token", "problem", "it has expired", "Get another one: exbo-oauth token")
    if begins is not None and begins > now + timedelta(minutes=1):
        trouble = True
        yield Finding("token", "problem", "it is not valid yet by this machine's clock", "Set the clock: it is slow.")
    if not trouble:
        yield Finding("token", "ok", "it looks like an access token of EXBO's that is still alive; not verified")
