"""The sandbox's front page and what it fetches: the timeline as a fragment, the style sheet, the script, the icon."""

from functools import cache
from importlib.resources import files
from urllib.parse import parse_qs, urlsplit

from attrs import define

from ..protocol.messages import Request, Response
from .issuing import Issuer
from .laravel import html_answer, origin_of
from .pages import live_page
from .texts import language_of
from .timeline import Story, timeline

__all__ = ["ASSETS", "Live"]

_SHOWN = 60

ASSETS = {
    "icon.svg": "image/svg+xml",
    "live.js": "text/javascript; charset=utf-8",
    "sandbox.css": "text/css; charset=utf-8",
}


@cache
def _content(name: str) -> bytes:
    return (files(__package__) / "assets" / name).read_bytes()


@define
class Live:
    """Shows what the journal knows; changes nothing."""

    issuer: Issuer

    def story(self) -> Story:
        """The newest events and who takes part in them."""
        issuer = self.issuer
        events = tuple(issuer.journal.events)[-_SHOWN:]
        tokens = {event.token: issuer.vault.numbered(event.token) for event in events if event.token is not None}
        return Story(
            events=events,
            tokens={number: token for number, token in tokens.items() if token is not None},
            users=issuer.registry.users,
            apps=issuer.registry.apps,
            now=issuer.clock.now(),
        )

    def page(self, request: Request) -> Response:
        """``GET /``."""
        language, story, issuer = language_of(request), self.story(), self.issuer
        origin = origin_of(request)
        facts = {
            "base_url": f"{origin}/oauth",
            "api_url": f"{origin}/api",
            "server": issuer.dialect.name,
            "ends": issuer.settings.invalidate or "none",
        }
        app = next(iter(issuer.registry.apps.values()))
        page = live_page(app, timeline(story, language), story.version, facts, language)
        return html_answer(page.html, headers=page.headers)

    def fragment(self, request: Request) -> Response:
        """``GET /sandbox/timeline?seen=…``: the timeline anew, or 204 if that version is the newest."""
        story = self.story()
        if parse_qs(urlsplit(request.url).query).get("seen") == [story.version]:
            return Response(204, {"cache-control": "no-store, private"})
        headers = {"x-version": story.version, "vary": "Accept-Language", "cache-control": "no-store, private"}
        return html_answer(timeline(story, language_of(request)), headers=headers)

    @staticmethod
    def asset(name: str, _request: Request) -> Response:
        """A file of the pages."""
        headers = {"content-type": ASSETS[name], "cache-control": "no-cache", "x-content-type-options": "nosniff"}
        return Response(200, headers, _content(name))
