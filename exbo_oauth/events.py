"""What happened to a token, as values: for logs, metrics, and whoever has to know why a token was issued.

Each event has the moment `at` (aware UTC) and the `key` that it is about. A token is named by its `fingerprint`, the
first 8 hex digits of the access token's SHA-256, a process by its host and process id, as in ``web-1:4711``. No event
shows a secret. As text, an event is a sentence.
"""

from datetime import datetime
from typing import ClassVar

from attrs import frozen

from .stores.base import StoreKey

__all__ = [
    "AnswerLost",
    "ConflictFound",
    "Event",
    "LeaseAwaited",
    "LeaseTakenOver",
    "RateLimited",
    "RequestRetried",
    "SignInRequired",
    "StoreFailed",
    "StoreRecovered",
    "TokenAdopted",
    "TokenIssued",
    "TokenRefused",
    "TokenSuperseded",
]


@frozen(kw_only=True)
class Event:
    """Something that happened.

    ::

        def on_event(event: Event) -> None:
            print(f"{event.at:%H:%M:%S} {event}")

        SyncOAuthClient(client_id=59, client_secret="secret", on_event=on_event).close()
    """

    at: datetime
    key: StoreKey

    _sentence: ClassVar[str] = "something happened"

    def __str__(self) -> str:
        application = f"application {self.key.client_id}"
        whose = application if self.key.account is None else f"{self.key.account} ({application})"
        return f"{whose}: {self._sentence.format(self=self)}"


@frozen(kw_only=True)
class TokenIssued(Event):
    """A token was issued to `issuer`, this process, and saved; that took `seconds`, and was the `attempt`-th try.

    What `get_app_token` was called for is told of as well, though no store has it: it ends the shared token.

    `reason` is ``first`` (there was none), ``expired`` or ``refused`` (the one before was), ``asked`` (somebody called
    for another one) or ``sign-in``. A user's token, unless it is of a sign-in, was refreshed.

    ::

        def on_event(event: Event) -> None:
            if isinstance(event, TokenIssued):
                print(event.reason, event.seconds, event.attempt)
    """

    fingerprint: str
    issuer: str
    reason: str
    seconds: float
    attempt: int = 1

    _sentence = "token {self.fingerprint} was issued to {self.issuer} ({self.reason}), in {self.seconds:.2f} s"


@frozen(kw_only=True)
class TokenAdopted(Event):
    """A token that `issuer`, another process, had put into the store is used from now on.

    ::

        def on_event(event: Event) -> None:
            if isinstance(event, TokenAdopted):
                print("another process was faster:", event.issuer)
    """

    fingerprint: str
    issuer: str

    _sentence = "token {self.fingerprint}, which {self.issuer} has got, is used from now on"


@frozen(kw_only=True)
class TokenRefused(Event):
    """An API (`host`, `path` without the query) said 401 to a token that was `seconds` old.

    ::

        def on_event(event: Event) -> None:
            if isinstance(event, TokenRefused):
                print("refused:", event.fingerprint)
    """

    fingerprint: str
    host: str
    path: str
    seconds: float

    _sentence = "{self.host}{self.path} refused token {self.fingerprint}, which is {self.seconds:.0f} s old"


@frozen(kw_only=True)
class TokenSuperseded(Event):
    """A token was dead before its time: `issuer` got another one, `since` (aware UTC) when.

    ``outside`` stands for who does not share the store. None is a moment that nobody here knows.

    ::

        def on_event(event: Event) -> None:
            if isinstance(event, TokenSuperseded):
                print("ended by", event.issuer, "at", event.since)
    """

    fingerprint: str
    issuer: str
    since: datetime | None = None

    _sentence = "token {self.fingerprint} was superseded by {self._by}{self._at}"

    @property
    def _by(self) -> str:
        return "somebody who does not share the store" if self.issuer == "outside" else self.issuer

    @property
    def _at(self) -> str:
        return "" if self.since is None else f" at {self.since:%H:%M:%S} UTC"


