"""What `exbo-oauth demo` does, step by step, and how each step is checked against the server.

A step is a generator that yields what a client's methods return: a value of the blocking client, an awaitable of
the asynchronous one. So the story is written once and told in every colour. A step that does not do what its title
says raises: `Untrue` from here, or whatever the client raises.
"""

from collections.abc import Awaitable, Callable, Generator
from typing import Any, Protocol, TypeAlias, TypeVar
from urllib.parse import parse_qs, urlsplit

from attrs import define, field, frozen

from ..errors import InvalidGrantError, OAuthError, StateMismatchError, UnauthenticatedError
from ..flow.attempt import LoginAttempt
from ..language import mark, tr
from ..models import AppToken, UserToken
from ..testing import App, FakeExbo
from . import visitor

__all__ = ["STORY", "Scene", "Step", "Untrue"]

T = TypeVar("T")

Act: TypeAlias = Generator[Any, Any, T]

ACCOUNT = "ivan"
CALLERS = 20
REDIRECT_URI = "http://localhost:9999/callback"

_JSON = {"Accept": "application/json"}  # without it a refused token is a redirect to the sign-in page


class Untrue(Exception):
    """A step did not do what it says."""


class Together(Protocol):
    """Calls something `count` times at once: the results, or an awaitable of them."""

    def __call__(self, count: int, call: Callable[[], Any]) -> Any: ...


@define(kw_only=True)
class Scene:
    """The actors of one telling, and the props that steps leave to each other."""

    fake: FakeExbo
    app: App
    client: Any
    http: Any
    together: Together
    attempt: LoginAttempt | None = None
    callback: str = field(default="", repr=False)
    user_token: UserToken | None = None
    app_token: AppToken | None = None

    @property
    def resource(self) -> str:
        """The game API that comes with the sandbox; any live token opens it."""
        return f"{self.fake.base_url.removesuffix('/oauth')}/api"

    def token_requests(self, grant: str) -> int:
        """How many token requests of this application the server has seen."""
        received = self.fake.requests
        return sum(request.client_id == self.app.client_id and request.grant == grant for request in received)


@frozen
class Step:
    """One line of the table; `title` is English."""

    title: str
    act: Callable[[Scene], Act[None]]


def _asked(call: "T | Awaitable[T]") -> Act[T]:
    answer: T = yield call
    return answer


def _claim(truth: bool, otherwise: str, **values: object) -> None:
    if not truth:
        raise Untrue(tr(otherwise, **values))


def _refused(call: Any, kind: type[OAuthError], otherwise: str) -> Act[None]:
    """Claims that what `call` starts is refused with an error of this kind."""
    try:
        yield call() if callable(call) else call
    except kind:
        return
    raise Untrue(tr(otherwise))


def _sign_in(scene: Scene) -> Act[None]:
    attempt = scene.attempt = scene.client.begin_login(redirect_uri=REDIRECT_URI)
    query = parse_qs(urlsplit(attempt.url).query)
    _claim(query.get("code_challenge_method") == ["S256"], mark("the authorize URL carries no PKCE challenge"))
    scene.callback = yield from visitor.sign_in(scene.http, attempt.url, ACCOUNT, REDIRECT_URI)
    _claim(
        parse_qs(urlsplit(scene.callback).query).get("state") == [attempt.state], mark("the state did not come back")
    )


def _refuse_forgery(scene: Scene) -> Act[None]:
    forged = f"{REDIRECT_URI}?code=def50200&state=somebody-elses"
    finish = scene.client.finish_login
    yield from _refused(
        lambda: finish(scene.attempt, forged), StateMismatchError, mark("a forged callback was accepted")
    )
    _claim(scene.token_requests("authorization_code") == 0, mark("the forged code was sent to the server"))


def _exchange(scene: Scene) -> Act[None]:
    scene.user_token = yield from _asked(scene.client.finish_login(scene.attempt, scene.callback, account=ACCOUNT))
    _claim(scene.token_requests("authorization_code") == 1, mark("the code was not sent exactly once"))
    accounts = yield from _asked(scene.client.accounts())
    _claim(accounts == [ACCOUNT], mark("the token is not in the store"))


def _validate(scene: Scene) -> Act[None]:
    info = yield from _asked(scene.client.validate_user_token(scene.user_token))
    _claim(
        info.login == ACCOUNT,
        mark("the token belongs to {login!r}, not to {account!r}"),
        login=info.login,
        account=ACCOUNT,
    )


def _refresh(scene: Scene) -> Act[None]:
    client, old = scene.client, scene.user_token
    new = scene.user_token = yield from _asked(client.refresh_user_token(old))
    yield from _asked(client.save_user_token(ACCOUNT, new))
    info = yield from _asked(client.validate_user_token(new))
    _claim(info.login == ACCOUNT, mark("the new token is not this user's"))
    yield from _refused(
        lambda: client.validate_user_token(old), UnauthenticatedError, mark("the old token still works")
    )
    yield from _refused(
        lambda: client.refresh_user_token(old), InvalidGrantError, mark("the old refresh token still works")
    )


def _share(scene: Scene) -> Act[None]:
    tokens = yield from _asked(scene.together(CALLERS, scene.client.ensure_app_token))
    scene.app_token = tokens[0]
    _claim(len({token.access_token for token in tokens}) == 1, mark("the callers got different tokens"))
    _claim(scene.token_requests("client_credentials") == 1, mark("more than one token was asked for"))
    yield from _opens(scene, 200, mark("the resource refused the new token"))


def _supersede(scene: Scene) -> Act[None]:
    scene.fake.supersede(app=scene.app)
    yield from _opens(scene, 401, mark("the superseded token still works"))


def _replace(scene: Scene) -> Act[None]:
    response = yield from _asked(scene.http.get(scene.resource, headers=_JSON, auth=scene.client.app_auth()))
    _claim(response.status_code == 200, mark("the replayed request was answered {status}"), status=response.status_code)
    # Those whose 401 arrives late adopt what the first of them has got.
    late = scene.together(CALLERS, lambda: scene.client.ensure_app_token(rejected=scene.app_token))
    tokens = yield from _asked(late)
    _claim(scene.app_token not in tokens, mark("the superseded token was handed out again"))
    _claim(scene.token_requests("client_credentials") == 2, mark("it was not replaced by exactly one new token"))
    scene.app_token = tokens[0]
    yield from _opens(scene, 200, mark("the resource refused the new token"))


def _opens(scene: Scene, status: int, otherwise: str) -> Act[None]:
    """Claims how the resource answers the token that the scene holds, asked with a plain HTTP client."""
    assert scene.app_token is not None  # noqa: S101  # an earlier step failed otherwise
    headers = {"Authorization": scene.app_token.authorization, **_JSON}
    response = yield from _asked(scene.http.get(scene.resource, headers=headers))
    _claim(response.status_code == status, otherwise)


STORY = (
    Step(mark("Sign a user in: browser, consent, PKCE"), _sign_in),
    Step(mark("Refuse a callback with a forged state"), _refuse_forgery),
    Step(mark("Exchange the code for the user's token"), _exchange),
    Step(mark("Validate it: who is this?"), _validate),
    Step(mark("Refresh: new pair works, old pair is dead"), _refresh),
    Step(mark("Share one app token among 20 callers"), _share),
    Step(mark("See it superseded: the API answers 401"), _supersede),
    Step(mark("Replace it once, replay the request"), _replace),
)
