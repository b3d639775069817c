"""How often what might leak is done."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--clients", type=int, default=1_000, help="how many clients are made, and dropped or closed")
    parser.addoption("--calls", type=int, default=10_000, help="how many calls one client makes")
