"""One request to an API with a shared token, from the first sending to the answer that its caller gets.

The program yields a `Deliver` where the request is to be sent, and is sent the API's `Answer`; whoever drives it
knows the HTTP library. All else that it yields are effects. It holds nothing while a request is under way but the
right to be the one who tries a refused token again, which ends by itself: an HTTP library may drop it half-way.

What a refusal means is decided in `refusals`, and who tries a refused token again in `trials`.
"""

from collections.abc import Callable
from datetime import datetime
from functools import partial

from attrs import evolve, frozen

from ..errors import OAuthError
from ..events import RateLimited, TokenRefused
from ..masking import Secret
from ..models import AppToken, UserToken
from ..protocol.answers import patience_asked
from ..protocol.messages import Headers
from ..stores.base import Entry, StoreKey
from .config import Config
from .effects import (
    Accept,
    Answered,
    Effect,
    Identity,
    Now,
    Program,
    Recall,
    Refuse,
    Remember,
    Shared,
    Sleep,
    Tried,
)
from .entries import fingerprint, stored, tell
from .evidence import Acceptance, Refusal, Target, blamed, doubted, is_doubtful, is_served, is_telling
from .needs import Need
from .refusals import Verdict, pause, verdict
from .renewal import conflict
from .sharing import flown, shared_entry
from .telling import happened, watched
from .trials import Trial, acted_upon, ended, trial

__all__ = [
    "Answer",
    "Deliver",
    "Request",
    "answered_by",
    "continued",
    "conversation",
    "limit_seen",
    "unanswered",
]

MIN_TTL = 60.0
_MOST_ROUNDS = 8


@frozen
class Answer:
    """What an API said: whether it `refused` the token, or took it (`accepted`), or neither can be told.

    `limits` are the headers that say when it wants the next request, of an answer that says too many were sent.
    """

    refused: bool = False
    accepted: bool = False
    limits: Headers | None = None


@frozen
class Deliver(Effect[Answer]):
    """Send the request with this token. `trying` says that others wait to see whether it is refused again."""

    token: AppToken | UserToken
    trying: bool = False


@frozen
class Request:
    """A request, `begun` (aware UTC) some moment, that goes to `target` with the token of `key`.

    `is_replayable` says whether it can be sent again. For `wait`, see `Need`.
    """

    config: Config
    key: StoreKey
    target: Target
    begun: datetime
    is_replayable: Callable[[], bool]
    wait: float | None = None

    def need(self, refused: Secret | None = None, refusal: Refusal | None = None) -> Need:
        """What it wants: another token than the `refused` one."""
        return Need(MIN_TTL, refused, refusal=refusal, wait=self.wait)


@frozen
class _Sending:
    """What is sent: how often the request was `sent` then, and what `Refusal` says of the token.

    In a `trial` others wait to see whether the token is refused again. `refused` is when it was first.
    """

    token: AppToken | UserToken
    sent: int = 1
    again: bool = False
    trial: Trial | None = None
    fresh: bool = False
    final: bool = False
    refused: datetime | None = None


def conversation(request: Request) -> Program[None]:
    """The whole of it, beginning with the wish for a token."""
    entry = yield from shared_entry(request.config, request.key, request.need())
    ours = entry.issued_by == (yield from Identity())  # whose clock can be compared with ours
    sending = _Sending(entry.token, fresh=ours and entry.issued_at >= request.begun)
    yield from _going_on(request, sending, (yield from Deliver(entry.token)))


def continued(request: Request, token: AppToken | UserToken, answer: Answer) -> Program[None]:
    """The rest of it, after a token from memory was sent and answered."""
    yield from _going_on(request, _Sending(token), answer)


def _going_on(request: Request, sending: _Sending, answer: Answer) -> Program[None]:
    while answer.refused:
        refusal = yield from _noted(request, sending)
        if not request.is_replayable():
            yield from _settled(request, refusal)
            return
        following = yield from _after(request, sending, refusal)
        if following is None:
            return
        sending, answer = following, (yield from _delivered(request, following))
    if answer.accepted:
        yield from _reported(request, sending)
    if answer.limits is not None:
        name = fingerprint(sending.token.access_token)
        yield from limit_seen(request.key, request.target, answer.limits, name)


