"""The blocking performer: each effect done with httpx, threads and the clock.

An exchange through a client of ours is bounded as a whole by the network beneath it (see `wire`). Through a client of
the caller's it runs on a thread of its own while the caller waits for it: that is the only way to bound it with any
transport.
"""

import concurrent.futures
import contextvars
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, assert_never, cast

from attrs import define, evolve, field

from ..errors import ConfigurationError, OAuthError, StoreError, TransportError
from ..flow.drive import run
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
from ..promise import Awake
from ..protocol.messages import Request, Response
from ..stores.guard import guarded, guarded_keys, holder, method, removed, usable
from ..threads import carry_out
from .cache import Flight, Landing, trial_of
from .deadline import Deadline, OverError
from .endings import deferred, is_due
from .http import Limits, Transfer, body_of, checked_client, is_of_the_library, pools_of, transport_for, transports_of
from .keeper import Kept
from .own import made_for
from .performer import AtOnce, Performer
from .saving import GOODBYE, all_saved
from .shield import Tenure, Work, finished

if TYPE_CHECKING:
    from ..login.session import LoginSession

__all__ = ["SyncHTTP", "SyncPerformer"]

T = TypeVar("T")

# Blocking, a library goes through a host's addresses one by one and grants each the whole limit: one that swallows
# packets (broken IPv6) must leave time for the others. Event loops have them race.
_CONNECTING_SHARE = 0.25


@define(eq=False, repr=False)
class SyncHTTP:
    """The HTTP client: the caller's own, or one per process made when it is first needed."""

    timeout: float
    injected: Any = None
    _own: dict[int, Any] = field(factory=dict)
    _closed: bool = False

    def __attrs_post_init__(self) -> None:
        if self.injected is not None:
            checked_client(self.injected, "Client")

    @property
    def is_open(self) -> bool:
        """Whether there is a client of our own that somebody has to close."""
        return os.getpid() in self._own

    def exchange(self, request: Request) -> Response:
        """Send a request and read the whole answer within the timeout; raises `TransportError`."""
        transfer, client = Transfer(request, self.timeout, self.injected is None), self._client(request.url)
        if self.injected is not None:
            return self._elsewhere(client, transfer)
        try:
            return _fetched_here(client, transfer)
        except TransportError:
            raise
        except BaseException:
            self._own.pop(os.getpid(), None)  # the interrupt may have left its connections in any state
            raise

    def _elsewhere(self, client: Any, transfer: Transfer) -> Response:
        future = Future[Response]()
        try:
            context = contextvars.copy_context()
            carry_out(lambda: context.run(_carry, client, transfer, future))
            if _came(future, Awake(self.timeout)):
                return future.result()
            raise transfer.timed_out()
        finally:
            transfer.abandon()

    def prepare(self, url: str) -> None:
        """Make what requests to `url` need; raises `ConfigurationError` for what stands in its way."""
        self._client(url)

    def close(self) -> None:
        """Close our own client, if there is one; a call that is under way makes no other."""
        self._closed = True
        client = self._own.pop(os.getpid(), None)
        if client is not None:
            client.close()

    def _client(self, url: str) -> Any:
        if self._closed:
            raise ConfigurationError("this client is closed")
        if self.injected is not None:
            checked_client(self.injected, "Client")
            return self.injected
        # A child process must not touch its parent's connections, nor close them.
        client = self._own.get(os.getpid())
        return self._make(url) if client is None else client

    def _make(self, url: str) -> Any:
        import httpx

        from .connections import put_in_front
        from .wire import put_beneath

        made = made_for(url, httpx.Client, httpx.create_ssl_context)
        put_beneath(pools_of(made))
        put_in_front(transports_of(made))
        kept = self._own.setdefault(os.getpid(), made)
        if kept is not made:  # another thread was faster
            made.close()
        return kept


