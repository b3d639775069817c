"""Which path and method belongs to whom, and what the framework says to the rest."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from math import ceil
from typing import TypeAlias
from urllib.parse import urlsplit

from attrs import define, evolve, field

from ..protocol.messages import Request, Response
from .api import GameAPI, api_error, is_api
from .bearer import Bearer
from .browser import Browser
from .dialect import Refused
from .forms import BadMethod, method_of, parameters_of, path_of, query_of
from .grants import Grants
from .issuing import Issuer
from .journal import Received
from .jwt import jwks
from .laravel import ServerCrash, framework_error, json_answer
from .live import ASSETS, Live
from .parameters import Parameters
from .php import BadJSON
from .texts import TEXTS
from .throttle import FixedWindow

__all__ = ["Router"]

_HTML = "text/html; charset=UTF-8"

_Answer: TypeAlias = Callable[[Request, Received, str], Response]


def _plain(answer: Callable[[Request], Response]) -> _Answer:
    return lambda request, _received, _address: answer(request)


@define(kw_only=True)
class Router:
    """The whole server as one function from a request to its answer."""

    issuer: Issuer
    grants: Grants
    bearer: Bearer
    browser: Browser
    limiter: FixedWindow
    api: GameAPI
    live: Live
    _routes: Mapping[str, Mapping[str, _Answer]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._routes = {
            "/oauth/token": {"POST": self._token},
            "/oauth/user": _readable(self.bearer.user),
            "/oauth/authorize": {
                "GET": self._authorize,
                "HEAD": self._authorize,
                "POST": _plain(self.browser.decide),
                "DELETE": _plain(self.browser.decide),
            },
            "/login": {**_readable(self.browser.login_form), "POST": _plain(self.browser.login)},
            "/demo/app": _readable(self.bearer.resource),
            "/": _readable(self.live.page),
            "/sandbox/timeline": _readable(self.live.fragment),
            "/sandbox/settings": _readable(self.live.settings),
            **{f"/sandbox/{name}": _readable(partial(self.live.asset, name)) for name in ASSETS},
            "/.well-known/jwks.json": _readable(lambda _request: json_answer(jwks())),
        }

    @staticmethod
    def is_logged(path: str) -> bool:
        """Whether requests to `path` count as something that happened; the live page looks every second."""
        return path not in ("/", "/favicon.ico") and not path.startswith("/sandbox/")

    def is_for_programs(self, path: str) -> bool:
        """Whether scripted trouble applies: the pages and the keys are left in peace."""
        return path in ("/oauth/token", "/oauth/user", "/demo/app") or is_api(path)

    def answer(self, request: Request, received: Received, address: str) -> Response:
        """The answer of the route that is meant; to HEAD without its body (RFC 9110, section 9.3.2)."""
        response = self._routed(request, received, address)
        if request.method.upper() == "HEAD":
            return Response(response.status, {**response.headers, "content-length": str(len(response.content))})
        return response

    def _routed(self, request: Request, received: Received, address: str) -> Response:
        if is_api(received.path):
            return self.api.answer(request, received.path)
        try:
            method = method_of(request)
        except BadMethod:
            return framework_error(request, 400)
        route = self._routes.get(received.path)
        if route is None:
            return framework_error(request, 404, f"The route {_said_path(request)} could not be found.")
        answer = route.get(method)
        if answer is None:
            return _wrong_method(request, method, route)
        response = self._guarded(answer, request, received, address)
        disguised = method == "HEAD" != request.method.upper()
        return Response(response.status, response.headers) if disguised else response

    def _guarded(self, answer: _Answer, request: Request, received: Received, address: str) -> Response:
        try:
            return answer(request, received, address)
        except Refused as refusal:
            return self._refusal(refusal, request, received)
        except ServerCrash:
            return framework_error(request, 500)

    def _refusal(self, refusal: Refused, request: Request, received: Received) -> Response:
        response = self.issuer.dialect.answer(refusal, request.header("authorization"))
        if refusal.unregistered is not None:
            self._decline(received, response.status, refusal.unregistered, kind="unregistered")
            return response
        _, payload = self.issuer.dialect.payload(refusal)
        told = f"reason_{refusal.why}" in TEXTS["en"]
        detail = refusal.why if told else payload.get("hint") or payload["error_description"]
        self._decline(received, response.status, detail, refusal.token, refusal.by)
        return response

    def _decline(
        self,
        received: Received,
        status: int,
        detail: str,
        token: int | None = None,
        by: int | None = None,
        *,
        kind: str = "declined",
    ) -> None:
        self.issuer.journal.note(
            kind,
            received.at,
            grant=received.grant or received.path.rpartition("/")[2],
            client_id=received.client_id,
            status=status,
            detail=detail,
            token=token,
            by=by,
        )

    def _authorize(self, request: Request, received: Received, _address: str) -> Response:
        client_id = query_of(request.url).get("client_id")
        received.client_id = client_id if isinstance(client_id, str) else None
        return self.browser.authorize(request)

    def _token(self, request: Request, received: Received, address: str) -> Response:
        standing = self.limiter.hit(address, self.issuer.clock.now())
        if standing.retry_after is not None:
            self.identify(request, received)
            self._decline(received, 429, "Too Many Attempts.")
            return standing.on(framework_error(request, 429))
        return standing.on(self._guarded(self._token_unthrottled, request, received, address))

    def _token_unthrottled(self, request: Request, received: Received, _address: str) -> Response:
        try:
            parameters = Parameters(self.issuer.dialect, parameters_of(request))
        except BadJSON:
            return framework_error(request, 400)
        authorization = request.header("authorization")
        self._name(parameters, authorization, received)
        return self.issuer.answer(self.grants.grant(parameters, authorization))

    def identify(self, request: Request, received: Received) -> None:
        """Fill in who asks for what, for a request that is not going to be processed."""
        if received.path == "/oauth/token":
            with suppress(BadJSON):
                parameters = Parameters(self.issuer.dialect, parameters_of(request))
                self._name(parameters, request.header("authorization"), received)

    @staticmethod
    def _name(parameters: Parameters, authorization: str, received: Received) -> None:
        grant = parameters.given.get("grant_type")
        received.grant = grant if isinstance(grant, str) else None
        with suppress(Refused):
            received.client_id = parameters.client(authorization).client_id

    def failure(self, request: Request, status: int, retry_after: float | None, address: str) -> Response:
        """A scripted failure in the words of whoever would say it."""
        headers: dict[str, str] = {}
        if is_api(path_of(request)):
            return api_error(status, headers=None if retry_after is None else {"retry-after": str(ceil(retry_after))})
        if path_of(request) == "/oauth/token" and status != 503:
            standing = self.limiter.hit(address, self.issuer.clock.now())
            headers = evolve(standing, remaining=0).headers() if status == 429 else standing.headers()
        if retry_after is not None:
            headers["retry-after"] = str(ceil(retry_after))
            if status == 429:
                headers["x-ratelimit-reset"] = str(ceil(self.issuer.clock.now() + retry_after))
        return framework_error(request, status, headers=headers)


def _readable(answer: Callable[[Request], Response]) -> dict[str, _Answer]:
    return {"GET": _plain(answer), "HEAD": _plain(answer)}


def _said_path(request: Request) -> str:
    """The path as it came, without slashes around it."""
    return urlsplit(request.url).path.strip("/") or "/"


def _wrong_method(request: Request, method: str, route: Mapping[str, object]) -> Response:
    if method == "OPTIONS":
        headers = {"allow": ",".join(route), "cache-control": "no-cache, private", "content-type": _HTML}
        return Response(200, headers)
    allow = ", ".join(route)
    message = f"The {method} method is not supported for route {_said_path(request)}. Supported methods: {allow}."
    return framework_error(request, 405, message, {"allow": allow})
