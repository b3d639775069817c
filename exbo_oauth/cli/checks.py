"""What `exbo-oauth doctor` can see in the settings, without asking anybody.

Each check says what it found and, if that is trouble, one sentence of cure. The list follows what has gone wrong in
real projects.
"""

import os
import re
import stat
from collections.abc import Iterator
from difflib import get_close_matches
from shlex import quote
from urllib.parse import SplitResult, urlsplit

from ..environment import API_VARIABLE
from ..errors import ConfigurationError
from ..language import LANGUAGE_VARIABLE, tr
from ..masking import Secret
from ..protocol.addresses import checked_base_url, checked_redirect_uri, is_loopback
from ..protocol.advice import BOT
from .files import holds_token, looks_secret
from .findings import Finding
from .hosts import OAUTH_HOST, hostname_of, in_place_of, known_host, sandbox_page, similar_hosts
from .settings import DOTENV, ENVIRONMENT, WORDS, Settings
from .stored import store_findings

__all__ = ["offline"]

_TOKEN_LIKE = re.compile(r"\s*(bearer\s|eyJ|def50200)", re.IGNORECASE)

# Hosts that lead to this machine for as long as a tunnel is open.
_TUNNELS = ("ngrok.io", "ngrok.app", "ngrok-free.app", "ngrok.dev", "ngrok-free.dev", "trycloudflare.com", "loca.lt")


def offline(settings: Settings) -> Iterator[Finding]:
    """Everything that needs no network, but for what a store on a server needs."""
    yield from _variables()
    yield from _credentials(settings)
    yield from _trust(settings)
    yield from _address(settings)
    yield from _api_address(settings)
    yield from _redirect_uri(settings)
    yield from store_findings(settings)
    yield from _secret_files(settings)
    yield from _proxy(settings)


def _variables() -> Iterator[Finding]:
    known = [*ENVIRONMENT.values(), API_VARIABLE, LANGUAGE_VARIABLE]
    for name in sorted(os.environ):
        if name.startswith("EXBO") and name not in known:
            meant = [match for match in get_close_matches(name, known, n=1, cutoff=0.8) if not os.environ.get(match)]
            if meant:
                yield Finding(
                    "settings",
                    "warning",
                    tr("{name} means nothing", name=name),
                    tr("Did you mean {name}?", name=meant[0]),
                )


def _credentials(settings: Settings) -> Iterator[Finding]:
    client_id, secret = settings.text("client_id"), Secret(settings.text("client_secret"))
    problems = [*_client_id(client_id), *_client_secret(secret)]
    yield from problems
    if not problems:
        sources = tr(" and ").join(sorted({settings.source("client_id"), settings.source("client_secret")}))
        text = tr("client {client_id} and its secret, from {sources}", client_id=client_id, sources=sources)
        yield Finding("credentials", "ok", text)


def _client_id(client_id: str) -> Iterator[Finding]:
    if not client_id:
        cure = tr(
            "Set EXBO_CLIENT_ID to what EXBO's bot in Telegram, {bot}, gave you (/newapp registers an application).",
            bot=BOT,
        )
        cure = tr("{cure} Of .env files only {path} is read here.", cure=cure, path=DOTENV.absolute())
        cure = tr("{cure} No application yet? Start with: exbo-oauth sandbox", cure=cure)
        yield Finding("credentials", "problem", tr("there is no client id"), cure)
    elif _untidy(client_id):
        yield _untidiness("client_id")
    elif looks_secret(client_id) or holds_token(client_id):
        cure = tr("EXBO's are plain numbers such as 59. Were id and secret put into each other's place?")
        yield Finding("credentials", "warning", tr("the client id looks like a secret"), cure)
    elif not client_id.isdecimal():
        cure = tr("EXBO's are plain numbers such as 59: check it.")
        yield Finding("credentials", "warning", tr("the client id is {client_id!r}", client_id=client_id), cure)


def _client_secret(secret: Secret) -> Iterator[Finding]:
    text = secret.reveal()
    if not text:
        cure = tr("Set EXBO_CLIENT_SECRET, or pass --client-secret-file FILE.")
        yield Finding("credentials", "problem", tr("there is no client secret"), cure)
    elif _TOKEN_LIKE.match(text):
        cure = tr("Use the secret that {bot} gave you with the client id; tokens are fetched with it.", bot=BOT)
        yield Finding("credentials", "problem", tr("the client secret is a token, copied from the wrong place"), cure)
    elif _untidy(text):
        yield _untidiness("client_secret")


def _untidy(text: str) -> bool:
    return any(character.isspace() or not character.isprintable() for character in text)


