"""Log in with EXBO on a FastAPI site.

    pip install exbo-oauth fastapi itsdangerous uvicorn
    export EXBO_CLIENT_ID=… EXBO_CLIENT_SECRET=… EXBO_REDIRECT_URI=http://localhost:9999/callback SESSION_SECRET=…
    uvicorn --no-access-log --port 9999 fastapi_login:app  # its lines would hold codes

Then open http://localhost:9999. docs/signing-in.md shows how to try it at your desk, without an application
of your own.

The session cookie holds who the visitor is, and the sign-ins that are under way, one per tab. Tokens stay in the store.
"""

import logging
import os
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import escape
from urllib.parse import urlsplit

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.middleware.sessions import SessionMiddleware

from exbo_oauth import (
    AccessDeniedError,
    AsyncOAuthClient,
    CallbackError,
    ConfigurationError,
    InvalidGrantError,
    LoginRequiredError,
    OAuthError,
    PendingLogins,
)

API = os.environ.get("EXBO_API_URL", "https://eapi.stalcraft.net")

try:
    exbo = AsyncOAuthClient.from_env()
except ConfigurationError as error:
    sys.exit(f"fastapi_login: {error}")


SESSION_SECRET = os.environ.get("SESSION_SECRET", "")
if not SESSION_SECRET:
    SESSION_SECRET = secrets.token_urlsafe(32)
    print(
        "fastapi_login: SESSION_SECRET is not set: this process makes its own up, so run one process only",
        file=sys.stderr,
    )


@asynccontextmanager
async def connections(app: FastAPI) -> AsyncIterator[None]:
    async with exbo, httpx.AsyncClient() as app.state.http:
        yield


app = FastAPI(lifespan=connections)
app.add_middleware(
    SessionMiddleware,
    secret_key=SESSION_SECRET,
    https_only=os.environ.get("EXBO_REDIRECT_URI", "").startswith("https:"),
)


@app.get("/")
async def home(request: Request) -> Response:
    if "user" not in request.session:
        return HTMLResponse('<a href="/login">Log in with EXBO</a>')
    auth = exbo.user_auth(request.session["user"])  # refreshes the token when it has to
    try:
        answer = await app.state.http.get(f"{API}/RU/characters", auth=auth)
    except LoginRequiredError:
        return RedirectResponse("/login", 303)
    characters = ", ".join(character["information"]["name"] for character in answer.raise_for_status().json())
    hello = f"<p>Hello, {escape(request.session['name'])}! Your characters: {escape(characters)}</p>"
    return HTMLResponse(f'{hello}<form method="post" action="/logout"><button>Log out</button></form>')


@app.get("/login")
async def login(request: Request) -> Response:
    attempt = exbo.begin_login()
    site = urlsplit(attempt.redirect_uri)
    if site.hostname in ("localhost", "127.0.0.1") and request.headers.get("host") != site.netloc:
        # Uvicorn prints one of these addresses and you may have registered the other: the cookie is for one of them.
        return RedirectResponse(f"http://{site.netloc}/login", 303)
    logins = dict(request.session.get("logins", {}))
    PendingLogins(logins, most=3).add(attempt)
    request.session["logins"] = logins
    return RedirectResponse(attempt.url, 303)


@app.get("/callback")
async def callback(request: Request) -> Response:
    logins = dict(request.session.get("logins", {}))
    attempt = PendingLogins(logins).take(request.url.query)
    if attempt is None and "user" in request.session:  # this page was loaded again, or the phone had fetched it before
        return RedirectResponse("/", 303)
    if attempt is None:
        return PlainTextResponse("No sign-in is under way in this browser. Start at /login.", 400)
    token = await exbo.finish_login(attempt, request.url.query)  # checks the state before anything else
    user = await exbo.validate_user_token(token)
    await exbo.save_user_token(user.uuid, token)
    request.session.clear()
    request.session.update(user=str(user.uuid), name=user.name, logins=logins)
    return RedirectResponse("/", 303)


@app.post("/logout")
async def logout(request: Request) -> Response:
    if "user" in request.session:
        await exbo.forget_user_token(request.session["user"])
    request.session.clear()
    return RedirectResponse("/", 303)


@app.exception_handler(InvalidGrantError)
async def explain_nothing(_: Request, __: Exception) -> Response:
    return RedirectResponse("/", 303)  # the code is spent, by a phone that asked twice at once, or too old


@app.exception_handler(AccessDeniedError)
async def explain_denial(_: Request, __: Exception) -> Response:
    return PlainTextResponse("You declined, so you are not logged in. Start at /login.", 400)


@app.exception_handler(OAuthError)
@app.exception_handler(httpx.HTTPError)
async def explain(_: Request, error: Exception) -> Response:
    logging.getLogger("fastapi_login").warning("%s", error)  # for you: a visitor cannot do anything about it
    return PlainTextResponse("That did not work. Try again later.", 400 if isinstance(error, CallbackError) else 502)
