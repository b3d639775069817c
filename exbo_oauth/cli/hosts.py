"""The hosts of EXBO's that are known: one table, each row with where it is known from.

Since the game was renamed (June 2026) it is not settled under which name the API stays, so every address can be
configured, and `exbo-oauth doctor --api` tries them all.
"""

from difflib import get_close_matches
from urllib.parse import urlsplit

from attrs import frozen

from ..language import mark, tr
from ..protocol.addresses import is_loopback, origin_of

__all__ = [
    "API_HOSTS",
    "DEMO_CLIENT_ID",
    "OAUTH_HOST",
    "ApiHost",
    "apis_of",
    "hostname_of",
    "in_place_of",
    "known_host",
    "sandbox_api",
    "sandbox_page",
    "similar_hosts",
]

OAUTH_HOST = "exbo.net"
DEMO_CLIENT_ID = "1"
"""Of the header pair that EXBO publishes for the demo."""

_TRIED = "/RU/emission"  # costs one point, and is the application's to ask for in every version of the API


@frozen
class ApiHost:
    """One place of the game API: `root` is where its addresses begin, `source` where it is known from.

    The demo has data and credentials of its own.
    """

    root: str
    source: str
    is_demo: bool = False

    @property
    def name(self) -> str:
        """The host's name, with the port if there is one."""
        return urlsplit(self.root).netloc

    @property
    def tried(self) -> str:
        """An address of it that only those who are known there may ask."""
        return f"{self.root}{_TRIED}"


API_HOSTS = (
    ApiHost("https://eapi.stalcraft.net", mark("EXBO's documentation of the API")),
    ApiHost("https://eapi.stalzone.com", mark("most projects that work since the renaming")),
    ApiHost("https://eapi.stalzone.net", mark("the README of github.com/EXBO-Studio/stalzone-api")),
    ApiHost("https://dapi.stalzone.com", mark("the overview in EXBO's documentation of the API"), is_demo=True),
    ApiHost("https://dapi.stalcraft.net", mark("the same overview before the renaming"), is_demo=True),
)


def apis_of(base_url: str, configured: str | None) -> list[ApiHost]:
    """Where the tokens of an OAuth service may be good: at the `configured` API, and at all that are known of it."""
    own = [] if configured is None else [ApiHost(configured.rstrip("/"), "EXBO_API_URL")]
    sandbox = sandbox_api(base_url)
    if sandbox is not None:
        return own or [ApiHost(sandbox, mark("the sandbox"))]
    known = API_HOSTS if urlsplit(base_url).hostname == OAUTH_HOST else ()
    return [*own, *(host for host in known if configured is None or host.name != own[0].name)]


def known_host(url: str) -> ApiHost | None:
    """The row of the table that a URL leads to, None if it leads elsewhere."""
    name = (hostname_of(url) or "").rstrip(".")
    return next((host for host in API_HOSTS if host.name == name), None)


def hostname_of(url: str) -> str | None:
    """The host that a URL names; None for what names none."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def in_place_of(name: str) -> str:
    """What to say of a host that looks like one of EXBO's and is none; nothing of others."""
    real = tr(" and ").join(host.name for host in API_HOSTS if not host.is_demo)
    said = tr("There is no {name} of EXBO's: the API is at {real}.", name=name, real=real)
    return said if similar_hosts(name) else ""


def similar_hosts(name: str) -> list[str]:
    """The known hosts that somebody who wrote `name` may have meant; none if it is one of them."""
    known = [OAUTH_HOST, *(host.name for host in API_HOSTS)]
    return [] if name in known or is_loopback(name) else get_close_matches(name, known, n=3, cutoff=0.6)


def sandbox_page(url: str) -> str | None:
    """Where a sandbox shows its settings, for one of its addresses; None for a server on another machine."""
    return f"{origin_of(url)}/" if is_loopback(hostname_of(url)) else None


def sandbox_api(base_url: str) -> str | None:
    """Where the API of a sandbox with this base URL is; None for a server on another machine."""
    return f"{origin_of(base_url)}/api" if is_loopback(urlsplit(base_url).hostname) else None
