"""One call at a server that misbehaves once, and what has to be so whatever it does."""

import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from exbo_oauth import (
    LoginRequiredError,
    MalformedResponseError,
    MemoryTokenStore,
    OAuthError,
    OutcomeUnknownError,
    StoreKey,
    UserToken,
)
from exbo_oauth.testing import FakeExbo

from ..surfaces.calls import new_code, new_pair
from ..surfaces.conftest import Surface
from .misbehaving import Fault, Line, line

__all__ = ["CALLS", "sizes", "tried"]

AT_ONCE = 20  # trials: most of each is a pause before a call is repeated

STALL = 0.5  # seconds for an exchange at a server that stalls: what it costs to see that it is given up
SANE = 20.0  # and at any other, where nothing waits
HANG = 60  # seconds after which a call counts as one that never ends

Act = Callable[[Any], Awaitable[Any]]


def _app_token(_: FakeExbo, __: Surface) -> Act:
    return lambda client: client.get_app_token()


def _code(fake: FakeExbo, _: Surface) -> Act:
    code = new_code(fake)
    return lambda client: client.get_user_token(code)


def _refresh(fake: FakeExbo, _: Surface) -> Act:
    pair = new_pair(fake)
    return lambda client: client.refresh_user_token(pair.refresh_token)


def _user_info(fake: FakeExbo, _: Surface) -> Act:
    pair = new_pair(fake)
    return lambda client: client.validate_user_token(pair.access_token)


def _app_auth(fake: FakeExbo, surface: Surface) -> Act:
    async def ask(client: Any) -> Any:
        async with surface.http(transport=fake.transport(), auth=client.app_auth()) as http:
            answer = await http.get(fake.base_url.removesuffix("/oauth") + "/api/regions")
        assert answer.status_code == 200
        return answer

    return ask


def _stored_pair(fake: FakeExbo, _: Surface) -> Act:
    pair = new_pair(fake)
    past = datetime.now(UTC) - timedelta(hours=1)
    stale = UserToken(
        token_type="Bearer", access_token=pair.access_token, refresh_token=pair.refresh_token, expires_in=past
    )

    async def ask(client: Any) -> Any:
        await client.save_user_token("ivan", stale)
        return await client.ensure_user_token("ivan")

    return ask


CALLS: dict[str, Callable[[FakeExbo, Surface], Act]] = {
    "app token": _app_token,
    "code": _code,
    "refresh": _refresh,
    "user info": _user_info,
    "app_auth": _app_auth,
    "stored pair": _stored_pair,
}
REPEATABLE = {"app token", "user info", "app_auth"}
# A stored pair whose answer was lost is tried once more: it is lost if it was replaced, and saved if it was not.
SENDINGS = {"code": 1, "refresh": 1, "stored pair": 2}


def sizes(fake: FakeExbo, surface: Surface, call: str) -> tuple[int, int]:
    """How many bytes the request and the answer of a call have."""
    served, _, outcome = _made(fake, surface, call, None)
    assert not isinstance(outcome, Exception), outcome
    return served.request_size, served.answer_size


def tried(surface: Surface, call: str, faults: Iterable[Fault]) -> Iterator[str]:
    """The name of what a call comes to with each fault, when all has been checked that has to be so."""

    def trial(fault: Fault) -> str:
        try:
            return _tried(FakeExbo(), surface, call, fault)
        except AssertionError as error:
            raise AssertionError(f"{fault}: {error}") from error

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(trial, faults)
    _check_threads()


def _tried(fake: FakeExbo, surface: Surface, call: str, fault: Fault) -> str:
    before = len(fake.issued)
    served, store, outcome = _made(fake, surface, call, fault)
    processed = len(fake.issued) > before + (call in ("refresh", "user info", "stored pair"))
    complete = fault.side == "answer" and fault.after >= served.answer_size and fault.way != "reset"
    if isinstance(outcome, Exception):
        assert isinstance(outcome, OAuthError), outcome
        assert not complete, outcome
        assert fake.app.client_secret not in str(outcome)
        expected = (MalformedResponseError, *([] if call in REPEATABLE else [OutcomeUnknownError]))
        lost = processed and call == "stored pair" and isinstance(outcome, LoginRequiredError)
        assert lost or isinstance(outcome, expected), outcome
    assert served.begun <= SENDINGS.get(call, 4), "what can be spent was sent too often"
    if call == "stored pair":
        _check_kept(fake, surface, store, processed=processed)
    return type(outcome).__name__


def _made(fake: FakeExbo, surface: Surface, call: str, fault: Fault | None) -> tuple[Line, MemoryTokenStore, Any]:
    act, store = CALLS[call](fake, surface), MemoryTokenStore()
    limit = STALL if fault is not None and fault.way == "stall" else SANE
    with line(fake, fault) as served:
        outcome = _ended(lambda: _outcome(fake, surface, served.base_url, store, act, limit))
    return served, store, outcome


def _outcome(fake: FakeExbo, surface: Surface, base_url: str, store: MemoryTokenStore, act: Act, limit: float) -> Any:
    client = surface.client(fake, base_url=base_url, store=store, timeout=limit, max_retries=3)
    try:
        return surface.call(client, act)
    except Exception as error:  # noqa: BLE001  # which one is for the caller to judge
        return error


def _ended(work: Callable[[], Any]) -> Any:
    """What `work` comes to, on a thread of its own, so that one that hangs is told of."""
    future = Future[Any]()

    def carry() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  # belongs to who waits
            future.set_exception(error)

    threading.Thread(target=carry, daemon=True).start()
    return future.result(HANG)


def _check_threads() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("exbo-oauth") and not thread.name.endswith("unsaved"):  # an earlier test's, if at all
            thread.join(HANG)
            assert not thread.is_alive(), "a thread of ours is left"


def _check_kept(fake: FakeExbo, surface: Surface, store: MemoryTokenStore, *, processed: bool) -> None:
    """The pair is where it was, and serves unless EXBO has replaced it and nobody heard of that."""
    [key] = store.keys()
    base_url = key.base_url
    entry = store.load(StoreKey(base_url, str(fake.app.client_id), "ivan"))
    assert entry is not None
    assert isinstance(entry.token, UserToken)
    heard = processed and entry.token.refresh_token == fake.issued[-1].refresh_token
    act: Act = lambda client: client.ensure_user_token("ivan")  # noqa: E731
    with line(fake, None) as served:
        moved = MemoryTokenStore()
        moved.swap(StoreKey(served.base_url, key.client_id, "ivan"), None, entry)
        outcome = _ended(lambda: _outcome(fake, surface, served.base_url, moved, act, SANE))
    if heard or not processed:
        assert fake.is_live(outcome), outcome
    else:
        assert isinstance(outcome, LoginRequiredError), outcome
