"""Log in with EXBO on a Django site, with plain views and with asynchronous ones.

    pip install exbo-oauth "django>=5.1"
    export EXBO_CLIENT_ID=… EXBO_CLIENT_SECRET=… SESSION_SECRET=…
    python django_login.py runserver 8000

Register the addresses of both callbacks, http://localhost:8000/callback and http://localhost:8000/async/callback, or
the one of the views that you keep. The session is on the server: it holds who the visitor is, and the sign-in while
it is under way. Tokens stay in the store.
"""

import os
import secrets
import sys

import httpx
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.middleware.csrf import get_token
from django.urls import path, reverse
from django.utils.deprecation import MiddlewareMixin
from django.utils.html import format_html

from exbo_oauth import (
    AsyncOAuthClient,
    CallbackError,
    LoginAttempt,
    LoginRequiredError,
    OAuthError,
    SyncOAuthClient,
)

API = os.environ.get("EXBO_API_URL", "https://eapi.stalcraft.net")

if not settings.configured:
    settings.configure(
        SECRET_KEY=os.environ.get("SESSION_SECRET") or secrets.token_urlsafe(32),
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["localhost"],
        INSTALLED_APPS=["django.contrib.sessions"],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            f"{__name__}.ExplainErrors",
        ],
        SESSION_ENGINE="django.contrib.sessions.backends.file",
    )

exbo = SyncOAuthClient.from_env()
async_exbo = AsyncOAuthClient.from_env()

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


def login(request: HttpRequest) -> HttpResponse:
    attempt = exbo.begin_login(redirect_uri=request.build_absolute_uri(reverse("callback")))
    request.session["login"] = attempt.to_dict()
    return HttpResponseRedirect(attempt.url)


def callback(request: HttpRequest) -> HttpResponse:
    if "login" not in request.session:
        return not_begun()
    attempt = LoginAttempt.from_dict(request.session["login"])
    token = exbo.finish_login(attempt, request.build_absolute_uri())  # checks the state before anything else
    user = exbo.validate_user_token(token)
    exbo.save_user_token(user.uuid, token)
    request.session.flush()  # a session id from before the sign-in must not be worth anything
    request.session.update({"user": str(user.uuid), "name": user.name})
    return HttpResponseRedirect("/")


async def async_login(request: HttpRequest) -> HttpResponse:
    attempt = async_exbo.begin_login(redirect_uri=request.build_absolute_uri(reverse("async-callback")))
    await request.session.aset("login", attempt.to_dict())
    return HttpResponseRedirect(attempt.url)


async def async_callback(request: HttpRequest) -> HttpResponse:
    saved = await request.session.aget("login")
    if saved is None:
        return not_begun()
    token = await async_exbo.finish_login(LoginAttempt.from_dict(saved), request.build_absolute_uri())
    user = await async_exbo.validate_user_token(token)
    await async_exbo.save_user_token(user.uuid, token)
    await request.session.aflush()
    await request.session.aupdate({"user": str(user.uuid), "name": user.name})
    return HttpResponseRedirect("/")


def logout(request: HttpRequest) -> HttpResponse:
    if request.method == "POST" and "user" in request.session:
        exbo.forget_user_token(request.session["user"])
        request.session.flush()
    return HttpResponseRedirect("/")


def not_begun() -> HttpResponse:
    return HttpResponse("No sign-in is under way in this browser. Start at /login.", "text/plain", 400)


class ExplainErrors(MiddlewareMixin):
    """Says what went wrong with a sign-in, in place of a server error."""

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, OAuthError):
            return None
        status = 400 if isinstance(error, CallbackError) else 502
        return HttpResponse(f"The sign-in did not work: {error}", "text/plain", status)


urlpatterns = [
    path("", home),
    path("login", login),
    path("callback", callback, name="callback"),
    path("async/login", async_login),
    path("async/callback", async_callback, name="async-callback"),
    path("logout", logout),
]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
