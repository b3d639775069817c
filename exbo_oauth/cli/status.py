"""``status``: what the store holds, how each token came about, and who is renewing one."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from itertools import groupby
from typing import Annotated, Any, NoReturn

import typer
from attrs import frozen

from ..errors import StoreError
from ..models import UserToken
from ..stores.base import Entry, Issue, StoreKey, TokenStore
from ..stores.guard import guarded_keys, loaded
from .options import AsJson, configured
from .output import Failure, console, say, say_json, say_problem
from .session import absent_file, address_of, existing_store, key_of
from .settings import Settings
from .tokens import Reveal, described
from .wording import lifetime, moment

__all__ = ["status"]

_PAUSE = 1.0  # seconds between two looks
_WHY = {
    "first": "because there was none",
    "expired": "because the one before had ended",
    "asked": "because somebody asked for another one",
    "refused": "because the API refused the one before",
}


@frozen
class StoredToken:
    """One token in the store; `renewing` is who has the lease to replace it, if anybody has and the store can tell."""

    key: StoreKey
    entry: Entry
    renewing: str | None = None

    @property
    def account(self) -> str:
        """Whose it is, in a table."""
        return "(application)" if self.key.account is None else self.key.account

    @property
    def usable(self) -> bool:
        """Whether it serves: it lives, or a user's that has ended can be refreshed."""
        return isinstance(self.entry.token, UserToken) or not self.entry.token.is_expired()


@configured
def status(
    settings: Settings,
    everything: Annotated[bool, typer.Option("--all", help="Every application and server in the store.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on, and tell of every change, until Ctrl-C.")] = False,
    reveal: Reveal = False,
    as_json: AsJson = False,
) -> None:
    """Show what the store holds.

    Of each token the lifetime left, who got it, when and why, and who is renewing it. Nothing is sent, nothing is
    written, and no secret is needed. Exit code 1 if there is no token that can be used. With --watch and --json each
    change is one JSON document a line.

      exbo-oauth status
      exbo-oauth status --all --json
      exbo-oauth status --watch
    """
    chosen = None if everything or not settings.text("client_id") else settings
    if watch:
        _watch(settings, chosen, as_json=as_json)
    address = address_of(settings)
    held: list[StoredToken] = []
    problems: list[StoreError] = []
    if absent_file(address) is None:
        with existing_store(address) as store:
            held = list(_held(store, chosen, problems.append))
    _show(held, everything=chosen is None, reveal=reveal, as_json=as_json)
    if problems:
        raise Failure(str(problems[0]))
    raise typer.Exit(0 if any(each.usable for each in held) else 1)


def _held(store: TokenStore, chosen: Settings | None, note: Callable[[StoreError], object]) -> Iterator[StoredToken]:
    """What `store` has, of the application of `chosen` or of all. `note` hears of what cannot be read."""
    found = sorted(guarded_keys(store), key=lambda key: (key.base_url, key.client_id, key.account or ""))
    holder: Callable[[StoreKey], str | None] = getattr(store, "holder", lambda _key: None)
    for key in found:
        if chosen is None or key == key_of(chosen, key.account):
            try:
                entry = loaded(store, key)
                if entry is not None:
                    yield StoredToken(key, entry, holder(key))
            except StoreError as error:
                note(error)


def _show(held: list[StoredToken], *, everything: bool, reveal: bool, as_json: bool) -> None:
    if as_json:
        say_json([_as_dict(each, reveal=reveal) for each in held])
    elif held:
        _draw(held, reveal=reveal)
    else:
        say("The store holds no token." if everything else "The store holds no token of this application.")


def _as_dict(held: StoredToken, *, reveal: bool) -> dict[str, Any]:
    entry = held.entry
    facts: dict[str, Any] = {
        "base_url": held.key.base_url,
        "client_id": held.key.client_id,
        **described(entry.token, held.key.account, reveal=reveal),
        "issued_by": entry.issued_by,
        "issued_at": entry.issued_at.isoformat(),
        "recently_superseded": len(entry.superseded),
    }
    notes = {
        "history": [_issue_as_dict(issue) for issue in entry.history],
        "accepted_at": entry.accepted_at and entry.accepted_at.isoformat(),
        "doubted": [{"host": host, "at": at.isoformat()} for host, at in entry.doubted],
        "renewing": held.renewing,
    }
    return facts | {name: note for name, note in notes.items() if note}


