"""What a server was asked and answered, as text for people: a test that fails shows it.

Whatever may be a secret is masked. Where it is one that was issued here, its name stands in the mask's place, so that
one sees which of the tokens it was: ``<access token #2>``.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ..masking import MASK
from ..protocol.messages import Request, Response
from .issuing import Issuer
from .journal import Event, Received
from .narration import Narrator

__all__ = ["cassette"]

_REQUESTS = 50
_LONGEST = 300
_SECRET_FIELDS = frozenset(
    {
        "_token",
        "access_token",
        "auth_token",
        "client_assertion",
        "client_secret",
        "code",
        "code_verifier",
        "password",
        "refresh_token",
        "state",
        "token",
    }
)
_SECRET = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+|def50200[0-9a-f]+")  # an access token, a code or refresh token
_SECRET_HEADERS = ("authorization", "client-secret", "cookie")


def cassette(issuer: Issuer) -> str:
    """The newest requests and what came of them; empty if there were none."""
    requests = list(issuer.journal.requests)[-_REQUESTS:]
    left_out = len(issuer.journal.requests) - len(requests)
    writer = _Writer(issuer)
    lines = [f"({left_out} earlier requests are left out)"] if left_out else [*writer.between(0)]
    for received in requests:
        lines += [*writer.lines(received), *writer.between(received.number)]
    return "\n".join(_shown(writer.scrubbed(line)) for line in lines)


def _shown(text: str) -> str:
    short = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in short)


class _Writer:
    def __init__(self, issuer: Issuer) -> None:
        self._vault = issuer.vault
        self._apps = issuer.registry.apps
        self._narrator = Narrator("en", issuer.registry.users, issuer.registry.apps)
        self._events: dict[int | None, list[Event]] = {}
        self._between: dict[int | None, list[Event]] = {}
        for event in issuer.journal.events:
            self._events.setdefault(event.request, []).append(event)
            self._between.setdefault(event.after, []).append(event)

    def between(self, after: int) -> Iterator[str]:
        """What happened without a request after so many of them: mostly a test's own doing."""
        for event in self._between.get(after, ()):
            yield f"-- {self._narrator.asker(event)}: {self._narrator.sentence(event)}".replace(" : ", " ")

    def scrubbed(self, line: str) -> str:
        """The line without a secret that stands where none belongs: in a misspelt field, in a path."""
        for app in self._apps.values():
            if app.client_secret:
                line = line.replace(app.client_secret, self._name(app.client_secret))
        return _SECRET.sub(lambda match: self._name(match[0]), line)

    def lines(self, received: Received) -> Iterator[str]:
        request = received.request
        outcome = "lost" if received.lost else received.status
        yield f"#{received.number} {received.received_at:%H:%M:%S.%f} {received.method} {received.path} -> {outcome}"
        yield from (f"    > {line}" for line in self._request(request))
        if received.response is not None:
            yield from (f"    < {line}" for line in self._response(received.response))
        for event in self._events.get(received.number, ()):
            yield f"    = {self._narrator.sentence(event)}"
            yield from (f"      {text}" for text in self._narrator.listed(event))

    def _request(self, request: Request) -> Iterator[str]:
        if query := urlsplit(request.url).query:
            yield f"?{self._form(query)}"
        for name in _SECRET_HEADERS:
            if value := request.header(name):
                yield f"{name}: {self._header(value)}"
        if client_id := request.header("client-id"):
            yield f"client-id: {client_id}"
        if agent := request.header("user-agent"):
            yield f"user-agent: {agent}"
        yield from self._body(request.header("content-type"), request.content)

    def _response(self, response: Response) -> Iterator[str]:
        if location := response.headers.get("location"):
            address, mark, query = location.partition("?")
            yield f"location: {address}{mark}{self._form(query)}"
        for name in ("retry-after", "x-ratelimit-remaining"):
            if value := response.headers.get(name):
                yield f"{name}: {value}"
        yield from self._body(response.headers.get("content-type", ""), response.content)

    def _body(self, kind: str, content: bytes) -> Iterator[str]:
        text = content.decode("utf-8", "replace")
        if not text:
            return
        if "json" in kind:
            yield self._json(text)
        elif "x-www-form-urlencoded" in kind:
            yield self._form(text)
        else:
            yield f"({kind.partition(';')[0] or 'something'}, {len(content)} bytes)"

    def _json(self, text: str) -> str:
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            return "(not JSON)"
        return json.dumps(self._masked(data), ensure_ascii=False)

    def _masked(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            return {name: self._value(name, value) for name, value in data.items()}
        return [self._masked(item) for item in data] if isinstance(data, list) else data

    def _value(self, name: str, value: Any) -> Any:
        if name.lower() not in _SECRET_FIELDS:
            return self._masked(value)
        return self._name(value) if isinstance(value, str) else MASK

    def _form(self, text: str) -> str:
        return "&".join(_pairs((name, self._value(name, value)) for name, value in parse_qsl(text, True)))

    def _header(self, value: str) -> str:
        scheme, space, rest = value.partition(" ")
        return f"{scheme} {self._name(rest)}" if space and scheme.isalpha() else self._name(value)

    def _name(self, secret: str) -> str:
        """What to call a secret without saying it."""
        if (token := self._vault.by_access(secret)) is not None:
            return f"<access token #{token.number}>"
        if (token := self._vault.by_refresh(secret)) is not None:
            return f"<refresh token #{token.number}>"
        if (code := self._vault.code(secret)) is not None:
            return f"<code for {self._narrator.owner(code.client_id, code.user_id)}>"
        owner = next((app.client_id for app in self._apps.values() if secret and app.client_secret == secret), None)
        return MASK if owner is None else f"<secret of application {owner}>"


def _pairs(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    return (f"{name}={value}" for name, value in pairs)
