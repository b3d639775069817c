"""A client that was given the inner store of an `EncryptedTokenStore`, by mistake or because the key is lost."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from exbo_oauth import LoginRequiredError, MemoryTokenStore, StoreError, StoreKey
from exbo_oauth.stores import EncryptedTokenStore
from exbo_oauth.testing import FakeExbo

from .conftest import Surface


@pytest.fixture
def inner(served: FakeExbo) -> MemoryTokenStore:
    """It has ivan's token and the application's, encrypted."""
    inner = MemoryTokenStore()
    with Surface("sync").raw_client(served, store=EncryptedTokenStore(inner, EncryptedTokenStore.new_key())) as oauth:
        attempt = oauth.begin_login()
        oauth.finish_login(attempt, served.authorize(attempt.url), account="ivan")
        oauth.ensure_app_token()
    return inner


def stored(served: FakeExbo, inner: MemoryTokenStore, account: str | None = None) -> Any:
    return inner.load(StoreKey(served.base_url, str(served.app.client_id), account))


@pytest.mark.parametrize(
    "ask",
    [lambda oauth: oauth.ensure_app_token(), lambda oauth: oauth.ensure_user_token("ivan")],
    ids=["the application's", "a user's"],
)
def test_an_encrypted_token_is_neither_handed_out_nor_sent_anywhere(
    surface: Surface, served: FakeExbo, inner: MemoryTokenStore, ask: Callable[[Any], Awaitable[Any]]
) -> None:
    before = len(served.requests)
    with pytest.raises(StoreError, match="is encrypted: give the store its key"):
        surface.call(surface.client(served, store=inner), ask)
    assert len(served.requests) == before


def test_an_encrypted_token_is_not_replaced_by_a_plain_one(
    surface: Surface, served: FakeExbo, inner: MemoryTokenStore
) -> None:
    before, issued = stored(served, inner, "ivan"), len(served.issued)
    attempt = Surface("sync").raw_client(served).begin_login()

    async def sign_in_again(oauth: Any) -> None:
        await oauth.finish_login(attempt, served.authorize(attempt.url), account="ivan")

    with pytest.raises(StoreError, match="is encrypted: give the store its key"):
        surface.call(surface.client(served, store=inner), sign_in_again)
    assert len(served.issued) == issued  # the code is not spent
    assert stored(served, inner, "ivan") == before


def test_an_account_whose_key_is_lost_can_be_forgotten(
    surface: Surface, served: FakeExbo, inner: MemoryTokenStore
) -> None:
    async def forget(oauth: Any) -> None:
        assert await oauth.accounts() == ["ivan"]
        await oauth.forget_user_token("ivan")
        assert await oauth.accounts() == []
        with pytest.raises(LoginRequiredError):
            await oauth.ensure_user_token("ivan")

    surface.call(surface.client(served, store=inner), forget)
    assert stored(served, inner) is not None
