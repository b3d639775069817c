"""Log in with EXBO on a Django site, with plain views and with asynchronous ones.

    pip install exbo-oauth "django>=5.1"
    export EXBO_CLIENT_ID=… EXBO_CLIENT_SECRET=… EXBO_REDIRECT_URI=http://localhost:9999/callback SESSION_SECRET=…
    python django_login.py runserver 9999

Then open http://localhost:9999. docs/signing-in.md shows how to try it at your desk, without an application
of your own.
EXBO_REDIRECT_URI=http://localhost:9999/async/callback tries the asynchronous views.

The session is on the server: it holds who the visitor is, and the sign-ins that are under way, one per tab. Tokens stay
in the store.
"""

import logging
import os
import secrets
import sys
from urllib.parse import urlsplit

import httpx
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.middleware.csrf import get_token
from django.urls import path
from django.utils.deprecation import MiddlewareMixin
from django.utils.html import format_html

from exbo_oauth import (
    AccessDeniedError,
    AsyncOAuthClient,
    CallbackError,
    ConfigurationError,
    InvalidGrantError,
    LoginAttempt,
    LoginRequiredError,
    OAuthError,
    PendingLogins,
    SyncOAuthClient,
    UserInfo,
)

API = os.environ.get("EXBO_API_URL", "https://eapi.stalcraft.net")

try:
    exbo, async_exbo = SyncOAuthClient.from_env(), AsyncOAuthClient.from_env()
except ConfigurationError as error:
    sys.exit(f"django_login: {error}")

SESSION_SECRET = os.environ.get("SESSION_SECRET", "")
if not SESSION_SECRET:
    SESSION_SECRET = secrets.token_urlsafe(32)
    print(
        "django_login: SESSION_SECRET is not set: this process makes its own up, so run one process only",
        file=sys.stderr,
    )

SITE = urlsplit(exbo.begin_login().redirect_uri)

if not settings.configured:
    settings.configure(
        SECRET_KEY=SESSION_SECRET,
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["localhost", "127.0.0.1", SITE.hostname],
        INSTALLED_APPS=["django.contrib.sessions"],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            f"{__name__}.ExplainErrors",
        ],
        SESSION_ENGINE="django.contrib.sessions.backends.file",
        SESSION_COOKIE_SECURE=SITE.scheme == "https",
        CSRF_TRUSTED_ORIGINS=[f"{SITE.scheme}://{SITE.netloc}"],  # behind a proxy that speaks TLS
    )

HELLO = (
    "<p>Hello, {}! Your characters: {}</p>"
    '<form method="post" action="/logout"><input type="hidden" name="csrfmiddlewaretoken" value="{}">'
    "<button>Log out</button></form>"
)


def home(request: HttpRequest) -> HttpResponse:
    if "user" not in request.session:
        return HttpResponse('<a href="/login">Log in with EXBO</a>')
    auth = exbo.user_auth(request.session["user"])  # refreshes the token when it has to
    try:
        answer = httpx.get(f"{API}/RU/characters", auth=auth).raise_for_status()
    except LoginRequiredError:
        return HttpResponseRedirect("/login")
    characters = ", ".join(character["information"]["name"] for character in answer.json())
    return HttpResponse(format_html(HELLO, request.session["name"], characters, get_token(request)))


def begin(request: HttpRequest) -> HttpResponse:
    attempt = exbo.begin_login()
    if SITE.hostname in ("localhost", "127.0.0.1") and request.get_host() != SITE.netloc:
        # Django prints one of these addresses and you may have registered the other: the cookie is for one of them.
        return HttpResponseRedirect(f"http://{SITE.netloc}{request.path}")
    logins = dict(request.session.get("logins", {}))
    PendingLogins(logins, most=10).add(attempt)
    request.session["logins"] = logins
    return HttpResponseRedirect(attempt.url)


def came_back(request: HttpRequest) -> LoginAttempt | HttpResponse:
    logins = dict(request.session.get("logins", {}))
    attempt = PendingLogins(logins).take(request.get_full_path())
    if attempt is not None:
        request.session["logins"] = logins
        return attempt
    if "user" in request.session:  # this page was loaded again, or the phone had fetched it before
        return HttpResponseRedirect("/")
    return HttpResponse("No sign-in is under way in this browser. Start at /login.", "text/plain", 400)


def sign_in(request: HttpRequest, user: UserInfo) -> HttpResponse:
    logins = request.session.get("logins", {})
    request.session.flush()  # a session id from before the sign-in must not be worth anything
    request.session.update({"user": str(user.uuid), "name": user.name, "logins": logins})
    return HttpResponseRedirect("/")


def login(request: HttpRequest) -> HttpResponse:
    return begin(request)


def callback(request: HttpRequest) -> HttpResponse:
    attempt = came_back(request)
    if isinstance(attempt, HttpResponse):
        return attempt
    token = exbo.finish_login(attempt, request.get_full_path())  # checks the state before anything else
    user = exbo.validate_user_token(token)
    exbo.save_user_token(user.uuid, token)
    return sign_in(request, user)


async def async_login(request: HttpRequest) -> HttpResponse:
    await request.session.aget("logins")  # loads the session without blocking the loop; then it is in memory
    return begin(request)


async def async_callback(request: HttpRequest) -> HttpResponse:
    await request.session.aget("logins")
    attempt = came_back(request)
    if isinstance(attempt, HttpResponse):
        return attempt
    token = await async_exbo.finish_login(attempt, request.get_full_path())
    user = await async_exbo.validate_user_token(token)
    await async_exbo.save_user_token(user.uuid, token)
    logins = await request.session.aget("logins", {})
    await request.session.aflush()
    await request.session.aupdate({"user": str(user.uuid), "name": user.name, "logins": logins})
    return HttpResponseRedirect("/")


def logout(request: HttpRequest) -> HttpResponse:
    if request.method == "POST" and "user" in request.session:
        exbo.forget_user_token(request.session["user"])
        request.session.flush()
    return HttpResponseRedirect("/")


class ExplainErrors(MiddlewareMixin):
    """Says what went wrong, in place of a server error."""

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, OAuthError | httpx.HTTPError):
            return None
        if isinstance(error, InvalidGrantError):  # the code is spent, by a phone that asked twice at once, or too old
            return HttpResponseRedirect("/")
        if isinstance(error, AccessDeniedError):
            return HttpResponse("You declined, so you are not logged in. Start at /login.", "text/plain", 400)
        logging.getLogger("django_login").warning("%s", error)  # for you: a visitor cannot do anything about it
        status = 400 if isinstance(error, CallbackError) else 502
        return HttpResponse("That did not work. Try again later.", "text/plain", status)


urlpatterns = [
    path("", home),
    path("login", login),
    path("callback", callback),
    path("async/login", async_login),
    path("async/callback", async_callback),
    path("logout", logout),
]

if __name__ == "__main__":
    # What Django's own server prints of callbacks holds codes.
    logging.getLogger("django.server").addFilter(lambda record: "/callback?" not in record.getMessage())
    execute_from_command_line(sys.argv)
