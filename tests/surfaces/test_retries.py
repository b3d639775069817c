"""What is sent again, and what is not: counted at the server, for every row of the table and each of the four calls."""

import socket
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import httpx
import httpx2
import pytest
from attrs import frozen

from exbo_oauth import (
    InvalidClientError,
    MalformedResponseError,
    OAuthError,
    OutcomeUnknownError,
    RateLimitError,
    ServerError,
    TransportError,
)
from exbo_oauth.protocol import Response
from exbo_oauth.testing import FakeExbo

from .calls import CALLS, MODELS, REPEATABLE, prepared, unprepared
from .conftest import Surface


@frozen
class Row:
    """A fault, and the error that each kind of call ends with; None if it is repeated and succeeds."""

    inflict: Callable[[FakeExbo, int], None]
    repeatable: type[OAuthError] | None
    spending: type[OAuthError] | None

    def error(self, call: str) -> type[OAuthError] | None:
        return self.repeatable if call in REPEATABLE else self.spending


def _fail(status: int, retry_after: float | None = None) -> Callable[[FakeExbo, int], None]:
    return lambda fake, times: fake.fail_next(status, retry_after, times)


def _lose(**how: bool) -> Callable[[FakeExbo, int], None]:
    return lambda fake, times: fake.lose_next_answer(times=times, **how)


def _answer(status: int, headers: dict[str, str], body: bytes) -> Callable[[FakeExbo, int], None]:
    return lambda fake, times: fake.answer_next(Response(status, headers, body), times)


def _now() -> str:
    return format_datetime(datetime.now(UTC), usegmt=True)


