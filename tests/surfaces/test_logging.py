"""What the log says: the same as the events, where and how loud an operator expects it, and never in anybody's way."""

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import fields

from exbo_oauth import StoreKey, events
from exbo_oauth.clients import logbook
from exbo_oauth.events import Event
from exbo_oauth.testing import FakeExbo

from .conftest import Surface

NOW = datetime(2030, 1, 1, 12, 0, 5, tzinfo=UTC)
VALUES: dict[str, Any] = {
    "at": NOW,
    "key": StoreKey("https://exbo.net/oauth", "59", "ivan"),
    "fingerprint": "5eb7e725",
    "issuer": "web-2:311",
    "reason": "refused",
    "seconds": 2.5,
    "host": "eapi.stalcraft.net",
    "path": "/regions",
    "attempt": 2,
    "holder": "web-2:311",
    "since": NOW - timedelta(seconds=5),
}
KINDS = [getattr(events, name) for name in events.__all__ if name != "Event"]
LEVELS = {
    "INFO": "TokenIssued TokenAdopted TokenSuperseded StoreRecovered",
    "WARNING": "SignInRequired ConflictFound AnswerLost RequestRetried RateLimited LeaseAwaited LeaseTakenOver "
    "StoreFailed",
    "DEBUG": "TokenRefused",
}


def example(kind: type[Event], **changes: Any) -> Event:
    return kind(**{known.name: VALUES[known.name] for known in fields(kind)} | changes)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What was logged, at whatever level."""
    caplog.set_level(logging.DEBUG, logger="exbo_oauth")
    return caplog


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_event_is_a_record_with_its_fields(kind: type[Event], log: pytest.LogCaptureFixture) -> None:
    event = example(kind)
    logbook.write(event)
    [record] = log.records
    assert record.name.startswith("exbo_oauth.")
    assert record.getMessage() == str(event)
    assert record.__dict__["kind"] == kind.__name__
    assert {known.name for known in fields(kind)} <= set(vars(record))
    told = {name: vars(record)[name] for name in ("kind", *(known.name for known in fields(kind)))}
    assert json.loads(json.dumps(told)) == told
    assert told["key"] == {"base_url": "https://exbo.net/oauth", "client_id": "59", "account": "ivan"}
    assert kind.__name__ in LEVELS[record.levelname].split()


def test_a_supersession_from_outside_is_for_the_operator(log: pytest.LogCaptureFixture) -> None:
    logbook.write(example(events.TokenSuperseded, issuer="outside", since=None))
    assert log.records[0].levelno == logging.WARNING


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_event_is_a_sentence_that_says_whose_it_is(kind: type[Event]) -> None:
    said = str(example(kind))
    assert said.startswith("ivan (application 59): ")
    assert "{" not in said
    assert str(example(kind, key=StoreKey("https://exbo.net/oauth", "59"))).startswith("application 59: ")


def test_a_client_logs_what_it_does(surface: Surface, served: FakeExbo, log: pytest.LogCaptureFixture) -> None:
    surface.call(surface.client(served), lambda client: client.ensure_app_token())
    [record] = [record for record in log.records if record.name == "exbo_oauth.tokens"]
    assert (record.levelname, vars(record)["reason"], vars(record)["attempt"]) == ("INFO", "first", 1)


class Broken(logging.Handler):
    """Raises, which the standard library's own handlers do not."""

    def emit(self, record: logging.LogRecord) -> None:
        raise OSError("the disk is full")


class Calling(logging.Handler):
    """Calls the client back in the midst of its call."""

    client: Any = None

    def emit(self, record: logging.LogRecord) -> None:
        self.client.ensure_app_token()


@pytest.mark.parametrize("handler", [Broken(), Calling()], ids=lambda handler: type(handler).__name__)
def test_no_handler_can_break_a_call(surface: Surface, served: FakeExbo, handler: logging.Handler) -> None:
    if isinstance(handler, Calling):
        handler.client = Surface("sync").raw_client(served)
    logger = logging.getLogger("exbo_oauth")
    logger.addHandler(handler)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(logger, "level", logging.DEBUG)
            served.fail_next(503, retry_after=1)
            token = surface.call(surface.client(served), lambda client: client.ensure_app_token())
    finally:
        logger.removeHandler(handler)
    assert token.access_token in {known.access_token for known in served.issued}
    if isinstance(handler, Calling):
        handler.client.close()


def test_nothing_is_printed_unless_somebody_asks(
    surface: Surface, served: FakeExbo, capfd: pytest.CaptureFixture[str]
) -> None:
    logger = logging.getLogger("exbo_oauth")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logger, "propagate", False)
        served.fail_next(503, retry_after=1)
        surface.call(surface.client(served), lambda client: client.ensure_app_token())
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", [events.LeaseAwaited, events.LeaseTakenOver], ids=lambda kind: kind.__name__)
def test_who_holds_a_lease_that_the_store_cannot_tell_of_is_another_process(kind: type[Event]) -> None:
    assert "another process" in str(example(kind, holder=None, since=None))
    assert "web-2:311" in str(example(kind))
