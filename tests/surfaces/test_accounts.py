"""The caller's own key of a user: any text that can be encoded, a number or a UUID, alike in all stores."""

from collections.abc import Awaitable, Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from exbo_oauth import (
    AppToken,
    ConfigurationError,
    LoginRequiredError,
    MemoryTokenStore,
    SQLiteTokenStore,
    TokenStore,
    UserToken,
)
from exbo_oauth.stores import EncryptedTokenStore
from exbo_oauth.testing import FakeExbo

from .conftest import Surface


class Player(str, Enum):  # noqa: UP042  # a StrEnum is its value in text, too
    IVAN = "ivan"


class Number(int):
    def __repr__(self) -> str:
        raise ZeroDivisionError

    __str__ = __repr__


KEPT = {
    "text": ("ivan", "ivan"),
    "number": (42, "42"),
    "negative": (-1, "-1"),
    "hundreds of digits": (10**600, str(10**600)),
    "UUID": (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
    "member of an enumeration": (Player.IVAN, "ivan"),
    "number that says nothing": (Number(42), "42"),
    "zero byte": ("a\0b", "a\0b"),
    "emoji": ("Меченый ☢", "Меченый ☢"),
    "megabyte": ("☢" * 350_000, "☢" * 350_000),
}
REFUSED = {
    "half a character": ("ivan\ud83d", "half of a character"),
    "the other half": ("\ude00", "half of a character"),
    "an undecodable argument": (b"\xff".decode(errors="surrogateescape"), "half of a character"),
    "thousands of digits": (10**5000, "too long"),
    "empty": ("", "non-empty"),
    "None": (None, "not a NoneType"),
    "bool": (True, "not a bool"),
    "float": (1.5, "not a float"),
    "bytes": (b"ivan", "not a bytes"),
    "list": (["ivan"], "not a list"),
    "token": (
        UserToken(token_type="Bearer", access_token="a-secret", refresh_token="r", expires_in=60),
        "not a UserToken",
    ),
    "application's token": (AppToken(token_type="Bearer", access_token="a-secret", expires_in=60), "not an AppToken"),
    "unhashable": (type("Unknown", (), {})(), "not an Unknown"),
    "answer": ({"access_token": "a-secret"}, "not a dict"),
}
CALLS: dict[str, Callable[[Any, Any], Awaitable[Any]]] = {
    "ensure": lambda oauth, account: oauth.ensure_user_token(account),
    "replace": lambda oauth, account: oauth.replace_user_token(account),
    "user info": lambda oauth, account: oauth.user_info(account),
    "forget": lambda oauth, account: oauth.forget_user_token(account),
    "save": lambda oauth, account: oauth.save_user_token(account, REFUSED["token"][0]),
}


@pytest.fixture(params=["memory", "sqlite", "encrypted"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TokenStore]:
    file = SQLiteTokenStore(tmp_path / "tokens.db")
    encrypted = EncryptedTokenStore(file, EncryptedTokenStore.new_key())
    yield {"memory": MemoryTokenStore(), "sqlite": file, "encrypted": encrypted}[request.param]
    file.close()


@pytest.mark.parametrize(("account", "key"), KEPT.values(), ids=KEPT)
def test_what_names_a_user_is_kept_as_it_is(
    surface: Surface, served: FakeExbo, store: TokenStore, account: Any, key: str
) -> None:
    async def come_and_go(oauth: Any) -> None:
        with pytest.raises(LoginRequiredError) as caught:
            await oauth.ensure_user_token(account)
        assert caught.value.account == key
        attempt = oauth.blocking.begin_login() if surface.blocking else oauth.begin_login()
        token = await oauth.finish_login(attempt, served.authorize(attempt.url), account=account)
        assert await oauth.ensure_user_token(account) == token
        assert await oauth.accounts() == [key]
        await oauth.forget_user_token(account)
        assert await oauth.accounts() == []

    surface.call(surface.client(served, store=store), come_and_go)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(("account", "problem"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_name_a_user_is_refused_before_anything_is_done(
    surface: Surface, fake: FakeExbo, call: Callable[[Any, Any], Awaitable[Any]], account: Any, problem: str
) -> None:
    store = MemoryTokenStore()
    with pytest.raises(ConfigurationError, match=f"account.*{problem}") as caught:
        surface.call(surface.client(fake, store=store), lambda oauth: call(oauth, account))
    assert "a-secret" not in str(caught.value)
    assert list(store.keys()) == []
    assert fake.requests == []


@pytest.mark.parametrize(
    ("account", "problem"), [REFUSED["half a character"], REFUSED["thousands of digits"]], ids=["half", "digits"]
)
def test_a_sign_in_that_could_not_be_saved_spends_no_code(
    surface: Surface, served: FakeExbo, account: Any, problem: str
) -> None:
    attempt = Surface("sync").raw_client(served).begin_login()
    callback = served.authorize(attempt.url)
    before = len(served.requests)
    with pytest.raises(ConfigurationError, match=problem):
        surface.call(
            surface.client(served, store=MemoryTokenStore()),
            lambda oauth: oauth.finish_login(attempt, callback, account=account),
        )
    assert len(served.requests) == before
