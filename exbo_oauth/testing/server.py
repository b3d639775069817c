"""`FakeExbo`: EXBO's OAuth service in memory, a `Request` in and a `Response` out.

It opens no socket and waits for nothing: `transport()` and `serve()` put it behind HTTP clients and a loopback port.
Any number of threads may use one object. Times are seconds; the clock is real unless one is given, and tests
push it forward with `advance`.
"""

import os
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..errors import ConfigurationError
from ..lazy import LazyModule
from ..models import TokenResponse
from ..protocol.messages import Request, Response
from .api import GameAPI
from .authorize import Authorizer
from .bearer import Bearer
from .beginning import begin
from .browser import Browser
from .clock import Clock
from .delivery import Delivery
from .dialect import DialectName, Refused, dialect_named
from .faults import AnswerLost, Faults, Scripted
from .forms import path_of, query_of
from .grants import Grants
from .issuing import Invalidate, Issuer, IssuingRules
from .journal import Event, Journal, Received
from .jwt import require_cryptography
from .keeping import Keeper
from .knobs import number, seconds, texts
from .live import Live
from .people import People
from .routing import Router
from .scripting import Scripting
from .state import App, IssuedToken, Registry, User, Vault
from .throttle import FixedWindow

if TYPE_CHECKING:
    from . import transport as transports
else:
    transports = LazyModule(".transport", __package__)

__all__ = ["FakeExbo"]

_YEAR = 31_536_000