def _came(future: "Future[Response]", patience: Awake) -> bool:
    """Whether there is an outcome in time."""
    over = False
    while not over:
        begun = time.monotonic()
        if concurrent.futures.wait([future], patience.slice).done:
            return True
        over = patience.waited(time.monotonic() - begun)
    return False


def _carry(client: Any, transfer: Transfer, future: "Future[Response]") -> None:
    try:
        future.set_result(_fetched_there(client, transfer))
    except BaseException as error:  # noqa: BLE001  # belongs to the thread that waits
        future.set_exception(error)


def _fetched_there(client: Any, transfer: Transfer) -> Response:
    """Through a client of the caller's, which cannot be called off: each read and write is bounded by the whole."""
    try:
        return _fetched(client, transfer, transfer.note, (transfer.timeout * _CONNECTING_SHARE, transfer.timeout))
    except (ConfigurationError, TransportError):  # our own: a proxy would see what is meant for this machine, say
        raise
    except Exception as error:  # noqa: BLE001  # whatever the library or a transport of the caller's raises
        failure = transfer.failed(error)
    raise failure from failure.__cause__


def _fetched_here(client: Any, transfer: Transfer) -> Response:
    """Through a client of ours, on the caller's own thread. What others raise into that is passed on."""
    deadline = Deadline(transfer.timeout)

    def trace(event: str, info: Mapping[str, Any]) -> None:
        if not transfer.is_under_way:
            deadline.count()  # it may have waited for a free connection
        transfer.note(event, info)

    try:
        return _fetched(client, transfer, trace, (deadline, deadline))
    except OverError:
        failure = transfer.timed_out()
    except Exception as error:
        if not is_of_the_library(error):
            raise
        failure = transfer.failed(error)
    finally:
        if transfer.unfinished_connection is not None:  # httpcore forgets it where a SOCKS proxy refuses
            transfer.unfinished_connection.close()
    raise failure from failure.__cause__


def _fetched(client: Any, transfer: Transfer, trace: Any, limits: Limits) -> Response:
    request = transfer.asked_of(client, trace, limits)
    response = transport_for(client, request).handle_request(request)
    try:
        if transfer.begin(request, response):
            transfer.take_all(body_of(response, response.iter_bytes))
    finally:
        response.close()
    return transfer.answer()


@define(eq=False)
class _Asked:
    """A lease that is asked for: taken, until the store says that it is not.

    An interrupt may come between its being taken and anybody's knowing that.
    """

    ask: Callable[[], bool]
    taken: bool = False

    def take(self) -> bool:
        self.taken = True
        try:
            self.taken = self.ask()
        except StoreError:  # ours say so of what is away; anything else may be an interrupt after it was taken
            self.taken = False
            raise
        return self.taken