@frozen(kw_only=True)
class AnswerLost(Event):
    """A token was asked for, and the answer was lost. `fingerprint` is the token that was to be replaced, if any.

    ::

        def on_event(event: Event) -> None:
            if isinstance(event, AnswerLost):
                print("an answer was lost:", event.reason)
    """

    fingerprint: str
    reason: str

    _sentence = "the answer to a request for a token was lost: {self.reason}"


@frozen(kw_only=True)
class SignInRequired(Event):
    """The account's user has to sign in again; `reason` says why.

    ::

        def on_event(event: Event) -> None:
            if isinstance(event, SignInRequired):
                print(event.key.account, "has to sign in:", event.reason)
    """

    reason: str

    _sentence = "a sign-in is required: {self.reason}"


@frozen(kw_only=True)
class ConflictFound(Event):
    """Our tokens keep dying; `issuer` got the last one.

    ::

        def on_event(event: Event) -> None:
            if isinstance(event, ConflictFound):
                print("a second store? the last token was of", event.issuer)
    """

    fingerprint: str
    issuer: str

    _sentence = "tokens keep dying, the last one was {self.fingerprint} of {self.issuer}"


@frozen(kw_only=True)
class LeaseAwaited(Event):
    """Another process, `holder`, renews the token, and this one has waited for it for `seconds` so far.

    `since` (aware UTC) is when it began. Either is None if that is not known: not every store can tell.

    ::

        def on_event(event: Event) -> None:
            if isinstance(event, LeaseAwaited):
                print("waiting for", event.holder, "for", event.seconds, "s")
    """

    seconds: float
    holder: str | None = None
    since: datetime | None = None

    _sentence = "{self._who} renews the token, and has been waited for for {self.seconds:.1f} s"

    @property
    def _who(self) -> str:
        return self.holder or "another process"


@frozen(kw_only=True)
class LeaseTakenOver(Event):
    """The lease was this process's after it had waited `seconds`, perhaps in vain, for `holder`; see `LeaseAwaited`.

    ::

        def on_event(event: Event) -> None:
            if isinstance(event, LeaseTakenOver):
                print(event.holder, "did not finish")
    """

    seconds: float
    holder: str | None = None
    since: datetime | None = None

    _sentence = "the lease was taken over from {self._who} after {self.seconds:.1f} s"

    @property
    def _who(self) -> str:
        return self.holder or "another process"


@frozen(kw_only=True)
class StoreFailed(Event):
    """The store failed; `reason` is what it said.

    With a `fingerprint`, it did not take that token, and is asked again. Without, a call could not look for a token.

    ::

        def on_event(event: Event) -> None:
            if isinstance(event, StoreFailed):
                print("page somebody:", event.reason)
    """

    fingerprint: str
    reason: str

    _sentence = "the store failed: {self.reason}"


@frozen(kw_only=True)
class StoreRecovered(Event):
    """The store, which had failed, works; with a `fingerprint`, it took the token that it had not taken.

    ::

        def on_event(event: Event) -> None:
            if isinstance(event, StoreRecovered):
                print("all is well again")
    """

    fingerprint: str

    _sentence = "the store works again"


@frozen(kw_only=True)
class RequestRetried(Event):
    """A request for a token is repeated in `seconds`, because of `reason`.

    ::

        def on_event(event: Event) -> None:
            if isinstance(event, RequestRetried):
                print("again in", event.seconds, "s:", event.reason)
    """

    reason: str
    seconds: float

    _sentence = "a request is repeated in {self.seconds:.2f} s: {self.reason}"


@frozen(kw_only=True)
class RateLimited(Event):
    """EXBO, or the API at `host`, asked for `path` without the query, wants no request for `seconds`, if it said so.

    `fingerprint` is the token that the API was sent, empty if that was `client_auth`'s pair.

    ::

        def on_event(event: Event) -> None:
            if isinstance(event, RateLimited):
                print("a pause of", event.seconds, "s")
    """

    seconds: float | None
    fingerprint: str = ""
    host: str = ""
    path: str = ""

    _sentence = "{self._who} wants fewer requests{self._until}"

    @property
    def _who(self) -> str:
        return f"{self.host}{self.path}" if self.host else "EXBO"

    @property
    def _until(self) -> str:
        return "" if self.seconds is None else f", the next in {self.seconds:.0f} s"
