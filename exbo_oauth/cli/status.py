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
from ..flow.holders import Holder, holder_of
from ..flow.refusals import end_of_conflict, is_conflict, supersessions
from ..language import mark, tr, trn
from ..models import UserToken
from ..stores.base import Entry, Issue, StoreKey, TokenStore
from ..stores.guard import guarded_keys, holder, loaded, token_keys
from .options import AsJson, configured
from .output import ROOMY, console, say, say_error, say_json, say_wrapped, shown
from .owners import shared_accounts
from .session import absent_file, address_of, existing_store, key_of, place_of
from .settings import Settings
from .tokens import Reveal, described
from .wording import lifetime, moment, process

__all__ = ["status"]

_PAUSE = 1.0  # seconds between two looks
_WHY = {
    "first": mark("because there was none"),
    "sign-in": mark("because the user signed in"),
    "expired": mark("because the one before had ended"),
    "asked": mark("because somebody asked for another one"),
    "refused": mark("because the API refused the one before"),
}


@frozen
class StoredToken:
    """What the store has of one account: its token, if there is one, and who has the lease to get another."""

    key: StoreKey
    entry: Entry | None
    lease: str | None = None

    @property
    def account(self) -> str:
        """Whose it is, in a table."""
        return tr("(application)") if self.key.account is None else shown(self.key.account)

    @property
    def usable(self) -> bool:
        """Whether it serves: it lives, or a user's that has ended can be refreshed."""
        if self.entry is None:
            return False
        return isinstance(self.entry.token, UserToken) or not self.entry.token.is_expired()