def limit_seen(key: StoreKey, target: Target, limits: Headers, name: str = "") -> Program[None]:
    """Tell that an API wants fewer requests with the token of this `name`, or with `key`'s header pair."""
    seconds = patience_asked(limits, (yield from Now()))
    yield from happened(RateLimited, key, seconds=seconds, fingerprint=name, host=target.host, path=target.path)


def unanswered(request: Request, token: AppToken | UserToken) -> Program[None]:
    """All of it, where the token was refused and whoever sent the request lets nobody send it again."""
    yield from _settled(request, (yield from _noted(request, _Sending(token))))


def _settled(request: Request, refusal: Refusal) -> Program[None]:
    """The refused request is not sent again: see to it that the next one has another token, if that is what it takes.

    Who always streams his bodies, or raises at every 401, would send a dead token for ever. The next request is the
    trial of this one's token.
    """
    if (yield from Recall(request.key)).witness(request.target).row < 2:
        return
    yield from _looked(request, refusal)
    _, decided = yield from _judged(request, refusal)
    if decided is Verdict.REPLACE:
        yield from flown(request.config, request.key, request.need(refusal.token, refusal))


def _noted(request: Request, sending: _Sending) -> Program[Refusal]:
    now = yield from Now()
    refusal = Refusal(
        Secret(sending.token.access_token),
        request.target,
        now,
        request.begun,
        sending.refused or now,
        sent=sending.sent,
        again=sending.again,
        fresh=sending.fresh,
        final=sending.final,
    )
    yield from Refuse(request.key, refusal)
    yield from _told(request, sending, refusal)
    if sending.trial is not None:
        yield from Tried(request.key, request.target.host)
    return refusal


def _told(request: Request, sending: _Sending, refusal: Refusal) -> Program[None]:
    known = (yield from Recall(request.key)).entry
    issued_at = known.issued_at if known is not None and known.token == sending.token else refusal.at
    yield from happened(
        TokenRefused,
        request.key,
        fingerprint=fingerprint(sending.token.access_token),
        host=request.target.host,
        path=request.target.path,
        seconds=(refusal.at - issued_at).total_seconds(),
    )


def _reported(request: Request, sending: _Sending) -> Program[None]:
    token, now = Secret(sending.token.access_token), (yield from Now())
    if (yield from Accept(request.key, Acceptance(token, request.target, now, request.begun, sending.again))):
        yield from tell(request.config, request.key)


def _delivered(request: Request, sending: _Sending) -> Program[Answer]:
    """Send, and let those go on who wait for the answer; if it is another refusal, that has to be noted first."""
    if sending.trial is None:
        return (yield from Deliver(sending.token))
    try:
        answer = yield from Deliver(sending.token, trying=True)
    except GeneratorExit:
        raise
    except BaseException:
        yield from ended(sending.trial)
        raise
    if not answer.refused:
        now = yield from Now()
        yield from Answered(request.key, Secret(sending.token.access_token), request.target, now)
        yield from ended(sending.trial)
    return answer


def _after(request: Request, sending: _Sending, refusal: Refusal) -> Program[_Sending | None]:
    """What is sent after a refusal; None if the caller gets the answer as it is."""
    if sending.trial is None:
        return (yield from _following(request, sending, refusal))
    try:
        following = yield from _following(request, sending, refusal)
    except OAuthError:
        yield from acted_upon(sending.trial)
        raise
    yield from acted_upon(sending.trial)
    return following


