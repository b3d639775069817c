"""What ``exbo-oauth sandbox`` says: how to connect, and then every request with what there is to know about it.

For scripts both are JSON, a document a line. What strangers send is shown without its control characters.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path
from shlex import quote
from typing import Any

from attrs import define, field

from ..language import spoken, tr
from ..testing import App, Event, FakeExbo, Received
from ..testing.connecting import assignments, environment_of, first_steps
from ..testing.narration import Narrator
from ..testing.texts import TEXTS
from .output import say, shown
from .program import as_typed

__all__ = ["Console", "JsonConsole", "TextConsole"]

# What a status does not say by itself.
_WORTH_TELLING = ("superseded", "refused", "declined", "unregistered", "unreadable", "joined")
_INDENT = " " * 14


@define
class Console:
    """Tells what has happened since it was last asked to."""

    fake: FakeExbo
    _requests: int = 0
    _events: int = field(init=False)  # what an earlier run did is not told again

    def __attrs_post_init__(self) -> None:
        self._events = max((event.number for event in self.fake.events), default=0)

    def introduce(self, env_file: Path | None) -> None:
        """Say how to connect; with `env_file` the settings are in there."""
        raise NotImplementedError

    def tell(self) -> None:
        """Say what is new."""
        # The requests first: what these led to is noted by then. What came of newer ones waits until they are told of.
        done = [one for one in self.fake.requests if one.number > self._requests]
        self._requests = max((one.number for one in done), default=self._requests)
        newer = (event for event in self.fake.events if event.number > self._events)
        told = list(takewhile(lambda event: (event.request or 0) <= self._requests, newer))
        for received in done:
            self.tell_request(received, [event for event in told if event.request == received.number])
        for event in told:
            self._events = event.number
            if event.request is None:
                self.tell_event(event)

    def tell_request(self, received: Received, events: list[Event]) -> None:
        """Say what was asked and answered, and what that led to."""
        raise NotImplementedError

    def tell_event(self, event: Event) -> None:
        """Say what happened without a request."""
        raise NotImplementedError

    def sentences(self, events: Iterable[Event]) -> Iterator[str]:
        """What is worth telling of them, a line each."""
        language = spoken() if spoken() in TEXTS else "en"
        narrator = Narrator(language, _by_id(self.fake), {app.client_id: app for app in self.fake.apps})
        for event in events:
            known = (
                event.kind != "refused" or event.token is not None or event.detail in ("earlier", "masked", "made_up")
            )
            if event.kind in _WORTH_TELLING and known:
                yield shown(narrator.sentence(event))
                yield from (f"  {shown(text)}" for text in narrator.listed(event))


def _by_id(fake: FakeExbo) -> dict[int, Any]:
    return {user.id: user for user in fake.users}


class TextConsole(Console):
    """For people."""

    def introduce(self, env_file: Path | None) -> None:
        fake, origin = self.fake, self.fake.base_url.removesuffix("/oauth")
        logins = ", ".join(user.login for user in fake.users)
        say(tr("EXBO's sandbox is at {url}, its users are {logins}. Ctrl-C ends it.", url=fake.base_url, logins=logins))
        say(tr("Watch its tokens at {origin}/", origin=origin))
        say("")
        first, *others = fake.apps
        flags = "" if env_file is None else _finding(env_file)
        steps = first_steps(fake.base_url, flags, as_typed())
        if env_file is None:
            say(tr("In another terminal:"))
            self._block(*assignments(environment_of(first, fake.base_url)), *steps)
        else:
            say(tr("In another terminal:") if env_file.is_absolute() else tr("In another terminal, in this directory:"))
            self._block(*steps)
        for app in others:
            say(tr("For the application {name}:", name=app.name))
            self._block(*assignments(_credentials(app, fake.base_url)))

    @staticmethod
    def _block(*lines: str) -> None:
        say("")
        for line in lines:
            say(f"  {line}")
        say("")

    def tell_request(self, received: Received, events: list[Event]) -> None:
        when = f"{received.received_at:%H:%M:%S} UTC"  # as status, doctor and inspect say it: these are compared
        outcome = tr("lost") if received.lost else received.status
        grant = f" ({received.grant})" if received.grant else ""
        say(shown(f"{when}  {outcome}  {received.method} {received.path}{grant}"))
        for line in self.sentences(events):
            say(f"{_INDENT}{line}")

    def tell_event(self, event: Event) -> None:
        for line in self.sentences([event]):
            say(f"{_INDENT}{line}")


def _finding(env_file: Path) -> str:
    """The flag with which commands find the settings; they look for ``.env`` by themselves."""
    return "" if env_file == Path(".env") else f" --env-file {quote(str(env_file))}"


def _credentials(app: App, base_url: str) -> dict[str, str]:
    """What differs from application to application."""
    wanted = ("EXBO_CLIENT_ID", "EXBO_CLIENT_SECRET")
    return {name: value for name, value in environment_of(app, base_url).items() if name in wanted}


class JsonConsole(Console):
    """For scripts."""

    def introduce(self, env_file: Path | None) -> None:
        fake, origin = self.fake, self.fake.base_url.removesuffix("/oauth")
        facts = {
            "settings": environment_of(fake.app, fake.base_url),
            "applications": [environment_of(app, fake.base_url) | {"name": app.name} for app in fake.apps],
            "users": [user.login for user in fake.users],
            "api": fake.api_url,
            "page": f"{origin}/",
        }
        say(json.dumps(facts))

    def tell_request(self, received: Received, events: list[Event]) -> None:
        facts = {
            "at": received.received_at.isoformat(),
            "method": received.method,
            "path": received.path,
            "grant": received.grant,
            "client_id": received.client_id,
            "status": received.status,
            "lost": received.lost,
            "told": list(self.sentences(events)),
        }
        say(json.dumps(facts))

    def tell_event(self, event: Event) -> None:
        if told := list(self.sentences([event])):
            say(json.dumps({"told": told}))