class FakeExbo(People, Scripting):
    """A server with one application, `app` (unless given, client id 1), and two users, ``ivan`` and ``steam-guest``.

    `dialect` is the server generation. `invalidate` says what a new token ends: "all" the earlier access and refresh
    tokens of the same application and user, "access" the access tokens, None nothing. `clock` returns epoch seconds
    or an aware datetime. `throttle` is the number of token requests a minute and address, None for no limit;
    `scopes` are the defined ones (EXBO defines none); `latency` delays every answer in the transports;
    `app_points` and `user_points` are the game API's limits a minute. The newest `history` requests and tokens are
    remembered. `state` is a file to go on from, if it exists, and to `save` to.

    ::

        fake = FakeExbo(token_ttl=60)
        with fake.serve() as base_url:
            app = fake.app
            with SyncOAuthClient(client_id=app.client_id, client_secret=app.client_secret, base_url=base_url) as oauth:
                oauth.ensure_app_token()
    """

    def __init__(
        self,
        dialect: DialectName = "league-8",
        invalidate: Invalidate = "all",
        token_ttl: float = _YEAR,
        clock: Callable[[], float | datetime] | None = None,
        *,
        refresh_ttl: float = _YEAR,
        code_ttl: float = 600,
        throttle: int | None = None,
        scopes: Iterable[str] = (),
        latency: float = 0.0,
        app_points: int = 400,
        user_points: int = 50,
        history: int = 100_000,
        app: App | None = None,
        state: str | os.PathLike[str] | None = None,
    ) -> None:
        if invalidate not in ("all", "access", None):
            raise ConfigurationError(f"invalidate is {invalidate!r}: pass 'all', 'access' or None")
        require_cryptography()
        self.latency: float = seconds("latency", latency, 0)
        self.base_url = "https://exbo.test/oauth"
        self._lock = threading.Lock()
        self._clock = Clock(clock)
        self._faults = Faults()
        self._settings = IssuingRules(
            invalidate=invalidate,
            token_ttl=seconds("token_ttl", token_ttl, 0),
            refresh_ttl=seconds("refresh_ttl", refresh_ttl),
            code_ttl=seconds("code_ttl", code_ttl),
            scopes=texts("scopes", scopes),
        )
        self._issuer = Issuer(
            settings=self._settings,
            dialect=dialect_named(dialect),
            clock=self._clock,
            registry=Registry(),
            vault=Vault(number("history", history, 1)),
            journal=Journal(history),
        )
        self._authorizer = Authorizer(self._issuer)
        bearer = Bearer(self._issuer)
        self._router = Router(
            issuer=self._issuer,
            grants=Grants(self._issuer),
            bearer=bearer,
            api=GameAPI(
                bearer=bearer,
                app_points=number("app_points", app_points),
                user_points=number("user_points", user_points),
            ),
            browser=Browser(self._authorizer),
            limiter=FixedWindow(None if throttle is None else number("throttle", throttle)),
            live=Live(self._issuer, lambda: self.base_url),
        )
        self._keeper = None if state is None else Keeper(state)
        self._port = None if self._keeper is None else self._keeper.restore(self._issuer)
        self.app: App = begin(self._issuer.registry, app)

    @property
    def dialect(self) -> DialectName:
        """The server generation whose words it uses."""
        return self._issuer.dialect.name

    @property
    def api_url(self) -> str:
        """Where the game API is."""
        return self.base_url.removesuffix("/oauth") + "/api"

    @property
    def jwks_url(self) -> str:
        """Where the public key is that verifies the access tokens. The original publishes none."""
        return self.base_url.removesuffix("/oauth") + "/.well-known/jwks.json"

    def __repr__(self) -> str:
        return f"<FakeExbo {self.dialect} at {self.base_url}>"

    # Answering

    def handle(self, request: Request, *, address: str = "127.0.0.1") -> Response:
        """The answer to one request from `address`; raises `AnswerLost` where a test asked for a loss.

        Knows no waiting: `latency` and `hold` are the transports' part.
        """
        delivery = self.receive(request, address=address)
        if delivery.lost or delivery.response is None:
            raise AnswerLost("the connection dropped before the answer was through")
        return delivery.response

    def receive(self, request: Request, *, address: str = "127.0.0.1") -> Delivery:
        """The answer and what is to become of it, for those who deliver it."""
        with self._lock:
            path = path_of(request)
            logged = self._router.is_logged(path)
            received = self._issuer.journal.receive(request, path, self._clock.now(), logged=logged)
            programs = self._router.is_for_programs(path)
            scripted = self._faults.take(path) if programs else None
            response = self._response(request, received, scripted, address)
            gate = self._faults.gate(path) if response is not None else None
            lost = scripted is not None and scripted.answer is None
            received.lost = lost
            self._note_loss(received)
            self._issuer.journal.done(received, response)
            return Delivery(
                response=response,
                date=self._clock.http_date(),
                lost=lost,
                partial=scripted is not None and scripted.partial,
                delay=self.latency if programs else 0.0,
                gate=gate,
            )

    def _response(
        self, request: Request, received: Received, scripted: Scripted | None, address: str
    ) -> Response | None:
        if scripted is None or scripted.processed:
            response = self._router.answer(request, received, address)
        else:
            self._router.identify(request, received)
            if scripted.answer is None:
                return None
            response = scripted.answer(request, address)
            self._issuer.journal.note("answered", received.at, grant=received.asked, status=response.status)
        received.status = response.status
        return response

    def note_unreadable(self, reason: str) -> None:
        """Tell the timeline of something that was said to the socket and is not a request for this server."""
        with self._lock:
            self._issuer.journal.note("unreadable", self._clock.now(), detail=reason)

    def _note_loss(self, received: Received) -> None:
        if received.lost:
            detail = "unprocessed" if received.status is None else "processed"
            self._issuer.journal.note("lost", received.at, grant=received.asked, detail=detail)

    # What happened

    @property
    def requests(self) -> list[Received]:
        """What came in, oldest first."""
        with self._lock:
            return list(self._issuer.journal.requests)

    @property
    def issued(self) -> list[IssuedToken]:
        """The tokens issued, oldest first."""
        with self._lock:
            return list(self._issuer.vault.issued)

    @property
    def events(self) -> list[Event]:
        """The timeline, oldest first."""
        with self._lock:
            return list(self._issuer.journal.events)

    def cassette(self) -> str:
        """What was asked and answered, and what came of it, in words: the newest requests, secrets masked."""
        from .cassette import cassette

        with self._lock:
            return cassette(self._issuer)

    def is_live(self, token: str | TokenResponse | IssuedToken) -> bool:
        """Whether an access or refresh token is neither ended nor expired. Logs nothing."""
        text = token if isinstance(token, str) else token.access_token
        with self._lock:
            now = self._clock.now()
            access, refresh = self._issuer.vault.by_access(text), self._issuer.vault.by_refresh(text)
        if access is not None:
            return access.ended is None and access.expires > now
        return refresh is not None and refresh.refresh_ended is None and refresh.refresh_expires > now

    # What a user decides

    def authorize(self, url: str, user: User | str | int = "ivan", *, approve: bool = True) -> str:
        """Sign `user` in at an authorize URL and decide for them: the callback URL that the browser is sent to.

        Raises `ConfigurationError` where the real server shows an error page and never comes back.
        """
        with self._lock:
            person = self._issuer.registry.user(user)
            try:
                asked = self._authorizer.check(query_of(url))
            except Refused as refusal:
                return self._shown_or_sent(refusal)
            decide = self._authorizer.approve if approve else self._authorizer.deny
            return decide(asked, person)

    def _shown_or_sent(self, refusal: Refused) -> str:
        answer = self._issuer.dialect.answer(refusal)
        if answer.status != 302:
            shown = answer.content.decode()
            raise ConfigurationError(
                f"the server shows this to the user and redirects nowhere: {answer.status} {shown}"
            )
        return answer.headers["location"]

    # Knobs

    def advance(self, seconds: float | timedelta) -> None:
        """Push the server's clock forward."""
        self._clock.advance(seconds)

    @property
    def now(self) -> datetime:
        """The server's time, aware UTC."""
        return self._clock.moment()

    def supersede(self, *, app: App | str | int | None = None, user: User | str | int | None = None) -> IssuedToken:
        """Issue a token to somebody else, as another deployment would: the earlier ones of `app` die.

        With `user` those of that user. What dies follows `invalidate`; with None it is everything, since that is
        what was asked for.
        """
        with self._lock:
            registry = self._issuer.registry
            user_id = None if user is None else registry.user(user).id
            grant = "client_credentials" if user is None else "authorization_code"
            token = self._issuer.issue(self.app if app is None else registry.app(app), user_id, (), grant)
            if self._settings.invalidate is None:
                self._issuer.end_earlier(token, refresh_tokens=True)
            return token

    def revoke(self, token: str | TokenResponse | IssuedToken, *, refresh_too: bool = False) -> None:
        """End one access token by hand (case E18), its refresh token as well if asked."""
        text = token if isinstance(token, str) else token.access_token
        with self._lock:
            known = self._issuer.vault.by_access(text)
            if known is None:
                raise ConfigurationError("this access token was not issued here")
            if known.ended is None:
                self._issuer.note_end("revoked", known)
            self._issuer.vault.end_access(known, "revoked")
            if refresh_too:
                self._issuer.vault.end_refresh(known, "revoked")

    def save(self) -> None:
        """Write what the server knows to the file that was given as `state`; another one goes on with it.

        Leaving `serve()` does it, too. Raises `ConfigurationError` if there was none or it cannot be written.
        """
        if self._keeper is None:
            raise ConfigurationError("there is no file to save to: FakeExbo(state=…) names one")
        with self._lock:
            taken = self._keeper.taken(self._issuer, self._port)
        self._keeper.write(taken)

    # Ways in

    def transport(self) -> "transports.FakeTransport":
        """A transport for sync and async HTTP clients of httpx and httpx2, in process."""
        from .transport import transport_for

        return transport_for(self)

    def serve(
        self, host: str = "127.0.0.1", port: int = 0, *, names: Iterable[str] = ()
    ) -> AbstractContextManager[str]:
        """Serve over a loopback socket: ``with fake.serve() as base_url``. Port 0 picks a free one.

        Requests for loopback names and addresses and for names without a dot are answered, no others, so that no
        website reaches it by a name of its own; `names` are further ones. With `names` any `host` may be listened on:
        in a container, for instance, where `names` says what others call it.
        """
        from .serve import serving

        served = serving(self, host, port, frozenset(names))
        return served if self._keeper is None else self._saved_after(served)

    @contextmanager
    def _saved_after(self, served: AbstractContextManager[str]) -> Generator[str]:
        with ExitStack() as serving:
            base_url = serving.enter_context(served)
            self._port = urlsplit(base_url).port
            try:
                yield base_url
            finally:
                serving.close()
                self.save()  # of what nobody can change any more, and of nothing that was never served


FakeExbo.__module__ = "exbo_oauth.testing"
