"""What the decisions refuse, word for word, and the code that programs tell it by."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from exbo_oauth import (
    AttemptUsedError,
    ConfigurationError,
    LeaseTimeoutError,
    LoginAttempt,
    LoginRequiredError,
    MalformedResponseError,
    OAuthError,
    ReadOnlyError,
    StoreError,
    TokenConflictError,
)
from exbo_oauth.flow.accounts import save_token
from exbo_oauth.flow.effects import HolderOf
from exbo_oauth.flow.login import finish_login, new_attempt
from exbo_oauth.flow.needs import Need
from exbo_oauth.flow.replacement import replace_app_token
from exbo_oauth.flow.saving import Obtained
from exbo_oauth.protocol import OAuthProtocol
from exbo_oauth.stores import Entry

from .test_sharing import (
    HELD,
    HOLDER,
    LOOK,
    NEXT,
    OLD,
    PAIR,
    REFRESH,
    SAYS_NO,
    app,
    failing,
    ivan,
    renewing,
    saving,
)
from .transcript import (
    APP,
    EXPIRED,
    FOLLOWER,
    HOUSE,
    IVAN,
    T0,
    Stage,
    Step,
    after,
    in_vain,
    knowing,
    loaded,
    play,
    shared,
    written,
)

STATE = "s" * 43
CONFLICT = (
    "the API refused three of our tokens within five minutes, each before its time. Either another deployment uses "
    "the same application and fetches its own tokens: let all share one store, or give one of them "
    'issue="never". Or the API refuses whatever it is given, because tokens of https://exbo.net/oauth are for another '
    "API (the sandbox's and the demo's open only their own), or the application is not approved yet"
)
OVER = "No other is issued until 00:05:01 UTC; once the cause is gone, that ends at once with: "
KEPT = ". The new token is kept in memory and saved as soon as the store takes it."
WAITED = (
    " and was waited for for as long as wait= says: call again, or with more seconds. Should it have been killed, "
    "another one takes its place within 10 seconds."
)


def attempt(protocol: OAuthProtocol = HOUSE.protocol) -> LoginAttempt:
    return new_attempt(protocol, STATE, None, T0, "http://localhost", None)


def begun_elsewhere() -> object:
    elsewhere = OAuthProtocol(client_id=1, client_secret="S" * 40, base_url="https://elsewhere.example/oauth")
    return play(finish_login(HOUSE, attempt(elsewhere), f"code=c&state={STATE}", None))


def refreshed(*steps: Step, entry: Entry | None = PAIR) -> Callable[[], object]:
    """A call for a user's token, which has expired."""
    return lambda: play(ivan(), renewing(IVAN, entry, *steps), stage=knowing(PAIR, now=EXPIRED))


def written_back(*steps: Step, old: Entry = PAIR) -> Callable[[], object]:
    """A call for a user's token whose successor is written."""
    return refreshed(*saving(IVAN, REFRESH, "user-2", *steps, old=old), entry=old)


def waited_for(program: Callable[[Need], Any], key: Any, owner: str | None) -> Callable[[], object]:
    """A call that waits for a second while another renews."""
    return lambda: play(program(Need(60, wait=1)), shared(key, TimeoutError(), wait=1), (HolderOf(key), owner))


def only_read(program: Callable[..., Any], key: Any, entry: Entry | None) -> Callable[[], object]:
    return lambda: play(program(house=FOLLOWER), shared(key, [loaded(key, entry)], "read"), stage=Stage(EXPIRED))


def fought(program: Callable[[Need], Any], key: Any, entry: Entry) -> Callable[[], object]:
    """The third token that is refused before its time."""
    twice = evolve(entry, superseded=(after(1), after(150)))
    need = Need(60, entry.token)
    return lambda: play(program(need), renewing(key, twice), stage=knowing(twice, now=after(299)))


def given_back() -> object:
    same = shared(APP, Obtained(OLD, issued=True))
    return play(app(Need(60, "app-1")), same, same)


def read_of_another_kind() -> object:
    return play(app(), shared(APP, [loaded(APP, PAIR)]))


def checked(age: float = 0.0, *, used: bool = False) -> Callable[[], object]:
    begun = attempt()
    begun.settle(used=used)
    return lambda: begun.check(T0 + timedelta(seconds=age))


def taken_twice() -> None:
    begun = attempt()
    begun.take()
    begun.take()


