"""From an answer's bytes to its model, beside `json.loads` of the same bytes; pydantic's `model_validate_json`, too."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from exbo_oauth.protocol import OAuthProtocol, Response

from .ratio import Ratio

ROUNDS, REPEATED = 60, 1000
AIM = 4.0
TOKEN = {"token_type": "Bearer", "expires_in": 31536000, "access_token": "eyJ0" + "x" * 636, "refresh_token": "f" * 708}
USER = {
    "id": 7,
    "uuid": "00000001-0000-4000-8000-000000000001",
    "login": "ivan",
    "display_login": "Ivan",
    "distributor": "exbo",
    "distributor_id": None,
}


def measure() -> Iterator[Ratio]:
    protocol, now = OAuthProtocol(client_id=59, client_secret="s" * 40), datetime.now(UTC)
    token, user = protocol.refresh("x").parse, protocol.user_info("x").parse
    theirs = _pydantic()
    yield from _compared("a token", TOKEN, {"exbo-oauth": lambda answer: token(answer, now=now)} | theirs("token"))
    yield from _compared("a user", USER, {"exbo-oauth": lambda answer: user(answer, now=now)} | theirs("user"))


def _pydantic() -> Callable[[str], dict[str, Callable[[Response], object]]]:
    from uuid import UUID

    from pydantic import BaseModel

    class Token(BaseModel):
        token_type: str
        expires_in: int
        access_token: str
        refresh_token: str

    class User(BaseModel):
        id: int
        uuid: UUID
        login: str
        display_login: str | None
        distributor: str
        distributor_id: str | None

    kinds: dict[str, type[BaseModel]] = {"token": Token, "user": User}
    return lambda what: {"pydantic": lambda answer: kinds[what].model_validate_json(answer.content)}


def _compared(what: str, body: dict[str, Any], ways: dict[str, Callable[[Response], object]]) -> Iterator[Ratio]:
    answer = Response(200, {"content-type": "application/json"}, json.dumps(body).encode())
    readers = {"json.loads": lambda answer: json.loads(answer.content), **ways}
    times: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(ROUNDS):
        for name, read in readers.items():
            times[name].append(_taken(read, answer))
    for name in ways:
        yield Ratio(
            ours=f"{what}: {name}",
            theirs=f"{what}: json.loads",
            our_times=times[name],
            their_times=times["json.loads"],
            aim=AIM if name == "exbo-oauth" else None,
        )


def _taken(read: Callable[[Response], object], answer: Response) -> float:
    start = time.process_time()
    for _ in range(REPEATED):
        read(answer)
    return (time.process_time() - start) / REPEATED
