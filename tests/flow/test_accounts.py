"""Saving, forgetting and listing accounts by hand, on paper."""

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from exbo_oauth import ConfigurationError, ReadOnlyError, StoreError
from exbo_oauth.flow.accounts import accounts, forget_token, save_token
from exbo_oauth.flow.effects import Hold, Keys, Lease, Leased, Remove
from exbo_oauth.flow.entries import grave
from exbo_oauth.stores import Entry

from .transcript import (
    APP,
    EXPIRED,
    FOLLOWER,
    HOUSE,
    IVAN,
    T0,
    Stage,
    app_entry,
    in_vain,
    issued,
    knowing,
    loaded,
    micros,
    nothing,
    play,
    slept,
    user_entry,
    written,
)

OLD, PAIR = app_entry("app-1"), user_entry("user-1")
NEXT = user_entry("user-2", issued_at=EXPIRED, revision=micros(EXPIRED))


def test_a_saved_token_replaces_whatever_is_there() -> None:
    entry = issued(user_entry("user-2", revision=micros(T0)), "sign-in")
    racing = user_entry("user-x", revision=2)
    stage = Stage()
    play(
        save_token(HOUSE, "ivan", entry.token),
        loaded(IVAN, PAIR),
        written(IVAN, 1, entry, False),
        loaded(IVAN, racing),
        written(IVAN, 2, entry),
        stage=stage,
    )
    assert stage.cell(IVAN).entry == entry


def test_a_user_who_comes_back_is_not_forgotten_any_more() -> None:
    entry = issued(user_entry("user-2", revision=micros(T0)), "sign-in")
    unburied = Leased(grave(IVAN), Lease("forgotten", 1.0), nothing), True
    play(save_token(HOUSE, "ivan", entry.token), loaded(IVAN, None), written(IVAN, None, entry), unburied)


def test_a_token_that_could_not_be_saved_by_hand_is_in_the_error() -> None:
    with pytest.raises(StoreError, match="full") as caught:
        play(save_token(HOUSE, "ivan", PAIR.token), *in_vain([loaded(IVAN, StoreError("full"))]))
    assert caught.value.token is PAIR.token


def test_a_sign_in_whose_write_seemed_to_fail_is_written_over_itself() -> None:
    first = issued(user_entry("user-2", revision=micros(T0)), "sign-in")
    again = issued(evolve(first, revision=first.revision + 1, history=()), "sign-in")
    stage = Stage()
    play(
        save_token(HOUSE, "ivan", first.token),
        loaded(IVAN, None),
        written(IVAN, None, first, StoreError("reset")),
        slept(0.1),
        loaded(IVAN, first),
        written(IVAN, first.revision, evolve(again, history=(*first.history, *again.history))),
        (Leased(grave(IVAN), Lease("forgotten", 1.0), nothing), True),
        stage=stage,
    )
    known = stage.cell(IVAN).entry
    assert known is not None
    assert known.token == first.token


@pytest.mark.parametrize(
    ("token", "kind"), [(OLD.token, "an AppToken"), ({"access_token": "x"}, "a dict"), ("x", "a str")]
)
def test_only_a_user_token_is_saved(token: Any, kind: str) -> None:
    with pytest.raises(ConfigurationError, match=f"not {kind}"):
        play(save_token(HOUSE, "ivan", token))


@pytest.mark.parametrize(
    ("known", "removed", "gone"),
    [
        pytest.param(PAIR, None, micros(T0), id="the store has none, memory has"),
        pytest.param(None, None, micros(T0), id="nobody has one"),
        pytest.param(None, 1, micros(T0), id="the store has one"),
        pytest.param(NEXT, 1, NEXT.revision, id="memory has one that is to come, by this clock"),
        pytest.param(PAIR, NEXT.revision + 1, NEXT.revision + 1, id="the store has one that is to come"),
    ],
)
def test_forgetting_covers_what_anybody_knew(known: Entry | None, removed: int | None, gone: int) -> None:
    stage = Stage() if known is None else knowing(known)
    burying = Hold(grave(IVAN), Lease("forgotten", 315_360_000.0))
    play(
        forget_token(HOUSE, "ivan"),
        (burying, False),
        slept(0.02),
        (burying, True),
        (Remove(IVAN), removed),
        stage=stage,
    )
    assert stage.cell(IVAN).entry is None
    assert stage.cell(IVAN).forgotten == gone


def test_accounts_are_those_of_this_application_sorted() -> None:
    other_app, other_server = evolve(IVAN, client_id="2"), evolve(IVAN, base_url="https://elsewhere.example/oauth")
    keys = (HOUSE.key("b"), APP, other_app, HOUSE.key("a"), other_server)
    assert play(accounts(HOUSE), (Keys(), keys)) == ["a", "b"]


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(lambda: save_token(FOLLOWER, "ivan", PAIR.token), id="save"),
        pytest.param(lambda: forget_token(FOLLOWER, "ivan"), id="forget"),
    ],
)
def test_a_follower_never_writes(program: Callable[[], Any]) -> None:
    with pytest.raises(ReadOnlyError) as caught:
        play(program())
    assert str(caught.value) == 'this client only reads (issue="never"): write with the client that issues'
    assert caught.value.code == f"{ReadOnlyError.code}.write"
