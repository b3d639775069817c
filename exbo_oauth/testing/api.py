"""``/api``: a stand-in for the game API, there to be called with tokens.

Known of the original and kept: a bearer token, or the headers ``Client-Id`` and ``Client-Secret`` instead of one;
the body of a 401; points within a minute that begins with the first call, told in ``x-ratelimit-limit``, ``-remaining``
and ``-reset``, the latter in epoch milliseconds; 400 points for an application, 50 for a user token; 2 points for a
call to the auction, however much it asks for. The bodies of the other errors follow the same shape, what other calls
cost is a guess, and the data are made up (`game`). ``/api`` itself answers who is calling.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from http import HTTPStatus
from math import ceil
from typing import Any, TypeAlias

from attrs import define, field, frozen

from ..protocol.messages import Request, Response
from .bearer import Bearer
from .forms import query_of
from .game import REGIONS, BadQuery, Listing, World
from .laravel import json_answer
from .state import App, IssuedToken, User

__all__ = ["GameAPI", "api_error", "is_api"]

_WINDOW = 60.0
_ROOTS = ("/api", "/oauth/api")  # beneath the origin, and beneath the base URL for those who append to it
_BAD_TOKEN = {"token": "Corrupted or illegal authorization token"}


def is_api(path: str) -> bool:
    """Whether a path is the game API's."""
    return any(path == root or path.startswith(f"{root}/") for root in _ROOTS)


def _parts(path: str) -> list[str]:
    root = next(root for root in _ROOTS if path == root or path.startswith(f"{root}/"))
    return path.removeprefix(root).strip("/").split("/")


