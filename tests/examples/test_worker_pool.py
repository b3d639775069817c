"""The pool of processes: one token for all of them."""

from exbo_oauth.testing import FakeExbo

from .test_programs import Start, ended, fake, grants, start

__all__ = ["fake", "start"]


def test_the_pool_shares_one_token(fake: FakeExbo, start: Start) -> None:
    status, out, err = ended(start("worker_pool.py"))
    assert (status, err) == (0, "")
    assert len(out.splitlines()) == 20
    assert all("last emission 20" in line for line in out.splitlines())
    assert grants(fake) == ["client_credentials"]