def _untidiness(name: str) -> Finding:
    return Finding(
        "credentials",
        "problem",
        tr("there is a space or a line break in the {words}", words=tr(WORDS[name])),
        tr("Copy it again without what stands around it, into {variable}.", variable=ENVIRONMENT[name]),
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
        cure = (
            tr("Use https: the secret would travel in the clear.")
            if insecure
            else tr("EXBO's is https://exbo.net/oauth.")
        )
        yield Finding("server", "problem", str(error), cure, error)
        return
    host, api = urlsplit(base_url).hostname or "", known_host(base_url)
    if host.startswith(("dapi.", "demo.")):
        text = tr("{host} is a demo host: real credentials do not work there", host=host)
        cure = tr("Use https://exbo.net/oauth; the demo's tokens are published by EXBO and need no credentials.")
        yield Finding("server", "problem", text, cure)
    elif host.startswith("eapi.") or api is not None:
        cure = tr("The OAuth service is https://exbo.net/oauth; send only API calls to this host.")
        yield Finding("server", "problem", tr("{host} is the game API, not the OAuth service", host=host), cure)
    elif similar := similar_hosts(host):
        known = OAUTH_HOST if OAUTH_HOST in similar else similar[0]
        text = tr("{host} is not a host of EXBO's, and looks like {known}", host=host, known=known)
        cure = tr("EXBO's OAuth service is https://exbo.net/oauth: is it a slip?")
        yield Finding("server", "warning", text, cure)
    else:
        source = settings.source("base_url")
        yield Finding("server", "ok", tr("{url}, from {source}", url=base_url, source=source))


def _api_address(settings: Settings) -> Iterator[Finding]:
    """Where the recipes, and many programs like them, look for the API."""
    url = settings.api_url
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = SplitResult("", "", "", "", "")
    host = parts.hostname or ""
    if similar_hosts(host):
        yield Finding("API", "warning", tr("EXBO_API_URL is {url}", url=url), in_place_of(host))
    elif url and parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        cure = tr("Call the API over https only, as in https://eapi.stalcraft.net.")
        yield Finding("API", "problem", tr("EXBO_API_URL is {url}", url=url), cure)
    elif _mixed(settings.text("base_url"), url):
        text = tr(
            "EXBO_API_URL is {url}, and tokens come from {base_url}: one of them is a sandbox",
            url=url,
            base_url=settings.text("base_url"),
        )
        cure = tr("Let EXBO_API_URL and EXBO_OAUTH_URL lead to the same, or unset both.")
        yield Finding("API", "warning", text, cure)


def _mixed(base_url: str, api_url: str) -> bool:
    """Whether one of the two addresses is EXBO's and the other on this machine."""
    real = known_host(api_url) is not None
    return real if is_loopback(hostname_of(base_url)) else is_loopback(hostname_of(api_url)) and OAUTH_HOST in base_url


def _redirect_uri(settings: Settings) -> Iterator[Finding]:
    """What `login` would say: it is asked to listen, and stopped at once."""
    from ..login.endpoint import HOW_TO_REGISTER, endpoint_of
    from ..login.ports import bound

    uri, page = settings.text("redirect_uri"), sandbox_page(settings.text("base_url"))
    try:
        checked_redirect_uri(uri)
    except ConfigurationError as error:
        yield Finding("redirect URI", "problem", str(error), _how_to_register(page), error)
        return
    host = urlsplit(uri).hostname or ""
    if host.endswith(_TUNNELS):
        text = tr("{host} is a tunnel, and has another name each time: EXBO may know an older one", host=host)
        cure = tr(
            "Register it anew each time (/myapps in {bot} takes up to ten), or use http://localhost:8080/callback.",
            bot=BOT,
        )
        yield Finding("redirect URI", "warning", text, cure)
        return
    try:
        for listening in bound(endpoint_of(uri)):
            listening.close()
    except ConfigurationError as error:
        yield _not_to_be_listened_at(settings, error, " ".join(str(error).replace(HOW_TO_REGISTER, "").split()), page)
        return
    if page is not None:
        text = tr(
            "{uri}: login can listen there. Where the sandbox knows another one, it says so in its terminal", uri=uri
        )
        yield Finding("redirect URI", "ok", text)
        return
    yield Finding(
        "redirect URI",
        "ok",
        tr(
            "{uri}: login can listen there. If EXBO's page does not come back, it is not registered letter by letter: "
            "compare scheme, host, port, path and the slash at the end with /myapps in {bot}",
            uri=uri,
            bot=BOT,
        ),
    )


def _not_to_be_listened_at(settings: Settings, error: ConfigurationError, text: str, page: str | None) -> Finding:
    if "redirect_uri" not in settings.found:
        return Finding("redirect URI", "ok", tr("none is set, and only a program that signs users in needs one"))
    if error.code == "exbo-oauth.configuration.port-taken":
        uri = settings.text("redirect_uri")
        text = tr("another program has the port of {uri}, and login cannot listen there meanwhile", uri=uri)
        cure = tr("If that is your own bot or site, it is as it should be; else end that program.")
        return Finding("redirect URI", "warning", text, cure)
    return Finding("redirect URI", "warning", text, _how_to_register(page), error)


def _how_to_register(page: str | None) -> str:
    from ..login.endpoint import HOW_TO_REGISTER_AT

    if page is not None:
        return tr(
            "Take one of those on the sandbox's page, {page}, or register one: exbo-oauth sandbox --redirect-uri URI",
            page=page,
        )
    return tr(HOW_TO_REGISTER_AT, bot=BOT)


def _secret_files(settings: Settings) -> Iterator[Finding]:
    for name in ("client_secret", "store_key"):
        path = settings.file(name)
        if path is not None and os.name == "posix" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            text = tr("others can read the {words} in {path}", words=tr(WORDS[name]), path=path)
            yield Finding("secrets", "warning", text, tr("Run: chmod 600 {path}", path=quote(str(path))))


def _proxy(settings: Settings) -> Iterator[Finding]:
    from urllib.request import getproxies, proxy_bypass  # heavier than all the rest here

    parts = urlsplit(settings.text("base_url"))
    proxies, host = getproxies(), parts.hostname or ""
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy and not is_loopback(host) and not proxy_bypass(host):
        text = tr("requests go through the proxy {url}", url=_without_password(proxy))
        cure = tr("If sign-ins or tokens fail, go around it: NO_PROXY={host}", host=host)
        yield Finding("proxy", "warning", text, cure)


def _without_password(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//", url)