REFUSED: dict[str, tuple[Callable[[], object], str, str]] = {
    "a sign-in that is finished": (
        checked(used=True),
        f"{AttemptUsedError.code}.finished",
        "this sign-in is finished: begin a new one with begin_login()",
    ),
    "a sign-in that is too old": (
        checked(3601),
        f"{AttemptUsedError.code}.too-old",
        "this sign-in began more than an hour ago: begin a new one with begin_login()",
    ),
    "a sign-in that another finishes": (
        taken_twice,
        f"{AttemptUsedError.code}.finished",
        "this sign-in is being finished already, or is finished",
    ),
    "a saved sign-in that is none": (
        lambda: LoginAttempt.from_dict({}),
        ConfigurationError.code,
        "this is not a saved sign-in: save what LoginAttempt.to_dict() gives",
    ),
    "a sign-in of a follower": (
        lambda: play(finish_login(FOLLOWER, attempt(), f"code=c&state={STATE}", "ivan")),
        f"{ReadOnlyError.code}.write",
        'this client only reads (issue="never"): sign in with the client that issues',
    ),
    "a replacement by a follower": (
        lambda: play(replace_app_token(FOLLOWER)),
        f"{ReadOnlyError.code}.write",
        'this client only reads (issue="never"): replace tokens with the client that issues',
    ),
    "a sign-in that was begun elsewhere": (
        begun_elsewhere,
        ConfigurationError.code,
        "this sign-in was begun at another server or for another application: finish it with the client that began it",
    ),
    "a sign-in whose verifier is no text": (
        lambda: LoginAttempt(url="x", state=STATE, redirect_uri="x", created_at=T0, verifier=5),  # type: ignore[arg-type]
        ConfigurationError.code,
        "verifier must be a str, not int",
    ),
    "a sign-in that the store does not take": (
        lambda: play(save_token(HOUSE, "ivan", PAIR.token), *in_vain([loaded(IVAN, StoreError("full"))])),
        f"{StoreError.code}.unsaved",
        "full",
    ),
    "a user who never signed in": (
        lambda: play(ivan(), shared(IVAN, [loaded(IVAN, None)])),
        f"{LoginRequiredError.code}.never",
        "nobody has signed in as 'ivan' yet",
    ),
    "a user whose refresh token is refused": (
        refreshed(*failing(IVAN, REFRESH, PAIR, SAYS_NO), loaded(IVAN, PAIR)),
        f"{LoginRequiredError.code}.refused",
        "the refresh token of 'ivan' is spent or revoked: this user has to sign in again",
    ),
    "a user who is forgotten while his token is renewed": (
        written_back(written(IVAN, 1, NEXT, False), loaded(IVAN, None), (LOOK, None)),
        f"{LoginRequiredError.code}.forgotten",
        "'ivan' was forgotten while being renewed",
    ),
    "a store that takes no token": (
        written_back(*in_vain([written(IVAN, 2, NEXT, False), loaded(IVAN, HELD)] * 6), old=HELD),
        f"{StoreError.code}.unsaved",
        f"the token store does not take the new token, and has none that is as new{KEPT}",
    ),
    "a store that has a token of another kind": (
        read_of_another_kind,
        StoreError.code,
        f"the store holds a token of another kind where {APP!r} should have AppToken",
    ),
    "a server that gives the refused token back": (
        given_back,
        MalformedResponseError.code,
        "the server issues the refused token again and again: does a cache stand between here and there?",
    ),
    "a third application's token that was superseded": (
        fought(app, APP, OLD),
        TokenConflictError.code,
        f"{CONFLICT}. {OVER}exbo-oauth refresh",
    ),
    "a third user's token that was superseded": (
        fought(ivan, IVAN, PAIR),
        TokenConflictError.code,
        f"{CONFLICT}, or the user 'ivan' was deleted. {OVER}exbo-oauth refresh --user NAME",
    ),
    "a wait for the application's token": (
        waited_for(app, APP, HOLDER),
        LeaseTimeoutError.code,
        f"web-2:311 (since 00:00:00 UTC) is renewing the token of the application{WAITED}",
    ),
    "a wait for a user's token": (
        waited_for(ivan, IVAN, None),
        LeaseTimeoutError.code,
        f"another call of here:7 is renewing the token of 'ivan'{WAITED}",
    ),
    "a follower that finds no token of the application": (
        only_read(app, APP, None),
        f"{ReadOnlyError.code}.no-token",
        (
            'the store holds no token of the application, and this client only reads (issue="never"): '
            "start the program that issues, and give both the same store"
        ),
    ),
    "a follower that finds a user's token that has expired": (
        only_read(ivan, IVAN, PAIR),
        f"{ReadOnlyError.code}.no-token",
        (
            "the store holds only an expired or refused token of 'ivan', and this client only reads (issue=\"never\"): "
            "start the program that issues, and give both the same store"
        ),
    ),
}


@pytest.mark.parametrize(("action", "code", "text"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_has_its_code_and_says_exactly_this(action: Callable[[], object], code: str, text: str) -> None:
    with pytest.raises(OAuthError) as caught:
        action()
    assert (caught.value.code, str(caught.value)) == (code, text)
    assert getattr(caught.value, "account", "ivan") == "ivan"  # of those who have to sign in
