"""``/api``: a stand-in for the game API, there to be called with tokens.

Known of the original and kept: a bearer token, or the headers ``Client-Id`` and ``Client-Secret`` instead of one;
the body of a 401; points per minute in a bucket, told in ``x-ratelimit-limit``, ``-remaining`` and ``-reset``, the
latter in epoch milliseconds; 400 points for an application, 50 for a user token. The bodies of the other errors
follow the same shape, and the data are made up. ``/api`` itself answers who is calling.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from math import ceil, floor
from typing import Any, TypeAlias

from attrs import define, field, frozen

from ..protocol.messages import Request, Response
from .bearer import Bearer
from .laravel import json_answer
from .state import App, IssuedToken

__all__ = ["GameAPI", "api_error", "is_api"]

_WINDOW = 60.0
_REGIONS = (("RU", "RUSSIA"), ("EU", "EUROPE"), ("NA", "NORTH AMERICA"), ("SEA", "SOUTH EAST ASIA"))
_ROOTS = ("/api", "/oauth/api")  # beneath the origin, and beneath the base URL for those who append to it
_BAD_TOKEN = {"token": "Corrupted or illegal authorization token"}


def is_api(path: str) -> bool:
    """Whether a path is the game API's."""
    return any(path == root or path.startswith(f"{root}/") for root in _ROOTS)


def _parts(path: str) -> list[str]:
    root = next(root for root in _ROOTS if path == root or path.startswith(f"{root}/"))
    return path.removeprefix(root).strip("/").split("/")


def api_error(status: int, details: Mapping[str, str] | None = None) -> Response:
    """An error in the game API's form."""
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Error"
    return json_answer({"title": title, "status": status, "details": dict(details or {})}, status)


@define
class _Bucket:
    """Points that flow back evenly, `limit` of them in a minute."""

    limit: int
    used: float = 0.0
    at: float = 0.0

    def take(self, points: int, now: float) -> bool:
        self.used = max(0.0, self.used - (now - self.at) * self.limit / _WINDOW)
        self.at = now
        if self.used + points > self.limit:
            return False
        self.used += points
        return True

    def headers(self) -> dict[str, str]:
        full_again = self.at + self.used * _WINDOW / self.limit
        return {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(max(0, floor(self.limit - self.used))),
            "x-ratelimit-reset": str(ceil(full_again * 1000)),
        }


@frozen(kw_only=True)
class _Caller:
    """Whoever the credentials belong to; `user_id` is None for an application."""

    client_id: str
    user_id: int | None = None


_Data: TypeAlias = Callable[["GameAPI", _Caller], Any]


def _who(api: "GameAPI", caller: _Caller) -> dict[str, Any]:
    user = None if caller.user_id is None else api.bearer.issuer.registry.users[caller.user_id]
    return {"application": caller.client_id, "user": None if user is None else {"id": user.id, "login": user.login}}


def _regions(_api: "GameAPI", _caller: _Caller) -> list[dict[str, str]]:
    return [{"id": region, "name": name} for region, name in _REGIONS]


def _emission(api: "GameAPI", _caller: _Caller) -> dict[str, str | None]:
    day = api.bearer.issuer.clock.moment().date().isoformat()
    return {"currentStart": None, "previousStart": f"{day}T00:00:00Z", "previousEnd": f"{day}T00:05:00Z"}


def _lots(_api: "GameAPI", _caller: _Caller) -> dict[str, Any]:
    return {"total": 0, "lots": []}


def _characters(api: "GameAPI", caller: _Caller) -> list[dict[str, Any]]:
    user = api.bearer.issuer.registry.users[caller.user_id or 0]
    return [{"information": {"id": str(user.uuid), "name": user.display_login or user.login}, "clan": None}]


@frozen(kw_only=True)
class _Route:
    points: int
    data: _Data
    of_user: bool = False


_ROUTES: tuple[tuple[tuple[str, ...], _Route], ...] = (
    (("",), _Route(points=1, data=_who)),
    (("regions",), _Route(points=1, data=_regions)),
    (("{region}", "emission"), _Route(points=1, data=_emission)),
    (("{region}", "auction", "{item}", "lots"), _Route(points=5, data=_lots)),
    (("{region}", "characters"), _Route(points=2, data=_characters, of_user=True)),
)


def _fits(pattern: tuple[str, ...], parts: list[str]) -> bool:
    return len(pattern) == len(parts) and all(
        part.upper() in dict(_REGIONS) if want == "{region}" else want in ("{item}", part)
        for want, part in zip(pattern, parts, strict=True)
    )


@define(kw_only=True)
class GameAPI:
    """The protected resource. `app_points` and `user_points` are the limits a minute."""

    bearer: Bearer
    app_points: int
    user_points: int
    _buckets: dict[_Caller, _Bucket] = field(factory=dict)

    def answer(self, request: Request, path: str) -> Response:
        """The answer to any request beneath ``/api``."""
        caller = self._caller(request)
        if caller is None:
            return self._refused(request)
        route = next((route for pattern, route in _ROUTES if _fits(pattern, _parts(path))), None)
        if route is None:
            return api_error(404, {"path": "There is nothing here"})
        if request.method.upper() not in ("GET", "HEAD"):
            return api_error(405, {"method": "Use GET"})
        return self._metered(route, caller)

    def _metered(self, route: _Route, caller: _Caller) -> Response:
        if route.of_user and caller.user_id is None:
            return api_error(403, {"token": "This needs the token of a user"})
        limit = self.app_points if caller.user_id is None else self.user_points
        bucket = self._buckets.setdefault(caller, _Bucket(limit))
        allowed = bucket.take(route.points, self.bearer.issuer.clock.now())
        answer = json_answer(route.data(self, caller)) if allowed else api_error(429, {"limit": "Too many points"})
        return Response(answer.status, {**answer.headers, **bucket.headers()}, answer.content)

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
