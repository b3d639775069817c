"""Log in with EXBO on a Flask site.

    pip install exbo-oauth flask
    export EXBO_CLIENT_ID=… EXBO_CLIENT_SECRET=… EXBO_REDIRECT_URI=http://localhost:8000/callback SESSION_SECRET=…
    flask --app flask_login run --port 8000

The session cookie holds who the visitor is, and the sign-in while it is under way. Tokens stay in the store.
"""

import os
import secrets

import httpx
from flask import Flask, Response, redirect, render_template_string, request, session
from werkzeug.wrappers import Response as AnyResponse

from exbo_oauth import CallbackError, LoginAttempt, LoginRequiredError, OAuthError, SyncOAuthClient

API = os.environ.get("EXBO_API_URL", "https://eapi.stalcraft.net")

exbo = SyncOAuthClient.from_env()

app = Flask(__name__)
app.secret_key = os.environ.get("SESSION_SECRET") or secrets.token_urlsafe(32)
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
    session["login"] = attempt.to_dict()
    return redirect(attempt.url, 303)


@app.get("/callback")
def callback() -> AnyResponse:
    if "login" not in session:
        return Response("No sign-in is under way in this browser. Start at /login.", 400, mimetype="text/plain")
    attempt = LoginAttempt.from_dict(session["login"])
    token = exbo.finish_login(attempt, request.url)  # checks the state before anything else
    user = exbo.validate_user_token(token)
    exbo.save_user_token(user.uuid, token)
    session.clear()
    session.update(user=str(user.uuid), name=user.name)
    return redirect("/", 303)


@app.post("/logout")
def logout() -> AnyResponse:
    if "user" in session:
        exbo.forget_user_token(session["user"])
    session.clear()
    return redirect("/", 303)


@app.errorhandler(OAuthError)
def explain(error: OAuthError) -> Response:
    status = 400 if isinstance(error, CallbackError) else 502
    return Response(f"The sign-in did not work: {error}", status, mimetype="text/plain")
