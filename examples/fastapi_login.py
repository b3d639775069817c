"""Log in with EXBO on a FastAPI site.

    pip install exbo-oauth fastapi itsdangerous uvicorn
    export EXBO_CLIENT_ID=… EXBO_CLIENT_SECRET=… EXBO_REDIRECT_URI=http://localhost:8000/callback SESSION_SECRET=…
    uvicorn fastapi_login:app

The session cookie holds who the visitor is, and the sign-in while it is under way. Tokens stay in the store.
"""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import escape

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.middleware.sessions import SessionMiddleware

from exbo_oauth import AsyncOAuthClient, CallbackError, LoginAttempt, LoginRequiredError, OAuthError

API = os.environ.get("EXBO_API_URL", "https://eapi.stalcraft.net")


@asynccontextmanager
async def exbo_client(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncOAuthClient.from_env() as app.state.exbo, httpx.AsyncClient() as app.state.http:
        yield


app = FastAPI(lifespan=exbo_client)
app.add_middleware(
    SessionMiddleware,
    secret_key=os.environ.get("SESSION_SECRET") or secrets.token_urlsafe(32),
    https_only=os.environ.get("EXBO_REDIRECT_URI", "").startswith("https:"),
)


@app.get("/")
async def home(request: Request) -> Response:
    if "user" not in request.session:
        return HTMLResponse('<a href="/login">Log in with EXBO</a>')
    auth = app.state.exbo.user_auth(request.session["user"])  # refreshes the token when it has to
    try:
        answer = await app.state.http.get(f"{API}/RU/characters", auth=auth)
    except LoginRequiredError:
        return RedirectResponse("/login", 303)
    characters = ", ".join(character["information"]["name"] for character in answer.raise_for_status().json())
    hello = f"<p>Hello, {escape(request.session['name'])}! Your characters: {escape(characters)}</p>"
    return HTMLResponse(f'{hello}<form method="post" action="/logout"><button>Log out</button></form>')


@app.get("/login")
async def login(request: Request) -> Response:
    attempt = app.state.exbo.begin_login()
    request.session["login"] = attempt.to_dict()
    return RedirectResponse(attempt.url, 303)


@app.get("/callback")
async def callback(request: Request) -> Response:
    if "login" not in request.session:
        return PlainTextResponse("No sign-in is under way in this browser. Start at /login.", 400)
    attempt = LoginAttempt.from_dict(request.session["login"])
    token = await app.state.exbo.finish_login(attempt, str(request.url))  # checks the state before anything else
    user = await app.state.exbo.validate_user_token(token)
    await app.state.exbo.save_user_token(user.uuid, token)
    request.session.clear()
    request.session.update(user=str(user.uuid), name=user.name)
    return RedirectResponse("/", 303)


@app.post("/logout")
async def logout(request: Request) -> Response:
    if "user" in request.session:
        await app.state.exbo.forget_user_token(request.session["user"])
    request.session.clear()
    return RedirectResponse("/", 303)


@app.exception_handler(OAuthError)
async def explain(_: Request, error: OAuthError) -> Response:
    return PlainTextResponse(f"The sign-in did not work: {error}", 400 if isinstance(error, CallbackError) else 502)
