"""The part of the server that a person meets: signing in, the consent page, and the session that ties them together.

Passport's own order of steps (cases Z01 to Z25): the request is checked first, then the guest is sent to ``/login``
and from there back; the consent form carries a CSRF token and the request's own `auth_token`.
"""

import secrets
from itertools import islice

from attrs import define, field

from ..protocol.messages import Request, Response
from .authorize import Authorizer, AuthorizeRequest
from .dialect import redirect_answer
from .forms import input_of, method_of, query_of
from .knobs import is_login
from .laravel import ServerCrash, framework_error, html_answer, origin_of, see_login, unauthenticated
from .pages import consent_page, login_page
from .php import Array, Value
from .state import User
from .texts import language_of

__all__ = ["Browser"]

_SESSIONS = 10_000
_LISTED = 12


@define(repr=False)
class _Session:
    csrf: str = field(factory=lambda: secrets.token_urlsafe(30))
    user_id: int | None = None
    intended: str | None = None
    asked: AuthorizeRequest | None = None
    auth_token: str | None = None
    asked_to_sign_in: bool = False

    def forget(self) -> None:
        """Sign out, which makes forms that are still open worthless."""
        self.csrf = secrets.token_urlsafe(30)
        self.user_id = self.asked = self.auth_token = None


def _cookie_name(request: Request) -> str:
    """Browsers send cookies to every port of a host (RFC 6265, section 8.5), and two sandboxes may run on one."""
    port = filter(str.isdecimal, origin_of(request).rpartition(":")[2])
    return f"exbo_sandbox_{''.join(port)}"


def _cookie(request: Request) -> str:
    wanted = _cookie_name(request)
    for part in request.header("cookie").split(";"):
        name, _, value = part.strip().partition("=")
        if name == wanted:
            return value
    return ""


def _text(value: Value) -> str:
    return value if isinstance(value, str) else ""


