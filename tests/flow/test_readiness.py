"""Whether a store can take a token: read what is there, take a lease and let it go."""

import pytest

from exbo_oauth import StoreError
from exbo_oauth.flow.effects import Lease, Leased, Load
from exbo_oauth.flow.readiness import check_store

from .transcript import IVAN, nothing, play, user_entry

LEASED = Leased(IVAN, Lease("here:7:sign-in", 1.0), nothing)


@pytest.mark.parametrize("stored", [None, user_entry()], ids=["nothing there", "a token there"])
@pytest.mark.parametrize("lease", [[], None], ids=["free", "somebody else's"])
def test_a_store_that_is_read_and_written_is_ready(stored: object, lease: object) -> None:
    assert play(check_store(IVAN), (Load(IVAN), stored), (LEASED, lease)) is None


def test_a_store_that_cannot_be_read_is_not() -> None:
    with pytest.raises(StoreError, match="damaged"):
        play(check_store(IVAN), (Load(IVAN), StoreError("damaged")))


def test_a_store_that_cannot_be_written_is_not() -> None:
    with pytest.raises(StoreError, match="read only"):
        play(check_store(IVAN), (Load(IVAN), None), (LEASED, StoreError("read only")))
