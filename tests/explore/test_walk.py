"""All that can happen to a small house keeps the promises: every interleaving, with a fault at every place.

What is walked is in `scenarios`, what is promised in `promises`, how truthful the model is in `house`. The numbers of
schedules and states are printed (``-rP`` shows them).
"""

import pytest

from .house import Scenario
from .scenarios import SHORT
from .walk import Walk


@pytest.mark.parametrize("scenario", SHORT, ids=str)
def test_every_schedule_keeps_the_promises(scenario: Scenario) -> None:
    print(f"{scenario}: {Walk(scenario).run()}")
