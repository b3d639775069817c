"""What a token store is: six small, synchronous methods, and the two values that they pass.

A store keeps entries by key, replaces one only if it is still the one that the writer saw (compare-and-swap by
revision), and lends a lease per key. It decides nothing: when to issue, when to wait and what a revision means is
`exbo_oauth.flow`'s business. Write your own by following `TokenStore`, and run the contract suite in
`exbo_oauth.testing` against it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from attrs import asdict, frozen

from ..boundary import bounded
from ..errors import ConfigurationError
from ..models import AppToken, UserToken
from ..protocol.text import encodable

__all__ = ["LIMIT_MARK", "Entry", "Issue", "StoreKey", "TokenStore", "is_limit"]

LIMIT_MARK = "#limited"  # the base URL of no server has a fragment


@frozen
class StoreKey:
    """Whose token: of the application, or with `account` (the caller's own key) of one of its users.

    Raises `ConfigurationError` for what is not text, or has half of a character (a lone surrogate) in it.

    ::

        key = StoreKey("https://exbo.net/oauth", "59", account="ivan")
        entry = MemoryTokenStore().load(key)
        assert entry is None
    """

    base_url: str
    client_id: str
    account: str | None = None

    def __attrs_post_init__(self) -> None:
        encodable("base_url", self.base_url)
        encodable("client_id", self.client_id)
        if self.account is not None:
            encodable("account", self.account)


def is_limit(key: StoreKey) -> bool:
    """Whether this is where word of a limit lies (see `exbo_oauth.flow.limits`), and no token."""
    return key.base_url.endswith(LIMIT_MARK)


@frozen(kw_only=True)
class Issue:
    """How a token came about: `at` (aware UTC) which moment, `by` which process, and `why`.

    `fingerprint` is the first 8 hex digits of the access token's SHA-256. `target` (host and path) is who refused the
    predecessor or, if there was none, refused this very token at its first use; empty if nobody refused anything.
    `taken` is who has taken a token of ours since: ``"target"`` that target itself, ``"host"`` others on its host, or
    nobody yet.

    ::

        entry = store.load(StoreKey(fake.base_url, fake.app.client_id))
        for issue in entry.history if entry else ():
            print(issue.at, issue.by, issue.why)
    """

    at: datetime
    by: str
    why: str = ""
    fingerprint: str = ""
    target: str = ""
    taken: str = ""


@frozen(kw_only=True)
class Entry:
    """One stored token.

    `revision` grows with every new token of its key, also across a delete. `issued_by` names the process that got the
    token, `issued_at` (aware UTC) is when.

    The rest is what the processes tell each other about it; a store that loses this only makes them learn it again.
    `superseded` are the moments, in the last five minutes, at which this token's predecessors were found dead before
    their time. `accepted_at` is when the API was last noted to take this token, None if it never was. `history` are
    the last few issues of the key, this token's own last. `doubted` are hosts that refused a living token, each with
    the moment when that was noticed. `followed` is the first issue since that was made by hand (`get_app_token`), and
    may have ended this token; no store has its own.

    ::

        key = StoreKey(fake.base_url, fake.app.client_id, account="ivan")
        entry = store.load(key)
        assert entry is not None
        print(entry.issued_by, entry.issued_at, entry.token.expires_after())
    """

    token: AppToken | UserToken
    revision: int
    issued_by: str
    issued_at: datetime
    superseded: tuple[datetime, ...] = ()
    accepted_at: datetime | None = None
    history: tuple[Issue, ...] = ()
    doubted: tuple[tuple[str, datetime], ...] = ()
    followed: Issue | None = None

    def to_dict(self) -> dict[str, Any]:
        """The entry as JSON-safe values, the token's secrets included."""
        return {
            "kind": "user" if isinstance(self.token, UserToken) else "app",
            "token": self.token.to_dict(),
            "revision": self.revision,
            "issued_by": self.issued_by,
            "issued_at": self.issued_at.isoformat(),
            "superseded": [moment.isoformat() for moment in self.superseded],
            **self._notes(),
        }

    def _notes(self) -> dict[str, Any]:
        notes = {
            "accepted_at": self.accepted_at and self.accepted_at.isoformat(),
            "history": [_issue_as_dict(issue) for issue in self.history],
            "doubted": [[host, moment.isoformat()] for host, moment in self.doubted],
            "followed": self.followed and _issue_as_dict(self.followed),
        }
        return {name: note for name, note in notes.items() if note}

    @classmethod
    @bounded
    def from_dict(cls, data: Mapping[str, Any]) -> "Entry":
        """An entry from `to_dict`; raises `ConfigurationError` if this is not one."""
        try:
            token = _KINDS[data["kind"]].read(data["token"], None)
            if not isinstance(token, str):
                notes = {name: data[name] for name in _NOTES if data.get(name)}
                return cls(
                    token=token,
                    revision=int(data["revision"]),
                    issued_by=str(data["issued_by"]),
                    issued_at=_moment(data["issued_at"]),
                    **dict(_readable(notes)),
                )
        except _MISFITS:
            pass  # neither chained nor quoted: what was read may hold a token
        raise ConfigurationError("this is not a stored token entry")


_MISFITS = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
_KINDS: dict[str, type[AppToken | UserToken]] = {"user": UserToken, "app": AppToken}


def _readable(notes: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The notes that make sense here. What a later version writes in another way is worth no token."""
    for name, note in notes.items():
        try:
            yield name, _NOTES[name](note)
        except _MISFITS:
            continue


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.utcoffset() is None:
        raise ValueError  # it cannot be compared with ours
    return moment


def _issue_as_dict(issue: Issue) -> dict[str, Any]:
    return {**asdict(issue), "at": issue.at.isoformat()}


def _issue(data: Mapping[str, Any]) -> Issue:
    words = {name: str(data.get(name, "")) for name in ("by", "why", "fingerprint", "target", "taken")}
    return Issue(at=_moment(data["at"]), **words)


_NOTES: dict[str, Callable[[Any], Any]] = {
    "superseded": lambda moments: tuple(map(_moment, moments)),
    "accepted_at": _moment,
    "history": lambda issues: tuple(map(_issue, issues)),
    "doubted": lambda pairs: tuple((str(host), _moment(moment)) for host, moment in pairs),
    "followed": _issue,
}


@runtime_checkable
class TokenStore(Protocol):
    """Where tokens live. Methods may block for as long as a local disk or a near server takes, never for a lease.

    Every method may be called from any thread. A failing backend raises `exbo_oauth.StoreError`; another
    exception is turned into one.

    ::

        store: TokenStore = SQLiteTokenStore("tokens.db")
        key = StoreKey("https://exbo.net/oauth", "59")
        if store.acquire(key, owner="web-1:4711", ttl=10.0):
            store.release(key, owner="web-1:4711")
        assert store.load(key) is None
    """

    def load(self, key: StoreKey) -> Entry | None:
        """The entry of `key`, None if there is none."""
        ...

    def swap(self, key: StoreKey, expected: int | None, entry: Entry | None) -> bool:
        """Write `entry` as given (None deletes) if and only if the stored revision equals `expected`.

        `expected` None means that nothing is stored. True if written; atomic against every other user of the store.
        An entry whose own revision is `expected` is one that is written again, perhaps with other notes on its token.
        """
        ...

    def acquire(self, key: StoreKey, owner: str, ttl: float) -> bool:
        """Take the lease of `key` for `ttl` seconds; False at once while another owner holds it.

        An owner that holds the lease already gets it anew, for `ttl` seconds from now.
        """
        ...

    def release(self, key: StoreKey, owner: str) -> None:
        """Let the lease of `key` go if `owner` still holds it; otherwise nothing happens."""

    def keys(self) -> Iterable[StoreKey]:
        """The keys that have an entry, in any order. What is written meanwhile may or may not be among them."""
        ...

    def close(self) -> None:
        """Let go of files and connections. A second call does nothing."""


for _public in (Entry, StoreKey, TokenStore):
    _public.__module__ = "exbo_oauth"
Issue.__module__ = "exbo_oauth.stores"