def _issue_as_dict(issue: Issue) -> dict[str, Any]:
    said = {"why": issue.why, "fingerprint": issue.fingerprint, "refused_at": issue.target}
    return {"at": issue.at.isoformat(), "by": issue.by, **{name: word for name, word in said.items() if word}}


def _draw(held: list[StoredToken], *, reveal: bool) -> None:
    for (base_url, client_id), group in groupby(held, key=lambda each: (each.key.base_url, each.key.client_id)):
        say(f"client {client_id} at {base_url}")
        _draw_application(list(group), reveal=reveal)


def _draw_application(held: list[StoredToken], *, reveal: bool) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    for title in ("account", "lifetime left", "issued", "by"):
        table.add_column(title, overflow="fold")
    for each in held:
        left = lifetime(each.entry.token.expires_after(datetime.now(UTC)))
        table.add_row(*map(escape, (each.account, left, moment(each.entry.issued_at), each.entry.issued_by)))
    console().print(table)
    for each in held:
        for line in _story(each):
            say(f"{each.account}: {line}")
    for each in held if reveal else ():
        say(f"{each.account}: {each.entry.token.access_token}")
        if isinstance(each.entry.token, UserToken):
            say(f"{each.account}, refresh token: {each.entry.token.refresh_token}")


def _story(held: StoredToken) -> Iterator[str]:
    """How the token came about, if it is not the first; what is remembered of it; and who is renewing it."""
    latest, *earlier = reversed(held.entry.history) if held.entry.history else (None,)
    if latest is not None and (earlier or latest.why not in ("", "first")):
        before = f"; before that {_in_words(earlier[0])}" if earlier else ""
        yield f"{_in_words(latest)}{before}"
    for host, at in held.entry.doubted:
        yield f"{host} refused it while it was good, at {moment(at)}"
    if held.renewing is not None:
        yield f"{held.renewing} is renewing it"


def _in_words(issue: Issue) -> str:
    why = _WHY.get(issue.why, "")
    who = "" if issue.why != "refused" or not issue.target else f" ({issue.target})"
    return f"got by {issue.by} at {moment(issue.at)}{why and f', {why}{who}'}"


def _watch(settings: Settings, chosen: Settings | None, *, as_json: bool) -> NoReturn:
    """Tell of every change in the store for as long as nobody presses Ctrl-C."""
    address = address_of(settings)
    while absent_file(address) is not None:
        time.sleep(_PAUSE)
    known, said = dict[StoreKey, StoredToken](), ""
    with closing(address.opened()) as store:
        while True:
            problems: list[StoreError] = []
            try:
                seen = {held.key: held for held in _held(store, chosen, problems.append)}
            except StoreError as error:
                problems, seen = [error], known
            for change, held in _changes(known, seen):
                _tell(change, held, as_json=as_json)
            known = seen
            problem = str(problems[0]) if problems else ""
            if problem and problem != said:
                say_problem(problem)
            said = problem
            time.sleep(_PAUSE)


def _changes(
    known: Mapping[StoreKey, StoredToken], seen: Mapping[StoreKey, StoredToken]
) -> Iterator[tuple[str, StoredToken]]:
    """What is another than it was: tokens that are new or gone, and renewals that began."""
    for key, held in seen.items():
        before = known.get(key)
        if before is None or before.entry.revision != held.entry.revision:
            yield "token", held
        if held.renewing is not None and (before is None or before.renewing != held.renewing):
            yield "renewing", held
    for key, held in known.items():
        if key not in seen:
            yield "gone", held


def _tell(change: str, held: StoredToken, *, as_json: bool) -> None:
    if as_json:
        say(json.dumps({"change": change, **_as_dict(held, reveal=False)}))
        return
    entry = held.entry
    latest = entry.history[-1] if entry.history else Issue(at=entry.issued_at, by=entry.issued_by)
    words = {"token": _in_words(latest), "renewing": f"{held.renewing} is renewing it", "gone": "forgotten"}
    say(f"{moment(datetime.now(UTC))}  {held.account}: {words[change]}")
