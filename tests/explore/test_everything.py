"""The long walks: ``nox -s explore``. One alone: ``python -m tests.explore "NAME"``."""

import pytest

from .house import Scenario
from .scenarios import LONG
from .walk import Walk


@pytest.mark.parametrize("scenario", LONG, ids=str)
def test_every_schedule_keeps_the_promises(scenario: Scenario) -> None:
    print(f"{scenario}: {Walk(scenario).run()}")
