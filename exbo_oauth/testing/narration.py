"""What happened, in words: the sentences of the timeline, of the sandbox's console and of a failed test's report.

Plain text in either language; whoever shows it on a page escapes it. No secret is known here.
"""

from collections.abc import Mapping

from attrs import frozen

from .journal import Event
from .redirects import difference
from .state import App, User
from .texts import TEXTS

__all__ = ["Narrator"]


@frozen
class Narrator:
    """Tells events in a language, "en" or "ru"; `users` and `apps` are those that they may name."""

    language: str
    users: Mapping[int, User]
    apps: Mapping[str, App]

    @property
    def _text(self) -> Mapping[str, str]:
        return TEXTS[self.language]

    def user(self, user_id: int | None) -> str:
        """The login, or the id of somebody who is gone."""
        user = None if user_id is None else self.users.get(user_id)
        return user.login if user else f"#{user_id}"

    def owner(self, client_id: str | None, user_id: int | None) -> str:
        """Whom a token belongs to, or who sent a request."""
        return self._named("owner", client_id, user_id)

    def _named(self, case: str, client_id: str | None, user_id: int | None) -> str:
        """The owner by itself, or in the `case` that sentences have it in: "of", as of whom something is."""
        if client_id is None:
            return self._text[f"{case}_unknown"]
        if user_id is None:
            return self._text[f"{case}_app"].format(app=client_id)
        return self._text[f"{case}_user"].format(app=client_id, user=self.user(user_id))

    def sentence(self, event: Event) -> str:
        """What happened."""
        return self._text[f"event_{self._kind(event)}"].format(
            token=event.token,
            by=event.by,
            status=event.status,
            grant=event.grant or "?",
            app=event.client_id or "",
            user=self.user(event.user_id),
            owner=self._named("of", event.client_id, event.user_id),
            reason=self._reason(event),
            uri=event.detail,
            difference=self._difference(event),
        )

    def listed(self, event: Event) -> tuple[str, ...]:
        """What stands beneath the sentence: the redirect URIs that would have done."""
        return self._registered(event) if event.kind == "unregistered" else ()

    def asker(self, event: Event) -> str:
        """Which program's request led to it, by its User-Agent; a test's own doing is said to be that."""
        by_hand = event.request is None and event.kind != "unreadable"
        return self._text["asker_by_hand"] if by_hand else event.asker

    def _kind(self, event: Event) -> str:
        if event.kind == "unregistered" and not event.detail:
            return "unnamed"
        if event.kind == "unregistered":
            return "unregistered_authorize" if event.grant == "authorize" else "unregistered_token"
        if event.detail == "earlier" and event.user_id is not None:
            return "earlier_user"
        if event.kind == "refused" and event.token is None:
            return event.detail if event.detail in ("earlier", "masked", "made_up") else "unknown"
        return event.kind

    def _reason(self, event: Event) -> str:
        known = self._text.get(f"reason_{event.detail}")
        if known is None:
            return self._text["quoted"].format(words=event.detail.rstrip("."))
        known_apps = ", ".join(self.apps)
        return known.format(by=event.by, token=event.token, app=event.client_id or "?", apps=known_apps)

    def _registered(self, event: Event) -> tuple[str, ...]:
        app = self.apps.get(event.client_id or "")
        return () if app is None else app.redirect_uris

    def _difference(self, event: Event) -> str:
        found = difference(event.detail, self._registered(event)) if event.kind == "unregistered" else None
        return "" if found is None else self._text[f"differs_{found.part}"].format(nearest=found.nearest)
