"""Who of all that come is the one we wait for: the decisions of `login`, without its sockets.

The listener and the paste prompt bring what they got, each on a thread of its own. What carries this attempt's state,
from the right server, with a code or an error in it, ends the wait. Everything else is told so and changes nothing.
"""

from collections.abc import Callable
from typing import Any

from attrs import define, field, frozen

from ..errors import AccessDeniedError, CallbackError, OAuthError
from ..flow.attempt import LoginAttempt
from ..meaning import quoting
from ..promise import Promise
from ..protocol.authorization import carries_state, parse_callback
from . import pages
from .callback import Language, Refusal, read
from .endpoint import CallbackEndpoint

__all__ = ["Arrival", "CallbackReceiver", "Reply", "Verdict"]

# What ended the wait: the callback, what went wrong with waiting, or None when the time was up.
Arrival = Promise[str | Exception | None]

# RFC 6749, section 4.1.2.1, and what OpenID servers add. A stranger's other words are not repeated to anybody.
_KNOWN_ERRORS = {
    "access_denied": "access_denied: the user or the server declined.",
    "consent_required": "consent_required: the user has to be asked.",
    "interaction_required": "interaction_required: the user has to be asked.",
    "invalid_request": "invalid_request: a parameter of the authorize address is missing or wrong.",
    "invalid_scope": "invalid_scope: EXBO defines no scope, leave the client's scope empty.",
    "login_required": "login_required: the user has to sign in at EXBO first.",
    "server_error": "server_error: EXBO failed, try again later.",
    "temporarily_unavailable": "temporarily_unavailable: EXBO is overloaded or in maintenance, try again later.",
    "unauthorized_client": "unauthorized_client: the application may not sign users in; is it approved?",
    "unsupported_response_type": "unsupported_response_type: the server does not know this kind of sign-in.",
}


@frozen
class Verdict:
    """What a callback is worth. `problem` says what is wrong with it; one without state may be `reported` by EXBO."""

    ends_wait: bool
    problem: str | None = None
    reported: str | None = None


@frozen(repr=False)
class Reply:
    """What to send. Without `content` the visitor waits for the sign-in's outcome; `admits` is the way there."""

    content: bytes | None
    language: Language = "en"
    admits: bool = False


@define(eq=False, repr=False)
class CallbackReceiver:
    """Receives callbacks for one attempt. `tell` gets a line for the person at the terminal."""

    attempt: LoginAttempt
    issuer: str
    endpoint: CallbackEndpoint
    tell: Callable[[str], None]
    arrival: Arrival = field(factory=lambda: Promise[str | Exception | None]())
    reported: str | None = None
    _begun: str = ""
    _outcome: tuple[pages.Kind, str | None] = (pages.STOPPED, None)

    def receive(self, head: bytes) -> Reply:
        """The answer to an HTTP request's head."""
        asked = read(head, self.endpoint)
        if isinstance(asked, Refusal):
            return Reply(pages.refused(asked.status))
        query = asked.query.reveal()
        if not query and self.arrival.settled:
            return Reply(None, asked.language)
        return self._answer(query, asked.language)

    def _answer(self, query: str, language: Language) -> Reply:
        verdict = self.judge(query)
        if verdict.ends_wait:
            self.arrival.settle(query)
            return Reply(pages.moved(self.endpoint.clean_url), admits=True)
        if verdict.reported is None:
            return Reply(pages.page(pages.STRANGE, language))
        self._report(verdict.reported)
        return Reply(pages.page(pages.REPORTED, language, verdict.reported))

    def pasted(self, text: Any) -> str | None:
        """Take what was pasted: None if it ends the wait, else what is wrong with it.

        A terminal hands out an address with a line break in it piece by piece, so it is also read on from the last.
        """
        if not isinstance(text, str):  # a prompt of the caller's may give anything
            return self.judge(text).problem
        for whole in (text, self._begun + text):
            if self.judge(whole).ends_wait:
                self.arrival.settle(whole)
                return None
        self._begun = text if "://" in text else self._begun + text
        return self.judge(text).problem

    def judge(self, callback: str) -> Verdict:
        """Whether `callback` is this attempt's; the order of checks is `parse_callback`'s."""
        try:
            parse_callback(callback, state=self.attempt.state, issuer=self.issuer)
        except CallbackError as error:
            if error.error is None:
                return Verdict(ends_wait=False, problem=quoting(error))
            if carries_state(callback):  # and the right one, or there would be no `error.error`
                return Verdict(ends_wait=True)
            return Verdict(ends_wait=False, problem=quoting(error), reported=_KNOWN_ERRORS.get(error.error))
        return Verdict(ends_wait=True)

    def _report(self, reported: str) -> None:
        if self.reported is None:  # once: anybody could send us thousands
            self.reported = reported
            self.tell(f"EXBO sent the browser back with an error. {reported}")

    def conclude(self, error: BaseException | None) -> None:
        """Fix what the browser is shown at the end."""
        if error is None:
            self._outcome = (pages.DONE, None)
        elif isinstance(error, AccessDeniedError):
            self._outcome = (pages.DENIED, None)
        elif isinstance(error, OAuthError):
            self._outcome = (pages.FAILED, str(error))

    def final(self, language: Language) -> bytes:
        """The last page: how the sign-in ended, or that nobody waited for its end."""
        kind, detail = self._outcome
        return pages.page(kind, language, detail)