class SyncPerformer(Performer[SyncHTTP]):
    """Does what programs ask for, blocking."""

    def run(self, program: Program[T]) -> T:
        """Drive a program to its end."""
        return run(program, self.perform)

    def perform(self, effect: Operation) -> Any:
        """Do one effect."""
        if self.flight is not None:
            self.flight.step()
        if isinstance(effect, AtOnce):
            return self.at_once(effect)
        match effect:
            case Sleep(seconds):
                return time.sleep(seconds)
            case Send(request):
                return self._send(request)
            case Load(key):
                return usable(self.store, key)
            case Swap(key, expected, entry):
                return guarded(method(self.store, "swap"), key, expected, entry)
            case Remove(key):
                return removed(self.store, key)
            case Keys():
                return list(guarded_keys(self.store))
            case HolderOf(key):
                return holder(self.store, key)
            case Hold(key, lease):
                return guarded(method(self.store, "acquire"), key, lease.owner, lease.ttl)
            case Try():
                return self._tries(effect)
            case Leased():
                return self._leased(effect)
            case Shared():
                return self._shared(effect)
            case Shielded(body):
                return self._shielded(body)
            case _:
                assert_never(effect)

    def _send(self, request: Request) -> Response:
        response = self.http.exchange(request)
        self.note_limits(response.headers)
        return response

    def _shielded(self, body: Callable[[], Program[T]]) -> T:
        work = Work(lambda: run(body(), self.perform), self.tenure)
        while is_due():  # a greenlet beside us has still to save; the process ends then
            time.sleep(0.02)
        with deferred():
            return work.outlast()

    def saved(self) -> list[StoreError]:
        """Wait, for a while, for what other threads are at, and save what is pending; what came in the way of that."""
        finished(GOODBYE)
        return self.run(all_saved(self.cache))

    def _leased(self, effect: "Leased[T]") -> T | None:
        asked = _Asked(partial(method(self.store, "acquire"), effect.key, effect.lease.owner, effect.lease.ttl))
        keeping = Kept(self.store, effect.key, effect.lease, partial(self.is_unsaved, effect.key))
        tenure = Tenure(lambda: self._let_go(effect, keeping))
        tenure.enter(effect)
        leaving = Work(lambda: tenure.leave(effect))  # an interrupt would leave the lease to end by itself
        try:
            if not guarded(asked.take):
                return None
            keeping.begin()
            return run(effect.body(), evolve(self, tenure=tenure).perform)
        finally:
            if asked.taken:
                try:
                    leaving.outlast()
                finally:
                    leaving.begin()  # if an interrupt was faster

    def _let_go(self, effect: "Leased[T]", keeping: Kept) -> None:
        keeping.close()
        if self.is_unsaved(effect.key):
            self.keep_trying(effect.key, effect.lease)
            return
        with suppress(StoreError):  # it ends by itself, and what happened under it matters more
            guarded(method(self.store, "release"), effect.key, effect.lease.owner)

    def _tries(self, effect: Try) -> bool:
        ours, name = Flight(), trial_of(effect.host)
        flight = self.cache.join(effect.key, name, ours)
        if flight is ours or flight.owner == threading.get_ident():  # a hook of the request that is tried again
            return True
        if not flight.wait(effect.patience):
            self.cache.end(effect.key, name)
        return False

    def _shared(self, effect: "Shared[T]") -> T | None:
        ours, landing = Flight(), Landing()
        try:
            flight = self.cache.join(effect.key, effect.purpose, ours)
            if flight is not ours:
                return self._followed(effect, flight)
            landing = Landing(run(effect.body(), evolve(self, flight=ours).perform))
        except OAuthError as error:  # others are not of the flight: a time limit, say, that somebody has set its leader
            landing = Landing(error=error)
            raise
        else:
            return cast("T", landing.value)
        finally:
            # Here, not where it was joined: an interrupt may come before anybody knows whose flight it is.
            try:
                ours.settle(landing)
            finally:
                ours.settle(landing)  # if an interrupt has cut that short
                self.cache.land(effect.key, effect.purpose, ours)

    def _followed(self, effect: "Shared[T]", flight: Flight) -> T | None:
        if flight.owner == threading.get_ident():
            raise ConfigurationError(
                "this blocking call would wait for a renewal on its own thread: on an event loop use AsyncOAuthClient"
            )
        if not flight.wait(effect.patience, math.inf if effect.wait is None else effect.wait):
            self.cache.land(effect.key, effect.purpose, flight)
            return None
        result: T | None = flight.settle(Landing()).outcome()
        return result

    def sign_in(self, session: "LoginSession", finish: Callable[[str], Program[T]]) -> T:
        """Open the session, wait for what comes back, `finish`, and leave. Nothing listens any more afterwards."""
        try:
            session.open()
            session.arrival.wait(session.timeout)
            with session.reporting():
                return self.run(finish(session.callback()))
        finally:
            _leave(session)


def _leave(session: "LoginSession") -> None:
    """Close the session, the last page shown if there is one."""
    try:
        if session.lingers:
            session.gone.wait(session.LEAVING)
    finally:
        session.stop()
        session.gone.wait(session.LEAVING)