def api_error(
    status: int, details: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """An error in the game API's form."""
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Error"
    return json_answer({"title": title, "status": status, "details": dict(details or {})}, status, headers)


@define
class _Minute:
    """Points that may be spent until it is over, and then all anew."""

    limit: int
    used: int = 0
    ends: float = 0.0

    def take(self, points: int, now: float) -> bool:
        if now >= self.ends:
            self.used, self.ends = 0, now + _WINDOW
        if self.used + points > self.limit:
            return False
        self.used += points
        return True

    def headers(self) -> dict[str, str]:
        return {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(self.limit - self.used),
            "x-ratelimit-reset": str(ceil(self.ends * 1000)),
        }


@frozen(kw_only=True)
class _Caller:
    """Whoever the credentials belong to; `user_id` is None for an application."""

    client_id: str
    user_id: int | None = None


@frozen(kw_only=True)
class _Call:
    """A call that was understood: where it leads to, what stands in its path, and what it wants to see of a list."""

    api: "GameAPI"
    caller: _Caller
    world: World
    name: str
    listing: Listing

    @property
    def user(self) -> User:
        """The user that a call of the kind that needs one has."""
        return self.api.bearer.issuer.registry.users[self.caller.user_id or 0]


_Data: TypeAlias = Callable[[_Call], Any]


def _who(call: _Call) -> dict[str, Any]:
    user = None if call.caller.user_id is None else {"id": call.user.id, "login": call.user.login}
    return {"application": call.caller.client_id, "user": user}


def _profile(call: _Call) -> dict[str, Any]:
    return call.world.profile(call.name, call.api.bearer.issuer.registry.user_by_login(call.name))


@frozen(kw_only=True)
class _Route:
    points: int
    data: _Data
    of_user: bool = False


_ROUTES = {
    "": _Route(points=1, data=_who),
    "regions": _Route(points=1, data=lambda _: [{"id": region, "name": name} for region, name in REGIONS.items()]),
    "{region}/emission": _Route(points=1, data=lambda call: call.world.emission()),
    "{region}/auction/{name}/lots": _Route(points=2, data=lambda call: call.world.lots(call.name, call.listing)),
    "{region}/auction/{name}/history": _Route(points=2, data=lambda call: call.world.history(call.name, call.listing)),
    "{region}/clans": _Route(points=2, data=lambda call: call.world.clans(call.listing)),
    "{region}/clan/{name}/info": _Route(points=1, data=lambda call: call.world.clan(call.name)),
    "{region}/clan/{name}/members": _Route(points=2, data=lambda call: call.world.members(call.name), of_user=True),
    "{region}/characters": _Route(points=2, data=lambda call: call.world.characters(call.user), of_user=True),
    "{region}/friends/{name}": _Route(points=2, data=lambda call: call.world.friends(call.name), of_user=True),
    "{region}/character/by-name/{name}/profile": _Route(points=2, data=_profile),
    "{region}/operations/sessions": _Route(points=2, data=lambda call: call.world.sessions(call.listing)),
}
_PARTS = tuple((tuple(pattern.split("/")), route) for pattern, route in _ROUTES.items())


@lru_cache(maxsize=1024)
def _found(path: str) -> tuple[_Route, str, str] | None:
    """The route of a path with its region and its name; None for what leads nowhere."""
    parts = _parts(path)
    for pattern, route in _PARTS:
        given = dict(zip(pattern, parts, strict=False))
        region, name = given.get("{region}", "").upper(), given.get("{name}", "-")
        fits = len(pattern) == len(parts) and all(want[:1] == "{" or want == part for want, part in given.items())
        if fits and name and ("{region}" not in given or region in REGIONS):
            return route, region, name
    return None


@define(kw_only=True)
class GameAPI:
    """The protected resource. `app_points` and `user_points` are the limits a minute."""

    bearer: Bearer
    app_points: int
    user_points: int
    _minutes: dict[_Caller, _Minute] = field(factory=dict)

    def answer(self, request: Request, path: str) -> Response:
        """The answer to any request beneath ``/api``."""
        caller = self._caller(request)
        if caller is None:
            return self._refused(request)
        found = _found(path)
        if found is None:
            return api_error(404, {"path": "There is nothing here"})
        if request.method.upper() not in ("GET", "HEAD"):
            return api_error(405, {"method": "Use GET"})
        route, region, name = found
        world = World(region, self.bearer.issuer.clock.moment())
        query = {key: value for key, value in query_of(request.url).items() if isinstance(value, str)}
        return self._metered(route, _Call(api=self, caller=caller, world=world, name=name, listing=Listing(query)))

    def _metered(self, route: _Route, call: _Call) -> Response:
        caller = call.caller
        if route.of_user and caller.user_id is None:
            return api_error(403, {"token": "This needs the token of a user"})
        limit = self.app_points if caller.user_id is None else self.user_points
        minute = self._minutes.setdefault(caller, _Minute(limit))
        if not minute.take(route.points, self.bearer.issuer.clock.now()):
            return api_error(429, {"limit": "Too many points"}, minute.headers())
        return _answered(route, call, minute.headers())

    def _caller(self, request: Request) -> _Caller | None:
        authorization = request.header("authorization")
        token = self.bearer.presented(request) if authorization.startswith("Bearer ") else None
        if token is not None and self.bearer.live(token):
            return self._of_token(token)
        if authorization:
            return None
        app = self._app_in_headers(request)
        return None if app is None else _Caller(client_id=app.client_id)

    def _of_token(self, token: IssuedToken) -> _Caller | None:
        if token.user_id is not None and token.user_id not in self.bearer.issuer.registry.users:
            return None
        return _Caller(client_id=token.client_id, user_id=token.user_id)

    def _app_in_headers(self, request: Request) -> App | None:
        app = self.bearer.issuer.registry.active_app(request.header("client-id"))
        if app is None or app.public or request.header("client-secret") != app.client_secret:
            return None
        return app

    def _refused(self, request: Request) -> Response:
        self.bearer.note_refusal(request)
        return api_error(401, _BAD_TOKEN)


def _answered(route: _Route, call: _Call, headers: Mapping[str, str]) -> Response:
    try:
        return json_answer(route.data(call), headers=headers)
    except BadQuery as error:
        return api_error(400, {error.name: str(error)}, headers)
