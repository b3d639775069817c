"""All that `login` sets up while a user is away: the listener, the prompt, the browser, and their end.

A client opens a session, waits for `arrival` in its own way, exchanges the code within `reporting`, and leaves; `gone`
is settled when the port is free again. Nothing here blocks, so both clients use it as it is.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import ClassVar
from urllib.parse import urlsplit

from attrs import define

from ..errors import ConfigurationError, LoginTimeoutError
from ..flow.attempt import MAX_AGE, LoginAttempt
from ..language import tr
from ..meaning import in_words
from ..misuse import kind_of
from ..promise import Promise
from ..protocol.addresses import is_loopback
from ..protocol.advice import BOT
from .browser import show
from .console import say
from .endpoint import HOW_TO_REGISTER, HOW_TO_REGISTER_AT_SANDBOX, endpoint_of
from .listener import Listener
from .prompt import Prompt, prompt_for
from .receiver import Arrival, CallbackReceiver

__all__ = ["LoginSession"]


@define(eq=False, repr=False)
class LoginSession:
    """One attempt's way back. `timeout` (seconds) is how long the user may be away."""

    attempt: LoginAttempt
    timeout: float
    opens_browser: bool
    receiver: CallbackReceiver
    listener: Listener
    prompt: Prompt | None
    _concluded: bool = False

    LEAVING: ClassVar[float] = 5.0  # seconds: far more than a listener needs to be gone

    @classmethod
    def of(
        cls,
        attempt: LoginAttempt,
        issuer: str,
        *,
        timeout: float,
        opens_browser: bool,
        ask: Callable[[str], str] | None,
    ) -> "LoginSession":
        """A session that is not open yet; raises `ConfigurationError` for arguments that could not work."""
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
            raise ConfigurationError(f"timeout must be a number of seconds above 0, not {timeout!r}")
        if ask is not None and not callable(ask):
            raise ConfigurationError(f"prompt must be a function such as input, not {kind_of(ask)}")
        at_sandbox = is_loopback(urlsplit(attempt.url).hostname)
        endpoint = endpoint_of(attempt.redirect_uri, HOW_TO_REGISTER_AT_SANDBOX if at_sandbox else HOW_TO_REGISTER)
        receiver = CallbackReceiver(attempt, issuer, endpoint, say)
        return cls(
            attempt=attempt,
            timeout=min(float(timeout), MAX_AGE.total_seconds()),
            opens_browser=bool(opens_browser),
            receiver=receiver,
            listener=Listener(receiver.endpoint, receiver.receive, receiver.final),
            prompt=prompt_for(receiver, ask),
        )

    @property
    def arrival(self) -> Arrival:
        """Settled when the wait is over."""
        return self.receiver.arrival

    @property
    def gone(self) -> Promise[None]:
        """Settled when nothing listens any more."""
        return self.listener.gone

    def open(self) -> None:
        """Take the port, tell the user where to go, and start to wait. A paste needs no port."""
        try:
            self.listener.open()
        except ConfigurationError as error:
            if self.prompt is None:
                raise
            words = in_words(error)
            problem = words if words == str(error) else f"{words[:1].upper()}{words[1:]}. ({error})"
            say(tr("{problem} Or go on without: paste the address that the browser ends up on.", problem=problem))
        say(f"{tr('To sign in, open this address in a browser:')}\n\n    {self.attempt.url}\n")
        if self.opens_browser:
            show(self.attempt.url, self.arrival)
        if self.prompt is not None:
            say(tr("When the browser comes back, this goes on by itself: there is nothing to type here."))
            self.prompt.open()

    def callback(self) -> str:
        """What came back; raises `LoginTimeoutError` if nothing did, and what made waiting pointless."""
        arrived = self.arrival.settle(None)  # who comes from now on comes too late
        if arrived is None:
            raise self._timed_out()
        if isinstance(arrived, Exception):
            raise arrived
        return arrived

    def _timed_out(self) -> LoginTimeoutError:
        endpoint = self.receiver.endpoint
        seen = (
            f" A callback without state had come, which said {self.receiver.reported}" if self.receiver.reported else ""
        )
        if endpoint.registering == HOW_TO_REGISTER_AT_SANDBOX:
            said = "The sandbox's terminal says why, if it did not send the browser back."
            cause = f"{said} {endpoint.registering}"
        else:
            cause = (
                "If the user did open EXBO's page, the likely cause is the redirect URI: unless it is registered for "
                "this application letter by letter (scheme, host, port, path, a slash at the end), EXBO never comes "
                f"back and does not say why. Compare it with /myapps in {BOT}, EXBO's Telegram bot, which takes up to "
                "ten."
            )
        return LoginTimeoutError(
            f"nobody came back to {endpoint.redirect_uri} within {self.timeout:g} seconds. {cause}{seen}"
        )

    @contextmanager
    def reporting(self) -> Generator[None]:
        """What the browser is shown at the end is how this block ends."""
        try:
            yield
        except BaseException as error:
            self._conclude(error)
            raise
        self._conclude(None)

    def _conclude(self, error: BaseException | None) -> None:
        self.receiver.conclude(error)
        self._concluded = isinstance(error, Exception | None)  # else we were called off, and are in a hurry
        if self._concluded:
            self.listener.finish()

    @property
    def lingers(self) -> bool:
        """Whether the browser is yet to be told the outcome, which takes two seconds at most."""
        return self._concluded

    def stop(self) -> None:
        """End at once, whatever is going on. May be called again."""
        self.arrival.settle(None)
        self.listener.stop()
