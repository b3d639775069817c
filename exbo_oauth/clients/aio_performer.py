"""The asynchronous performer, for asyncio and trio: each effect done with httpx, anyio and the clock."""

import math
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import closing, suppress
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar, assert_never, cast

from attrs import define, evolve, field

from ..errors import ConfigurationError, OAuthError, StoreError, TransportError
from ..flow.drive import arun
from ..flow.effects import (
    Hold,
    HolderOf,
    Keys,
    Leased,
    Load,
    Operation,
    Program,
    Remove,
    Send,
    Shared,
    Shielded,
    Sleep,
    Swap,
    Try,
)
from ..lazy import LazyModule
from ..promise import Promise
from ..protocol.messages import Request, Response
from ..stores.claims import Claim
from ..stores.guard import guarded, guarded_keys, holder, is_blocking, method, removed, usable
from .cache import Flight, Landing, trial_of
from .endings import deferred, is_due
from .http import Transfer, body_of, checked_client, pools_of, transport_for, transports_of, unbroken
from .keeper import Kept
from .loops import awake, post_here, running_loop, settled, shielded
from .own import made_for
from .per_loop import PerLoop
from .performer import AtOnce, Performer
from .saving import GOODBYE, all_saved

if TYPE_CHECKING:
    import anyio
    from anyio import lowlevel, to_thread

    from ..login.session import LoginSession
else:  # an event loop needs them, and none has to run where a client is made
    anyio, lowlevel, to_thread = LazyModule("anyio"), LazyModule("anyio.lowlevel"), LazyModule("anyio.to_thread")

__all__ = ["AsyncHTTP", "AsyncPerformer"]

T = TypeVar("T")

_GOODBYE = 1.0  # for how many seconds a caller waits while a lease is let go


@cache
def _threads() -> "lowlevel.RunVar[anyio.CapacityLimiter]":
    # Not anyio's own: threads of the caller's in there may be waiting for a flight that needs one more of them to land.
    return lowlevel.RunVar("exbo_oauth.threads")


def _worker_threads() -> "anyio.CapacityLimiter":
    """How many calls into stores may block at a time, for each event loop."""
    limiter = _threads().get(None)
    if limiter is None:
        limiter = anyio.CapacityLimiter(40)
        _threads().set(limiter)
    return limiter


@define(eq=False, repr=False)
class AsyncHTTP:
    """The HTTP client: the caller's own, or one per running event loop made when it is first needed.

    A client of ours lives in an asynchronous generator. Event loops finish those before they end, which closes the
    connections in the loop that they belong to, also for programs that call ``asyncio.run`` twice and never close.
    """

    timeout: float
    injected: Any = None
    _own: "PerLoop[tuple[AsyncGenerator[Any], Any]]" = field(factory=PerLoop[Any])
    _opened_by: set[int] = field(factory=set)
    _closed: bool = False

    def __attrs_post_init__(self) -> None:
        if self.injected is not None:
            checked_client(self.injected, "AsyncClient")

    @property
    def is_open(self) -> bool:
        """Whether this process made a client of our own that somebody has to close."""
        return os.getpid() in self._opened_by

    async def exchange(self, request: Request) -> Response:
        """Send a request and read the whole answer within the timeout; raises `TransportError`."""
        transfer, client = Transfer(request, self.timeout, self.injected is None), await self._client(request.url)
        answers = list[Response]()
        with awake(self.timeout):
            answers.append(await _fetch(client, transfer))
        if not answers:
            raise transfer.timed_out()
        return answers[0]

    async def prepare(self, url: str) -> None:
        """Make what requests to `url` need; raises `ConfigurationError` for what stands in its way."""
        await self._client(url)

    async def close(self) -> None:
        """Close this loop's client; no call makes another. Another loop's is closed as that loop ends."""
        self._closed = True
        self._opened_by.discard(os.getpid())
        if (own := self._own.pop(running_loop())) is not None:
            await own[0].aclose()

    async def _client(self, url: str) -> Any:
        if self._closed:
            raise ConfigurationError("this client is closed")
        if self.injected is not None:
            checked_client(self.injected, "AsyncClient")
            return self.injected
        own = self._own.get()
        if own is None:
            lifetime = self._lifetime(url)
            own = (lifetime, await anext(lifetime))
            self._own.set(own)
            self._opened_by.add(os.getpid())
        return own[1]

    async def _lifetime(self, url: str) -> AsyncGenerator[Any]:
        import httpx

        loop = running_loop()
        from .aio_wire import AsyncNetwork
        from .connections import put_in_front

        async with made_for(url, httpx.AsyncClient, httpx.create_ssl_context) as client:
            for pool in pools_of(client):
                pool._network_backend = AsyncNetwork(pool._network_backend)  # noqa: SLF001  # tests: test_transports.py
            put_in_front(transports_of(client))
            try:
                yield client
            finally:
                self._own.pop(loop)