@define
class Browser:
    """The pages' side of the server."""

    authorizer: Authorizer
    _sessions: dict[str, _Session] = field(factory=dict)

    def _session(self, request: Request) -> tuple[str, _Session]:
        key = _cookie(request)
        if key not in self._sessions:
            key = secrets.token_urlsafe(30)
            self._sessions[key] = _Session()
            if len(self._sessions) > _SESSIONS:
                del self._sessions[next(iter(self._sessions))]
        return key, self._sessions[key]

    def _user(self, session: _Session) -> User | None:
        users = self.authorizer.issuer.registry.users
        return None if session.user_id is None else users.get(session.user_id)

    @staticmethod
    def _remembered(request: Request, response: Response, key: str) -> Response:
        cookie = f"{_cookie_name(request)}={key}; Path=/; HttpOnly; SameSite=Lax"
        return Response(response.status, {**response.headers, "set-cookie": cookie}, response.content)

    def authorize(self, request: Request) -> Response:
        """``GET /oauth/authorize``."""
        query = query_of(request.url)
        asked = self.authorizer.check(query)
        key, session = self._session(request)
        return self._remembered(request, self._next_step(request, query.get("prompt"), asked, session), key)

    def _next_step(self, request: Request, prompt: Value, asked: AuthorizeRequest, session: _Session) -> Response:
        user = self._user(session)
        if user is None or (prompt == "login" and not session.asked_to_sign_in):
            if prompt == "none":
                return self._refusal(asked, "not_signed_in")
            if user is not None:
                session.forget()
            session.asked_to_sign_in, session.intended = True, request.url
            return unauthenticated(request)
        session.asked_to_sign_in = False
        if prompt != "consent" and self.authorizer.consented(asked, user):
            return redirect_answer(self.authorizer.approve(asked, user))
        if prompt == "none":
            return self._refusal(asked, "not_consented")
        session.asked, session.auth_token = asked, secrets.token_urlsafe(12)
        session.intended = request.url  # for those who sign in as somebody else
        return self._consent(request, asked, session, user)

    def _consent(self, request: Request, asked: AuthorizeRequest, session: _Session, user: User) -> Response:
        page = consent_page(
            asked.app,
            user,
            scopes=self.authorizer.defined(asked.scopes),
            target=asked.target,
            csrf=session.csrf,
            auth_token=session.auth_token or "",
            language=language_of(request),
        )
        return html_answer(page.html, headers=page.headers)

    def _refusal(self, asked: AuthorizeRequest, reason: str) -> Response:
        return self.authorizer.issuer.dialect.answer(self.authorizer.refused(asked, reason))

    def decide(self, request: Request) -> Response:
        """``POST`` (approve) and ``DELETE`` (deny) ``/oauth/authorize``; forms say DELETE in ``_method``."""
        fields = input_of(request)
        _, session = self._session(request)
        if not _csrf_holds(request, fields, session):
            return framework_error(request, 419, "CSRF token mismatch.")
        user = self._user(session)
        if user is None:
            return unauthenticated(request)
        if self._is_another_request(fields, session):
            session.asked = session.auth_token = None
            message = "The provided auth token for the request is different from the session auth token."
            return framework_error(request, 403, message)
        return self._decision(request, session, user)

    def _is_another_request(self, fields: Array, session: _Session) -> bool:
        """Version 8 lets a form through that names no request at all, and version 9 none that is empty."""
        named = fields.get("auth_token")
        if self.authorizer.issuer.dialect.consent_serves_once:
            return named is None or named != session.auth_token
        return "auth_token" in fields and named != session.auth_token

    def _decision(self, request: Request, session: _Session, user: User) -> Response:
        asked = session.asked
        if asked is None:
            raise ServerCrash
        if self.authorizer.issuer.dialect.consent_serves_once:
            session.asked = session.auth_token = None
        decide = self.authorizer.deny if method_of(request) == "DELETE" else self.authorizer.approve
        return redirect_answer(decide(asked, user))

    def login_form(self, request: Request) -> Response:
        """``GET /login``."""
        key, session = self._session(request)
        return self._remembered(request, self._login_page(request, session), key)

    def _login_page(self, request: Request, session: _Session, unknown: str | None = None) -> Response:
        known = islice(self.authorizer.issuer.registry.users.values(), _LISTED)
        language = language_of(request)
        page = login_page(
            known,
            csrf=session.csrf,
            language=language,
            unknown=unknown,
            can_be_made=unknown is not None and is_login(unknown),
        )
        return html_answer(page.html, 200 if unknown is None else 422, page.headers)

    def login(self, request: Request) -> Response:
        """``POST /login``: no password, only a choice; with ``make`` of somebody new."""
        fields = input_of(request)
        key, session = self._session(request)
        if not _csrf_holds(request, fields, session):
            return framework_error(request, 419, "CSRF token mismatch.")
        login = _text(fields.get("login"))
        user = self.authorizer.issuer.registry.user_by_login(login)
        if user is None and "make" in fields and is_login(login):
            user = self._made(login)
        if user is None:
            return self._login_page(request, session, unknown=login)
        return self._signed_in(request, key, session, user)

    def _made(self, login: str) -> User:
        issuer = self.authorizer.issuer
        user = issuer.registry.new_user(login)
        issuer.journal.note("joined", issuer.clock.now(), user_id=user.id)
        return user

    def _signed_in(self, request: Request, key: str, session: _Session, user: User) -> Response:
        target = session.intended or f"{origin_of(request)}/"
        # A new session id on every sign-in: one that was known before must not become a signed-in one.
        del self._sessions[key]
        key = secrets.token_urlsafe(30)
        self._sessions[key] = _Session(user_id=user.id, asked_to_sign_in=session.asked_to_sign_in)
        issuer = self.authorizer.issuer
        issuer.journal.note("signed_in", issuer.clock.now(), user_id=user.id)
        return self._remembered(request, see_login(target), key)


def _csrf_holds(request: Request, fields: Array, session: _Session) -> bool:
    token = fields.get("_token") or request.header("x-csrf-token")
    return isinstance(token, str) and secrets.compare_digest(
        token.encode("utf-8", "surrogateescape"), session.csrf.encode()
    )
