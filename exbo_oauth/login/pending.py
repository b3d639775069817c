"""Sign-ins that are under way, for web sites and chat bots: kept by state, each handed out once.

A web site keeps one `PendingLogins` in each visitor's session, so that two tabs do not overwrite each other. A bot
keeps one for everybody, with the chat user who asked as the owner. There a link can be forwarded, and whoever approves
in the browser need not be the one who asked for it (RFC 9700, section 4.7): a bot that finished the sign-in in its
callback would link a stranger's account. So the callback only trades what the browser brought for a *ticket*, which
the browser takes back into the chat, and `redeem` gives the sign-in to nobody but its owner.

No I/O: what is kept are JSON-safe values in a mapping of the caller's choice.
"""

from base64 import urlsafe_b64encode
from collections.abc import MutableMapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import Any

from ..errors import ConfigurationError
from ..flow.attempt import MAX_AGE, LoginAttempt
from ..protocol.authorization import state_in

__all__ = ["PendingLogins"]


class PendingLogins:
    """Sign-ins by state, an hour at most.

    `entries` is where they are kept: a dict by default, or a mapping out of a web session or a database. `most` bounds
    their number (a cookie holds about three); the oldest make room.

    ::

        pending = PendingLogins()
        pending.add(attempt, owner=4711)  # /link, of the chat user 4711
        ticket = pending.ticket(callback_url)  # the page that EXBO comes back to
        assert ticket is not None
        sign_in = pending.redeem(ticket, owner=4711)  # /start TICKET: None for anybody else
        assert sign_in is not None
        oauth.finish_login(*sign_in, account=4711)
    """

    def __init__(self, entries: MutableMapping[str, Any] | None = None, *, most: int = 1000) -> None:
        if isinstance(most, bool) or not isinstance(most, int) or most < 1:
            raise ConfigurationError(f"most must be a whole number from 1 up, not {most!r}")
        self._entries: MutableMapping[str, Any] = {} if entries is None else entries
        self._most = most

    def add(self, attempt: LoginAttempt, owner: str | int = "") -> None:
        """Keep an attempt that `begin_login` gave; `owner` is the chat user who asked for it."""
        self._forget_old_ones()
        self._entries[attempt.state] = {"attempt": attempt.to_dict(), "owner": str(owner)}

    def take(self, callback_url: str) -> LoginAttempt | None:
        """The attempt that a callback (its full URL or query) belongs to, once; None if it is not known.

        None is an everyday thing: a page that was loaded again, a phone that fetched the address in advance.
        """
        state = state_in(callback_url)
        entry = None if state is None else self._entries.get(state)
        if state is None or entry is None or "callback" in entry:
            return None
        return self._taken(state)

    def ticket(self, callback_url: str) -> str | None:
        """What the browser takes back into the chat for its callback; None if that belongs to no sign-in.

        Nobody can work out the ticket from the address that the owner was sent. 32 characters of ``A-Za-z0-9_-``, fit
        for a Telegram deep link. Asked again, for a callback that was fetched twice, it is the same.
        """
        state = state_in(callback_url)
        entry = None if state is None else self._entries.get(state)
        if state is None or entry is None:
            return None
        ticket = _ticket(state, entry.get("callback", callback_url))
        # Written anew as a whole: a mapping that saves what is assigned would not see a change within.
        self._entries[state] = {**entry, "callback": entry.get("callback", callback_url), "ticket": ticket}
        return ticket

    def redeem(self, ticket: str, owner: str | int) -> tuple[LoginAttempt, str] | None:
        """The attempt and its callback for `finish_login`, once, and for its owner only; None for everybody else."""
        for state, entry in list(self._entries.items()) if ticket else ():
            if compare_digest(entry.get("ticket", "").encode(), ticket.encode()) and entry["owner"] == str(owner):
                attempt = self._taken(state)
                return None if attempt is None else (attempt, entry["callback"])
        return None

    def _taken(self, state: str) -> LoginAttempt | None:
        entry = self._entries.pop(state, None)  # one of many wins
        return None if entry is None else LoginAttempt.from_dict(entry["attempt"])

    def _forget_old_ones(self) -> None:
        oldest = datetime.now(UTC) - MAX_AGE
        moments = {state: _moment(entry) for state, entry in list(self._entries.items())}
        newest_first = sorted(moments, key=moments.__getitem__, reverse=True)
        for number, state in enumerate(newest_first):
            if moments[state] < oldest or number >= self._most - 1:
                self._entries.pop(state, None)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<PendingLogins: {len(self)} under way>"


def _moment(entry: Any) -> datetime:
    try:
        return datetime.fromisoformat(entry["attempt"]["created_at"])
    except (KeyError, TypeError, ValueError):
        return datetime.now(UTC) - MAX_AGE - timedelta(seconds=1)  # not ours: the first to go


def _ticket(state: str, callback: str) -> str:
    # The code in the callback is what makes it unguessable; its owner knows the state.
    return urlsafe_b64encode(sha256(f"{state}\n{callback}".encode()).digest()[:24]).decode()


PendingLogins.__module__ = "exbo_oauth"
