"""Log in with EXBO on a Flask site.

    pip install exbo-oauth flask
    export EXBO_CLIENT_ID=… EXBO_CLIENT_SECRET=… EXBO_REDIRECT_URI=http://localhost:9999/callback SESSION_SECRET=…
    flask --app flask_login run --port 9999

Then open http://localhost:9999. docs/signing-in.md shows how to try it at your desk, without an application
of your own.

The session cookie holds who the visitor is, and the sign-ins that are under way, one per tab. Tokens stay in the store.
"""

import logging
import os
import secrets
import sys
from urllib.parse import urlsplit

import httpx
from flask import Flask, Response, redirect, render_template_string, request, session
from werkzeug.wrappers import Response as AnyResponse

from exbo_oauth import (
    AccessDeniedError,
    CallbackError,
    ConfigurationError,
    InvalidGrantError,
    LoginRequiredError,
    OAuthError,
    PendingLogins,
    SyncOAuthClient,
)

API = os.environ.get("EXBO_API_URL", "https://eapi.stalcraft.net")

try:
    exbo = SyncOAuthClient.from_env()
except ConfigurationError as error:
    sys.exit(f"flask_login: {error}")

# What Flask's own server prints of callbacks holds codes. One that you put in its place has an access log of its own.
logging.getLogger("werkzeug").addFilter(lambda record: "/callback?" not in record.getMessage())

SESSION_SECRET = os.environ.get("SESSION_SECRET", "")
if not SESSION_SECRET:
    SESSION_SECRET = secrets.token_urlsafe(32)
    print(
        "flask_login: SESSION_SECRET is not set: this process makes its own up, so run one process only",
        file=sys.stderr,
    )

app = Flask(__name__)
app.secret_key = SESSION_SECRET
app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
app.config["SESSION_COOKIE_SECURE"] = os.environ.get("EXBO_REDIRECT_URI", "").startswith("https:")

HELLO = """<p>Hello, {{ name }}! Your characters: {{ characters | join(", ") }}</p>
<form method="post" action="/logout"><button>Log out</button></form>"""


@app.get("/")
def home() -> str | AnyResponse:
    if "user" not in session:
        return '<a href="/login">Log in with EXBO</a>'
    auth = exbo.user_auth(session["user"])  # refreshes the token when it has to
    try:
        answer = httpx.get(f"{API}/RU/characters", auth=auth).raise_for_status()
    except LoginRequiredError:
        return redirect("/login", 303)
    characters = [character["information"]["name"] for character in answer.json()]
    return render_template_string(HELLO, name=session["name"], characters=characters)


@app.get("/login")
def login() -> AnyResponse:
    attempt = exbo.begin_login()
    site = urlsplit(attempt.redirect_uri)
    if site.hostname in ("localhost", "127.0.0.1") and request.host != site.netloc:
        # Flask prints one of these addresses and you may have registered the other: the cookie is for one of them.
        return redirect(f"http://{site.netloc}/login", 303)
    logins = dict(session.get("logins", {}))
    PendingLogins(logins, most=3).add(attempt)
    session["logins"] = logins
    return redirect(attempt.url, 303)


@app.get("/callback")
def callback() -> AnyResponse:
    logins = dict(session.get("logins", {}))
    attempt = PendingLogins(logins).take(request.url)
    if attempt is None and "user" in session:  # this page was loaded again, or the phone had fetched it before
        return redirect("/", 303)
    if attempt is None:
        return Response("No sign-in is under way in this browser. Start at /login.", 400, mimetype="text/plain")
    token = exbo.finish_login(attempt, request.url)  # checks the state before anything else
    user = exbo.validate_user_token(token)
    exbo.save_user_token(user.uuid, token)
    session.clear()
    session.update(user=str(user.uuid), name=user.name, logins=logins)
    return redirect("/", 303)


@app.post("/logout")
def logout() -> AnyResponse:
    if "user" in session:
        exbo.forget_user_token(session["user"])
    session.clear()
    return redirect("/", 303)


@app.errorhandler(InvalidGrantError)
def explain_nothing(_: Exception) -> AnyResponse:
    return redirect("/", 303)  # the code is spent, by a phone that asked twice at once, or too old


@app.errorhandler(AccessDeniedError)
def explain_denial(_: Exception) -> Response:
    return Response("You declined, so you are not logged in. Start at /login.", 400, mimetype="text/plain")


@app.errorhandler(OAuthError)
@app.errorhandler(httpx.HTTPError)
def explain(error: Exception) -> Response:
    app.logger.warning("%s", error)  # for you: a visitor cannot do anything about it
    status = 400 if isinstance(error, CallbackError) else 502
    return Response("That did not work. Try again later.", status, mimetype="text/plain")