ROWS = {
    "429 with Retry-After 0": Row(_fail(429, 0), None, None),
    "503 with Retry-After 0": Row(_fail(503, 0), None, None),
    "503 with Retry-After as a date": Row(_answer(503, {"retry-after": _now()}, b"{}"), None, None),
    "429 without Retry-After": Row(_fail(429), RateLimitError, RateLimitError),
    "503 without Retry-After": Row(_fail(503), None, ServerError),
    "429 with Retry-After beyond 30 s": Row(_fail(429, 31), RateLimitError, RateLimitError),
    "503 with Retry-After beyond 30 s": Row(_fail(503, 31), ServerError, ServerError),
    "429 with senseless Retry-After": Row(_answer(429, {"retry-after": "soon"}, b"{}"), RateLimitError, RateLimitError),
    "500": Row(_fail(500), None, ServerError),
    "502 from a proxy": Row(_answer(502, {"content-type": "text/html"}, b"<html>Bad gateway"), None, ServerError),
    "lost before it was processed": Row(_lose(processed=False), None, OutcomeUnknownError),
    "lost after it was processed": Row(_lose(processed=True), None, OutcomeUnknownError),
    "cut off in its body": Row(_lose(partial=True), None, OutcomeUnknownError),
    "complete and senseless": Row(_answer(200, {}, b"[]"), MalformedResponseError, MalformedResponseError),
    "a refusal": Row(
        _answer(400, {}, b'{"error": "invalid_client", "error_description": "No."}'), OAuthError, InvalidClientError
    ),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", ROWS)
def test_each_fault_is_repeated_only_where_that_can_spend_nothing(
    surface: Surface, served: FakeExbo, fault: str, call: str
) -> None:
    row, act = ROWS[fault], prepared(served, call)
    before = len(served.requests)
    row.inflict(served, 1)

    async def scenario(client: Any) -> Any:
        expected = row.error(call)
        if expected is None:
            return await act(client)
        with pytest.raises(expected):
            await act(client)
        return None

    result = surface.call(surface.client(served), scenario)
    assert len(served.requests) - before == (2 if row.error(call) is None else 1)
    assert row.error(call) or isinstance(result, MODELS[call])


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", ["429 with Retry-After 0", "500", "lost before it was processed"])
@pytest.mark.parametrize("max_retries", [0, 1])
def test_max_retries_is_the_number_of_repetitions(
    surface: Surface, served: FakeExbo, fault: str, call: str, max_retries: int
) -> None:
    row, act = ROWS[fault], prepared(served, call)
    before = len(served.requests)
    row.inflict(served, 5)

    async def scenario(client: Any) -> None:
        with pytest.raises((RateLimitError, ServerError, TransportError)):
            await act(client)

    surface.call(surface.client(served, max_retries=max_retries), scenario)
    assert len(served.requests) - before == (1 if row.error(call) else 1 + max_retries)


@pytest.mark.parametrize("call", ["app token", "refresh"])
def test_all_pauses_of_a_call_fit_into_thirty_seconds(surface: Surface, served: FakeExbo, call: str) -> None:
    act = prepared(served, call)
    before = len(served.requests)
    served.fail_next(429, retry_after=1)
    served.fail_next(429, retry_after=30)

    async def scenario(client: Any) -> None:
        with pytest.raises(RateLimitError) as caught:
            await act(client)
        assert caught.value.retry_after == 30

    surface.call(surface.client(served, max_retries=9), scenario)
    assert len(served.requests) - before == 2


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("max_retries", [0, 1])
def test_a_refused_connection_is_an_error_that_says_nothing_was_sent(
    surface: Surface, call: str, max_retries: int
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else answers here either
        base_url = f"http://127.0.0.1:{taken.getsockname()[1]}/oauth"

        async def scenario(client: Any) -> None:
            with pytest.raises(TransportError) as caught:
                await unprepared(call)(client)
            assert type(caught.value) is TransportError
            assert caught.value.request_sent is False

        surface.call(surface.client(base_url=base_url, max_retries=max_retries), scenario)


class Flaky(httpx.BaseTransport, httpx.AsyncBaseTransport, httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """A transport of the caller's that raises a few times before it passes requests on."""

    def __init__(self, fake: FakeExbo, error: Callable[[], Exception], times: int = 1) -> None:
        self.inner = fake.transport()
        self.error = error
        self.left = times
        self.attempts = 0

    def _count(self) -> None:
        self.attempts += 1
        self.left -= 1
        if self.left >= 0:
            raise self.error()

    def handle_request(self, request: Any) -> Any:
        self._count()
        return self.inner.handle_request(request)

    async def handle_async_request(self, request: Any) -> Any:
        self._count()
        return await self.inner.handle_async_request(request)


UNSENT = ["ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError"]
PERHAPS_SENT = ["ReadError", "ReadTimeout", "WriteError", "WriteTimeout", "RemoteProtocolError", "CloseError"]


@pytest.mark.parametrize(
    ("error", "call"), [*(("ConnectError", call) for call in CALLS), *((error, "refresh") for error in UNSENT[1:])]
)
def test_what_was_provably_never_sent_is_sent_again(surface: Surface, fake: FakeExbo, error: str, call: str) -> None:
    library = httpx2 if call == "refresh" else httpx
    act = prepared(fake, call)
    before = len(fake.requests)
    transport = Flaky(fake, lambda: getattr(library, error)("no way through"))
    http = surface.raw_http(library, transport=transport)
    result = surface.call(surface.client(fake, http_client=http), act)
    assert isinstance(result, MODELS[call])
    assert transport.attempts == 2
    assert len(fake.requests) - before == 1


@pytest.mark.parametrize("call", ["code", "refresh"])
@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
@pytest.mark.parametrize("error", PERHAPS_SENT)
def test_a_code_or_refresh_token_that_may_have_left_is_not_sent_again(
    surface: Surface, fake: FakeExbo, library: Any, error: str, call: str
) -> None:
    transport = Flaky(fake, lambda: getattr(library, error)("broken"))

    async def scenario(client: Any) -> None:
        with pytest.raises(OutcomeUnknownError) as caught:
            await unprepared(call)(client)
        assert caught.value.request_sent is True
        assert error in str(caught.value)

    surface.call(surface.client(fake, http_client=surface.raw_http(library, transport=transport)), scenario)
    assert transport.attempts == 1


@pytest.mark.parametrize("call", CALLS)
def test_a_foreign_exception_of_a_transport_leaves_as_a_transport_error(
    surface: Surface, fake: FakeExbo, call: str
) -> None:
    transport = Flaky(fake, lambda: KeyError("no such cassette"), times=9)

    async def scenario(client: Any) -> None:
        with pytest.raises(TransportError) as caught:
            await unprepared(call)(client)
        assert isinstance(caught.value.__cause__, KeyError)
        assert caught.value.request_sent is True

    client = surface.client(fake, http_client=surface.raw_http(transport=transport), max_retries=0)
    surface.call(client, scenario)
