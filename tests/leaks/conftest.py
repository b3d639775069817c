"""How often what might leak is done: a few times among the others, as often as a session of their own says there."""

from typing import Any

import pytest

_SHORT = {"--clients": 40, "--calls": 100}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--clients", type=int, help="how many clients are made, and dropped or closed")
    parser.addoption("--calls", type=int, help="how many calls one client makes")


def _number(request: pytest.FixtureRequest, name: str) -> int:
    given: Any = request.config.getoption(name, None)  # known only if these tests were named
    return int(given or _SHORT[name])


@pytest.fixture
def clients(request: pytest.FixtureRequest) -> int:
    return _number(request, "--clients")


@pytest.fixture
def calls(request: pytest.FixtureRequest) -> int:
    return _number(request, "--calls")
