"""The pytest plugin: a fresh server for every test that asks for one, and clients that talk to it in process.

``fake_exbo`` is a `FakeExbo`; ``exbo_client`` and ``async_exbo_client`` are this package's clients on its default
application. The marker ``exbo`` sets the server's knobs, and with ``client`` the clients' arguments::

    @pytest.mark.exbo(dialect="league-9", throttle=3, client={"max_retries": 0})
    def test_something(exbo_client, fake_exbo): ...

The nearest marker wins, knob by knob: test, class, module. ``async_exbo_client`` works under whatever runs the test:
anyio's plugin on asyncio and trio, pytest-asyncio, pytest-trio. No client is imported before a fixture is used.

While tests run, ``from_env`` without ``EXBO_STORE`` keeps its tokens in memory, not in the file that this user's
programs share.
"""

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ..clients.aio import AsyncOAuthClient
    from ..clients.sync import SyncOAuthClient
    from .server import FakeExbo

__all__ = ["async_exbo_client", "exbo_client", "fake_exbo", "pytest_configure", "pytest_unconfigure"]

_BEFORE = pytest.StashKey[str | None]()
_MARKER = "exbo(**knobs): the knobs of the fake_exbo server, and client={...} for the clients' arguments."


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, and keep ``from_env`` away from the user's own tokens: tests get a store in memory."""
    from ..environment import set_aside

    config.addinivalue_line("markers", _MARKER)
    config.stash[_BEFORE] = set_aside("memory:")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Give the user's own tokens back."""
    from ..environment import set_aside

    set_aside(config.stash.get(_BEFORE, None))


def _knobs(request: pytest.FixtureRequest) -> dict[str, Any]:
    knobs: dict[str, Any] = {}
    for marker in reversed(list(request.node.iter_markers("exbo"))):
        if marker.args:
            raise pytest.UsageError(f"pytest.mark.exbo takes keywords only, not {marker.args!r}")
        knobs |= marker.kwargs
    return knobs


def _client_arguments(request: pytest.FixtureRequest, fake: "FakeExbo") -> dict[str, Any]:
    ours = {"client_id": fake.app.client_id, "client_secret": fake.app.client_secret, "base_url": fake.base_url}
    return {**ours, **_knobs(request).get("client", {})}


@pytest.hookimpl(hookwrapper=True)  # the newer kind of wrapper would keep every older pytest from starting at all
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any]:
    """Show beneath a test that fails what it did with the server."""
    report = (yield).get_result()
    fake = getattr(item, "funcargs", {}).get("fake_exbo")
    if report.failed and fake is not None and (told := fake.cassette()):
        report.sections.append(("What fake_exbo was asked", told))


@pytest.fixture
def fake_exbo(request: pytest.FixtureRequest) -> "FakeExbo":
    """EXBO's OAuth service in memory, with the knobs of the marker ``exbo``."""
    from ..errors import ConfigurationError
    from .server import FakeExbo

    knobs = {name: value for name, value in _knobs(request).items() if name != "client"}
    try:
        return FakeExbo(**knobs)
    except (TypeError, ConfigurationError) as error:
        raise pytest.UsageError(f"pytest.mark.exbo: {error}") from None


@pytest.fixture
def exbo_client(request: pytest.FixtureRequest, fake_exbo: "FakeExbo") -> "Iterator[SyncOAuthClient]":
    """A `SyncOAuthClient` of the default application, on `fake_exbo`."""
    import httpx

    from ..clients.sync import SyncOAuthClient

    with httpx.Client(transport=fake_exbo.transport()) as http_client:
        client = SyncOAuthClient(http_client=http_client, **_client_arguments(request, fake_exbo))
        yield client
        client.close()


@pytest.fixture
def async_exbo_client(request: pytest.FixtureRequest, fake_exbo: "FakeExbo") -> "AsyncOAuthClient":
    """An `AsyncOAuthClient` of the default application, on `fake_exbo`, for any event loop."""
    import httpx

    from ..clients.aio import AsyncOAuthClient

    # Nobody closes these, which would take an event loop: the in-process transport holds nothing open.
    http_client = httpx.AsyncClient(transport=fake_exbo.transport())
    return AsyncOAuthClient(http_client=http_client, **_client_arguments(request, fake_exbo))
