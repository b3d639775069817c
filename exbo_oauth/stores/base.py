"""What a token store is: six small, synchronous methods, and the two values that they pass.

A store keeps entries by key, replaces one only if it is still the one that the writer saw (compare-and-swap by
revision), and lends a lease per key. It decides nothing: when to issue, when to wait and what a revision means is
`exbo_oauth.flow`'s business. Write your own by following `TokenStore`, and run the contract suite in
`exbo_oauth.testing` against it.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from attrs import frozen

from ..errors import ConfigurationError
from ..models import AppToken, UserToken
from ..protocol.text import encodable

__all__ = ["Entry", "StoreKey", "TokenStore"]


@frozen
class StoreKey:
    """Whose token: of the application, or with `account` (the caller's own key) of one of its users.

    Raises `ConfigurationError` for what is not text, or has half of a character (a lone surrogate) in it.
    """

    base_url: str
    client_id: str
    account: str | None = None

    def __attrs_post_init__(self) -> None:
        encodable("base_url", self.base_url)
        encodable("client_id", self.client_id)
        if self.account is not None:
            encodable("account", self.account)


@frozen(kw_only=True)
class Entry:
    """One stored token.

    `revision` grows with every write to its key, also across a delete. `issued_by` names the process that got the
    token, `issued_at` (aware UTC) is when. `superseded` are the moments, in the last five minutes, at which this
    token's predecessors were found dead before their time; a store that loses them only makes a conflict between
    deployments be noticed later.
    """

    token: AppToken | UserToken
    revision: int
    issued_by: str
    issued_at: datetime
    superseded: tuple[datetime, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The entry as JSON-safe values, the token's secrets included."""
        return {
            "kind": "user" if isinstance(self.token, UserToken) else "app",
            "token": self.token.to_dict(),
            "revision": self.revision,
            "issued_by": self.issued_by,
            "issued_at": self.issued_at.isoformat(),
            "superseded": [moment.isoformat() for moment in self.superseded],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Entry":
        """An entry from `to_dict`; raises `ConfigurationError` if this is none."""
        try:
            kinds: dict[str, type[AppToken | UserToken]] = {"user": UserToken, "app": AppToken}
            return cls(
                token=kinds[data["kind"]].from_dict(data["token"]),
                revision=int(data["revision"]),
                issued_by=str(data["issued_by"]),
                issued_at=_moment(data["issued_at"]),
                superseded=tuple(map(_moment, data.get("superseded", ()))),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            # Neither chained nor quoted: what was read may hold a token.
            raise ConfigurationError("this is no stored token entry") from None


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.utcoffset() is None:
        raise ValueError("a moment without an offset cannot be compared with ours")
    return moment


@runtime_checkable
class TokenStore(Protocol):
    """Where tokens live. Methods may block for as long as a local disk or a near server takes, never for a lease.

    Every method may be called from any thread. A failing backend raises `exbo_oauth.StoreError`; another
    exception is turned into one.
    """

    def load(self, key: StoreKey) -> Entry | None:
        """The entry of `key`, None if there is none."""
        ...

    def swap(self, key: StoreKey, expected: int | None, entry: Entry | None) -> bool:
        """Write `entry` as given (None deletes) if and only if the stored revision equals `expected`.

        `expected` None means that nothing is stored. True if written; atomic against every other user of the store.
        An entry whose own revision is `expected` is one that is written again, and may be.
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
