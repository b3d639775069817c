"""A time limit that is raised into a thread, at whichever place of a renewal, is no affair of anybody else's.

Python raises what others put into a thread where a function begins or a call returns. A trace function can raise
there, too, at each place in turn, which no clock would hit. What it cannot do is raise within a thread's own start.
"""

import dis
import sys
import threading
import time
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import httpx
import pytest

import exbo_oauth
from exbo_oauth import MemoryTokenStore, OAuthError, StoreKey, SyncOAuthClient, UserToken
from exbo_oauth.clients.shield import finished
from exbo_oauth.testing import FakeExbo

from .conftest import Sandbox
from .test_endings import TimeLimitError, raise_into, started

OURS = Path(exbo_oauth.__file__).parent
WATCHED = [
    *(OURS / "clients" / name for name in ("cache.py", "keeper.py", "performer.py", "shield.py", "sync_performer.py")),
    *(OURS / "stores" / name for name in ("guard.py", "memory.py")),
    OURS / "promise.py",
]


@cache
def places(code: CodeType) -> frozenset[int]:
    """Where calls have returned, in the same block: to leave one is no place."""
    bytecode: Any = dis.Bytecode(code)

    def block(offset: int) -> int | None:
        return next((entry.target for entry in bytecode.exception_entries if entry.start <= offset < entry.end), None)

    steps = list(dis.get_instructions(code))
    return frozenset(
        after.offset
        for step, after in pairwise(steps)
        if step.opname.startswith("CALL") and block(step.offset) == block(after.offset)
    )


class Interrupt:
    """Raises a `TimeLimitError` at one place, counted from 1; it has `passed` so many."""

    def __init__(self, place: int) -> None:
        self.place, self.passed = place, 0
        self.files = set(map(str, WATCHED))

    def during(self, call: Callable[[], object]) -> None:
        try:
            sys.settrace(self.trace)
            call()
        except (OAuthError, TimeLimitError):
            pass
        finally:
            sys.settrace(None)

    def trace(self, frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename not in self.files:
            return None
        frame.f_trace_opcodes = True
        if event == "call" or (event == "opcode" and frame.f_lasti in places(frame.f_code)):
            self.passed += 1
            if self.passed == self.place:
                raise TimeLimitError
        return self.trace


@pytest.mark.skipif(sys.gettrace() is not None, reason="is measured or debugged: one thread has one trace function")
def test_wherever_it_comes_the_next_renewal_waits_for_nobody() -> None:
    fake, store = FakeExbo(throttle=10**9), MemoryTokenStore()
    options: dict[str, Any] = {"client_id": fake.app.client_id, "client_secret": fake.app.client_secret}
    with httpx.Client(transport=fake.transport()) as http:
        oauth = SyncOAuthClient(**options, base_url=fake.base_url, store=store, http_client=http)
        attempt = oauth.begin_login()
        oauth.finish_login(attempt, fake.authorize(attempt.url), account="ivan")
        interrupt = Interrupt(0)
        while interrupt.passed >= interrupt.place:
            interrupt = Interrupt(interrupt.place + 1)
            worker = threading.Thread(target=interrupt.during, args=(lambda: oauth.replace_user_token("ivan"),))
            worker.start()
            worker.join()
            assert finished(10)
            assert fake.is_live(oauth.replace_user_token("ivan", wait=5.0)), interrupt.place
        assert interrupt.place > 200
        assert store.acquire(StoreKey(fake.base_url, str(fake.app.client_id), "ivan"), "another", 5.0)


def test_who_waits_for_the_renewal_of_a_thread_that_it_comes_to_gets_the_token(sandbox: Sandbox) -> None:
    store, led, followed = MemoryTokenStore(), list[object](), list[object]()
    old = sandbox.sign_in(store)
    with sandbox.sync(store=store) as oauth:
        gate = sandbox.fake.hold(times=1)
        leader = started(lambda: oauth.ensure_user_token("ivan", rejected=old), led)
        gate.wait(1)
        follower = started(lambda: oauth.ensure_user_token("ivan", rejected=old), followed)
        time.sleep(0.1)  # so that it finds the other one waiting
        raise_into(leader)
        gate.release()
        leader.join()
        follower.join()
    assert led == [TimeLimitError]
    [token] = followed
    assert isinstance(token, UserToken)
    assert sandbox.fake.is_live(token)