@configured
def status(
    settings: Settings,
    everything: Annotated[bool, typer.Option("--all", help="Every application and server in the store.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep watching and report every change, until Ctrl-C.")
    ] = False,
    reveal: Reveal = False,
    as_json: AsJson = False,
) -> None:
    """Show what the store holds.

    For each token: how long it still lives, who got it, when and why, and who is renewing it. Nothing is sent, nothing
    is written, and no secret is needed. Exit code 1 if there is no token that can be used. With --watch and --json each
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
    if not as_json:
        say_wrapped(tr("store: {place}", place=place_of(address)), indent=4)
    _show(held, everything=chosen is None, reveal=reveal, as_json=as_json, whole=not problems)
    if problems:
        raise problems[0]
    raise typer.Exit(0 if any(each.usable for each in held) else 1)


def _held(store: TokenStore, chosen: Settings | None, note: Callable[[StoreError], object]) -> Iterator[StoredToken]:
    """What `store` has, of the application of `chosen` or of all. `note` hears of what cannot be read."""
    found = set(token_keys(store)) if chosen is None else {key_of(chosen, None), *_keys(store, chosen)}
    for key in sorted(found, key=lambda key: (key.base_url, key.client_id, key.account or "")):
        try:
            held = StoredToken(key, loaded(store, key), holder(store, key))
        except StoreError as error:
            note(error)
        else:
            if held.entry is not None or held.lease is not None:
                yield held


def _keys(store: TokenStore, chosen: Settings) -> Iterator[StoreKey]:
    return (key for key in guarded_keys(store) if key == key_of(chosen, key.account))


def _show(held: list[StoredToken], *, everything: bool, reveal: bool, as_json: bool, whole: bool) -> None:
    """Tell of the tokens; `whole` if these are all that the store has, as far as anybody can read it."""
    if as_json:
        say_json([_as_dict(each, reveal=reveal) for each in held])
        return
    if whole and not any(each.entry for each in held):
        none = tr("The store holds no token.") if everything else tr("The store holds no token of this application.")
        say_wrapped(none)
    _draw(held, reveal=reveal)


def _as_dict(held: StoredToken, *, reveal: bool) -> dict[str, Any]:
    whose = {"base_url": held.key.base_url, "client_id": held.key.client_id, "account": held.key.account}
    lease = {} if held.lease is None else _lease_as_dict(holder_of(held.lease))
    return whose | ({} if held.entry is None else _entry_as_dict(held.key, held.entry, reveal=reveal)) | lease


def _lease_as_dict(holder: Holder) -> dict[str, str]:
    return {"lease": holder.name} | ({} if holder.since is None else {"lease_since": holder.since.isoformat()})


def _entry_as_dict(key: StoreKey, entry: Entry, *, reveal: bool) -> dict[str, Any]:
    facts: dict[str, Any] = {
        **described(entry.token, key.account, reveal=reveal),
        "issued_by": entry.issued_by,
        "issued_at": entry.issued_at.isoformat(),
        "recently_superseded": len(supersessions(entry, datetime.now(UTC), counting=False)),
    }
    notes = {
        "history": [_issue_as_dict(issue) for issue in entry.history],
        "accepted_at": entry.accepted_at and entry.accepted_at.isoformat(),
        "doubted": [{"host": host, "at": at.isoformat()} for host, at in entry.doubted],
        "followed": entry.followed and _issue_as_dict(entry.followed),
    }
    return facts | {name: note for name, note in notes.items() if note}


def _issue_as_dict(issue: Issue) -> dict[str, Any]:
    said = {"why": issue.why, "fingerprint": issue.fingerprint, "refused_at": issue.target}
    return {"at": issue.at.isoformat(), "by": issue.by, **{name: word for name, word in said.items() if word}}


def _draw(held: list[StoredToken], *, reveal: bool) -> None:
    for (base_url, client_id), group in groupby(held, key=lambda each: (each.key.base_url, each.key.client_id)):
        say_wrapped(tr("client {client_id} at {base_url}", client_id=client_id, base_url=base_url))
        _draw_application(list(group), reveal=reveal)


def _draw_application(held: list[StoredToken], *, reveal: bool) -> None:
    kept = [(each.account, each.entry) for each in held if each.entry is not None]
    _draw_table(
        [tr("account"), tr("lifetime left"), tr("issued"), tr("host:process")],
        [
            (account, lifetime(entry.token.expires_after(datetime.now(UTC))), moment(entry.issued_at), entry.issued_by)
            for account, entry in kept
        ],
    )
    for each in held:
        for line in _story(each):
            say_wrapped(f"{each.account}: {line}", indent=4)
    for line in shared_accounts(kept):
        say_wrapped(line, indent=4)
    for account, entry in kept if reveal else ():
        say(f"{account}: {entry.token.access_token}")
        if isinstance(entry.token, UserToken):
            refresh = entry.token.refresh_token
            say(tr("{account}, refresh token: {token}", account=account, token=refresh))


def _draw_table(titles: list[str], rows: list[tuple[str, ...]]) -> None:
    """A table, or a list where a table would have to break names and ids."""
    from rich.markup import escape
    from rich.table import Table

    screen = console()
    table = Table(padding=(0, 1 if screen.width >= ROOMY else 0))  # a date fits into a narrow one as it is
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    if rows and table.__rich_measure__(screen, screen.options.update(max_width=1000)).minimum <= screen.width:
        screen.print(table)
        return
    for account, *facts in rows:
        say_wrapped(account)
        for title, fact in zip(titles[1:], facts, strict=True):
            say_wrapped(f"  {title}: {fact}", indent=4)


def _story(held: StoredToken) -> Iterator[str]:
    """How the token came about, if it is not the first; what is remembered of it; and who is getting another."""
    if held.entry is not None:
        yield from _of_entry(held.entry)
    if held.lease is not None:
        who = holder_of(held.lease)
        doing = (
            tr("{who} is renewing it", who=process(who.name))
            if held.entry is not None
            else tr("none yet; {who} is getting one", who=process(who.name))
        )
        yield doing if who.since is None else tr("{doing}, since {moment}", doing=doing, moment=moment(who.since))


def _of_entry(entry: Entry) -> Iterator[str]:
    yield from _of_conflicts(entry)
    latest, *earlier = reversed(entry.history) if entry.history else (None,)
    if latest is not None and (earlier or latest.why):
        said = _in_words(latest)
        yield tr("{latest}; before that {earlier}", latest=said, earlier=_in_words(earlier[0])) if earlier else said
    if entry.followed is not None:
        yield tr(
            "{who} got one by hand (get_app_token) at {moment}, which ends this one",
            who=process(entry.followed.by),
            moment=moment(entry.followed.at),
        )
    for host, at in entry.doubted:
        yield tr("{host} refused it while it was good, at {moment}", host=host, moment=moment(at))


def _of_conflicts(entry: Entry) -> Iterator[str]:
    """What others did to the tokens before this one, and what follows if they do it once more."""
    ended = supersessions(entry, datetime.now(UTC), counting=False)
    if ended:
        yield trn(
            "its predecessors were superseded {count} time in the last five minutes",
            "its predecessors were superseded {count} times in the last five minutes",
            len(ended),
        )
    if is_conflict((*ended, datetime.now(UTC))):
        yield tr(
            "if the API refuses this one, too, programs get no other until {moment}, unless somebody runs exbo-oauth "
            "refresh",
            moment=moment(end_of_conflict(ended)),
        )


def _in_words(issue: Issue) -> str:
    got = tr("got by {who} at {moment}", who=process(issue.by), moment=moment(issue.at))
    why = tr(_WHY.get(issue.why, ""))
    where = "" if issue.why != "refused" or not issue.target else f" ({issue.target})"
    return f"{got}, {why}{where}" if why else got


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
                say_error(problems[0])
            said = problem
            time.sleep(_PAUSE)


def _changes(
    known: Mapping[StoreKey, StoredToken], seen: Mapping[StoreKey, StoredToken]
) -> Iterator[tuple[str, StoredToken]]:
    """What is another than it was: tokens that are new or gone, and renewals that began."""
    for key, held in seen.items():
        before = known.get(key)
        if held.entry is not None and _revision(before) != held.entry.revision:
            yield "token", held
        if held.lease is not None and (before is None or before.lease != held.lease):
            yield "lease", held
    for key, held in known.items():
        if held.entry is not None and _revision(seen.get(key)) is None:
            yield "gone", held


def _revision(held: StoredToken | None) -> int | None:
    return None if held is None or held.entry is None else held.entry.revision


def _tell(change: str, held: StoredToken, *, as_json: bool) -> None:
    if as_json:
        say(json.dumps({"change": change, **_as_dict(held, reveal=False)}))
        return
    entry = held.entry
    if change == "token" and entry is not None:
        words = _in_words(entry.history[-1] if entry.history else Issue(at=entry.issued_at, by=entry.issued_by))
    else:
        words = tr("forgotten") if change == "gone" else list(_story(held))[-1]
    say_wrapped(f"{moment(datetime.now(UTC))}  {held.account}: {words}", indent=4)