async def _fetch(client: Any, transfer: Transfer) -> Response:
    async def trace(event: str, info: Mapping[str, Any]) -> None:
        transfer.note(event, info)

    try:
        request = transfer.asked_of(client, trace, (transfer.timeout, None))
        request.stream = unbroken(request.stream, transfer.request.content)
        response = await transport_for(client, request).handle_async_request(request)
        try:
            if transfer.begin(request, response):
                await transfer.atake_all(body_of(response, response.aiter_bytes), response.aclose)
        finally:
            await response.aclose()
        return transfer.answer()
    except (ConfigurationError, TransportError):  # our own: a proxy would see what is meant for this machine, say
        raise
    except Exception as error:  # noqa: BLE001  # whatever the library or a transport of the caller's raises
        failure = transfer.failed(error)
    finally:
        await _hang_up(transfer.unfinished_connection)
    raise failure from failure.__cause__


async def _hang_up(connection: Any) -> None:
    """Close what httpcore forgets: a connection whose TLS handshake is cancelled stays open until it is collected."""
    if connection is not None:
        with anyio.CancelScope(shield=True):
            await connection.aclose()


@define(eq=False, repr=False)
class AsyncPerformer(Performer[AsyncHTTP]):
    """Does what programs ask for, on the running event loop. `savings` are what tasks cannot be called away from."""

    savings: list[Promise[None]] = field(factory=list)

    async def run(self, program: Program[T]) -> T:
        """Drive a program to its end."""
        return await arun(program, self.perform)

    async def perform(self, effect: Operation) -> Any:
        """Do one effect."""
        if self.flight is not None:
            self.flight.step()
        if isinstance(effect, AtOnce):
            return self.at_once(effect)
        match effect:
            case Sleep(seconds):
                return await anyio.sleep(seconds)
            case Send(request):
                return await self._send(request)
            case Load(key):
                return await self.stored(usable, self.store, key, abandoned=True)
            case Swap(key, expected, entry):
                return await self.stored(method(self.store, "swap"), key, expected, entry)
            case Remove(key):
                return await self.stored(removed, self.store, key)
            case Keys():
                return await self.stored(lambda: list(guarded_keys(self.store)), abandoned=True)
            case HolderOf(key):
                return await self.stored(holder, self.store, key, abandoned=True)
            case Hold(key, lease):
                return await self._held(Claim(self.store, key, lease.owner, lease.ttl))
            case Try():
                return await self._tries(effect)
            case Leased():
                return await self._leased(effect)
            case Shared():
                return await self._shared(effect)
            case Shielded(body):
                return await self._saving(body)
            case _:
                assert_never(effect)

    async def _send(self, request: Request) -> Response:
        response = await self.http.exchange(request)
        self.note_limits(response.headers)
        return response

    async def stored(self, call: Callable[..., T], *args: Any, abandoned: bool = False) -> T:
        """A call into the store: in a worker thread, unless the store says that it never waits.

        One that changes nothing may be left to itself, `abandoned`, if the caller is cancelled and the store is slow.
        """
        if is_blocking(self.store):
            threads = _worker_threads()
            return await to_thread.run_sync(guarded, call, *args, abandon_on_cancel=abandoned, limiter=threads)
        return guarded(call, *args)

    async def _saving(self, body: Callable[[], Program[T]]) -> T:
        while is_due():  # another task has still to save; the process ends then
            await anyio.sleep(0.02)
        over = Promise[None]()
        self.savings.append(over)
        try:
            with deferred():
                return await shielded(lambda: arun(body(), self.perform))
        finally:
            self.savings.remove(over)
            over.settle(None)

    async def saved(self) -> list[StoreError]:
        """Wait, for a while, for what other tasks are at, and save what is pending; what came in the way of that."""
        for saving in list(self.savings):
            await settled(saving, GOODBYE)
        return await self.run(all_saved(self.cache))

    async def _leased(self, effect: "Leased[T]") -> T | None:
        claim, taken = Claim(self.store, effect.key, effect.lease.owner, effect.lease.ttl), False
        try:
            taken = await self.stored(claim.take, abandoned=True)
            if not taken:
                return None
            unsaved = partial(self.is_unsaved, effect.key)
            with closing(Kept(self.store, effect.key, effect.lease, unsaved, post_here())) as keeping:
                keeping.begin()
                return await arun(effect.body(), self.perform)
        except GeneratorExit:
            self._kept_trying(effect)
            taken = False  # dropped with its event loop: nothing can be awaited any more, and the lease ends by itself
            raise
        except StoreError:  # of `take`: a store that is away is not asked again; of the body: nothing changes
            raise
        except BaseException:
            taken = claim.give_up()  # a cancellation may have come between taking it and knowing that
            raise
        finally:
            if taken and not self._kept_trying(effect):
                await shielded(lambda: self._release(effect))

    def _kept_trying(self, effect: "Leased[T]") -> bool:
        if unsaved := self.cache.recall(effect.key).pending is not None:
            self.keep_trying(effect.key, effect.lease)
        return unsaved

    async def _held(self, claim: Claim) -> bool:
        try:
            return await self.stored(claim.take, abandoned=True)
        except BaseException:
            claim.give_up()  # whoever runs under the lease lets it go, now or when it was prolonged after all
            raise

    async def _release(self, effect: "Leased[T]") -> None:
        # It ends by itself, and what happened under it matters more: a store that is silent is left to a thread.
        with anyio.move_on_after(_GOODBYE, shield=True), suppress(StoreError):
            await self.stored(method(self.store, "release"), effect.key, effect.lease.owner, abandoned=True)

    async def _tries(self, effect: Try) -> bool:
        ours, name = Flight(), trial_of(effect.host)
        flight = self.cache.join(effect.key, name, ours)
        if flight is not ours and not await settled(flight, effect.patience):
            self.cache.end(effect.key, name)
        return flight is ours

    async def _shared(self, effect: "Shared[T]") -> T | None:
        ours, landing = Flight(), Landing()
        try:
            flight = self.cache.join(effect.key, effect.purpose, ours)
            if flight is not ours:
                return await self._followed(effect, flight)
            landing = Landing(await arun(effect.body(), evolve(self, flight=ours).perform))
        except OAuthError as error:  # others are not of the flight: a time limit, say, that somebody has set its leader
            landing = Landing(error=error)
            raise
        else:
            return cast("T", landing.value)
        finally:
            self.cache.land(effect.key, effect.purpose, ours)
            ours.settle(landing)

    async def _followed(self, effect: "Shared[T]", flight: Flight) -> T | None:
        if not await settled(flight, effect.patience, math.inf if effect.wait is None else effect.wait):
            self.cache.land(effect.key, effect.purpose, flight)
            return None
        result: T | None = flight.settle(Landing()).outcome()
        return result

    async def sign_in(self, session: "LoginSession", finish: Callable[[str], Program[T]]) -> T:
        """Open the session, wait for what comes back, `finish`, and leave. Nothing listens any more afterwards."""
        try:
            session.open()
            await settled(session.arrival, session.timeout)
            with session.reporting():
                return await self.run(finish(session.callback()))
        finally:
            await _leave(session)


async def _leave(session: "LoginSession") -> None:
    """Close the session, the last page shown if there is one.

    A cancellation cuts the last page short, and is passed on when the port is free.
    """
    try:
        if session.lingers:
            await settled(session.gone, session.LEAVING)
    finally:
        session.stop()
        await shielded(lambda: settled(session.gone, session.LEAVING))
