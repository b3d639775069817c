"""The figures that stand in the docs are those that a run says itself."""

import pytest

from .tally import summary


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The last lines of a run, where it was not split over processes."""
    if line := summary():
        terminalreporter.write_line(line)
