"""The sandbox's front page and what it fetches: settings, the timeline as a fragment, style sheet, script, icon."""

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from itertools import islice
from urllib.parse import parse_qs, urlsplit

from attrs import define

from ..protocol.messages import Request, Response
from .connecting import api_url_of, assignments, dotenv_lines, environment_of
from .forms import query_of
from .front import Facts, front_page
from .issuing import Issuer
from .laravel import framework_error, html_answer
from .state import App
from .texts import language_of
from .timeline import Story, timeline

__all__ = ["ASSETS", "Live"]

_SHOWN, _APPS, _USERS = 60, 12, 24

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
    """Shows what the journal knows and how to connect; changes nothing. `base_url` is where the server is served."""

    issuer: Issuer
    base_url: Callable[[], str]

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
        language, story = language_of(request), self.story()
        apps = islice(self.issuer.registry.apps.values(), _APPS)
        page = front_page(apps, self._facts(), timeline(story, language), story.version, language)
        return html_answer(page.html, headers=page.headers)

    def _facts(self) -> Facts:
        issuer, base_url = self.issuer, self.base_url()
        return Facts(
            base_url=base_url,
            api_url=api_url_of(base_url),
            server=issuer.dialect.name,
            ends=issuer.settings.invalidate or "none",
            logins=tuple(user.login for user in islice(issuer.registry.users.values(), _USERS)),
        )

    def settings(self, request: Request) -> Response:
        """``GET /sandbox/settings``: the lines of the console with the secret in them, or those of a ``.env`` file.

        ``client_id`` says of which application, ``form=dotenv`` chooses the file. Websites cannot read the answer.
        """
        query = query_of(request.url)
        client_id = query.get("client_id")
        app = self._first() if client_id is None else self.issuer.registry.apps.get(str(client_id))
        if app is None:
            return framework_error(request, 404)
        lines = dotenv_lines if query.get("form") == "dotenv" else assignments
        headers = {
            "content-type": "text/plain; charset=utf-8",
            "cache-control": "no-store, private",
            "cross-origin-resource-policy": "same-origin",
            "x-content-type-options": "nosniff",
        }
        return Response(
            200, headers, "".join(f"{line}\n" for line in lines(environment_of(app, self.base_url()))).encode()
        )

    def _first(self) -> App:
        return next(iter(self.issuer.registry.apps.values()))

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