def _following(request: Request, sending: _Sending, refusal: Refusal) -> Program[_Sending | None]:
    yield from _looked(request, refusal)
    yield from _noted_doubt(request, refusal)
    for _ in range(_MOST_ROUNDS):
        entry, decided = yield from _judged(request, refusal)
        if entry is None or decided is Verdict.ADOPT:
            newer = yield from shared_entry(request.config, request.key, request.need(refusal.token))
            return _Sending(newer.token, refusal.sent + 1, final=True)
        if decided is Verdict.RETURN:
            break
        match decided:
            case Verdict.AGAIN:
                return evolve(sending, sent=refusal.sent + 1, again=True, trial=None, refused=refusal.first)
            case Verdict.TRY:
                ours = yield from trial(request.config, request.key, request.target, request.wait)
                if ours is not None:
                    yield from _paused(ours, entry)
                    return evolve(sending, sent=refusal.sent + 1, again=True, trial=ours, refused=refusal.first)
            case Verdict.REPLACE:
                obtained = yield from flown(request.config, request.key, request.need(refusal.token, refusal))
                if obtained is not None and refusal.token != Secret(obtained.entry.token.access_token):
                    return _Sending(obtained.entry.token, refusal.sent + 1, final=True)
            case Verdict.CONFLICT:  # pragma: no branch  # there is no other
                raise (yield from conflict(request.key, entry, request.target))
    if refusal.fresh:
        yield from _blamed(request)
    return None


def _looked(request: Request, refusal: Refusal) -> Program[None]:
    """See whether others have replaced the token already, or know more of it; one looks for all."""
    known = (yield from Recall(request.key)).entry
    if not refusal.final and known is not None and Secret(known.token.access_token) == refusal.token:
        look = partial(stored, request.config, request.key)
        yield from Shared(request.key, "look", request.config.patience, lambda: watched(request.key, look()))


def _noted_doubt(request: Request, refusal: Refusal) -> Program[None]:
    """Tell everybody of a host that refuses a token again and again which others are served with meanwhile."""
    cell, host = (yield from Recall(request.key)), request.target.host
    known, now = cell.entry, (yield from Now())
    if known is None or not refusal.again or not is_served(cell.witness(request.target), refusal):
        return
    news = is_telling(known, host, now) and not is_doubtful(known, host, now)
    if news and Secret(known.token.access_token) == refusal.token:
        yield from Remember(request.key, doubted(known, host, now))
        yield from tell(request.config, request.key)


def _judged(request: Request, refusal: Refusal) -> Program[tuple[Entry | None, Verdict]]:
    cell, now = (yield from Recall(request.key)), (yield from Now())
    if cell.entry is None:  # forgotten meanwhile, or never there
        return None, Verdict.ADOPT
    ours = cell.entry.issued_by == (yield from Identity())
    decided = verdict(cell.entry, cell.witness(request.target), refusal, now, ours=ours)
    if decided in (Verdict.REPLACE, Verdict.CONFLICT) and not request.config.issues:
        return cell.entry, Verdict.RETURN
    return cell.entry, decided


def _paused(ours: Trial, entry: Entry) -> Program[None]:
    """Give an API the moment that it may need, and others one in which to show that the token lives."""
    seconds = pause(entry, ours.host, (yield from Now())).total_seconds()
    if not seconds:
        return
    try:
        yield from Sleep(seconds)
    except GeneratorExit:
        raise
    except BaseException:
        yield from ended(ours)
        raise


def _blamed(request: Request) -> Program[None]:
    """Remember whose request the token was issued for, in vain."""
    entry = (yield from Recall(request.key)).entry
    if entry is not None and blamed(entry, request.target) != entry:
        yield from Remember(request.key, blamed(entry, request.target))
        yield from tell(request.config, request.key)


def answered_by(program: Program[None], deliver: Callable[[AppToken | UserToken], Program[Answer]]) -> Program[None]:
    """`program` with its requests sent by another program."""
    try:
        effect = next(program)
        while True:
            try:
                answer = (yield from deliver(effect.token)) if isinstance(effect, Deliver) else (yield effect)
            except GeneratorExit:
                program.close()
                raise
            except BaseException as error:  # noqa: BLE001  # the program decides, also about a cancellation
                effect = program.throw(error)
            else:
                effect = program.send(answer)
    except StopIteration:
        return
