"""What all tests share."""

import gc
import os
import sys

import pytest
from hypothesis import Phase, settings

# Properties are about what comes out, not about how fast a busy machine is.
settings.register_profile("no deadline", deadline=None)
# A mutant is tried with the same examples every time, and nobody wants to see the smallest one that finds it.
settings.register_profile(
    "mutants", deadline=None, max_examples=50, derandomize=True, database=None, phases=(Phase.explicit, Phase.generate)
)
settings.register_profile("thorough", deadline=None, max_examples=500)
settings.load_profile("no deadline")

os.environ["EXBO_LANG"] = "en"  # whatever is spoken at the terminal of whoever runs this


def pytest_configure(config: pytest.Config) -> None:
    """Hypothesis asks the collector who else holds a generator, and does not see what is frozen below."""
    alarm = "ignore:It looks like `register_random` was passed:hypothesis.errors.HypothesisWarning"
    config.addinivalue_line("filterwarnings", alarm)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What was collected stays until the end: tests that collect garbage need not go through it each time."""
    gc.collect()
    gc.freeze()


MEASURING = sys.gettrace()  # coverage, or a debugger


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """What a test does not leave to those after it."""
    give_up_what_is_unsaved()
    if MEASURING and not sys.gettrace():
        sys.settrace(MEASURING)  # or nothing would be measured of what comes after it in this process
        pytest.fail("a test traced, and did not put back who had traced before")


def give_up_what_is_unsaved() -> None:
    """A token that a test's store never took would be tried, and logged, in all later tests of the process."""
    if (pending := sys.modules.get("exbo_oauth.clients.pending")) and (thread := pending._saver._thread):
        for unsaved in list(pending._saver._left):
            pending._saver.drop(unsaved.store)
        thread.join(60)
        assert not thread.is_alive()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """What coverage has counted is written now: xdist kills a process that takes ten seconds to end."""
    if (coverage := sys.modules.get("coverage")) and (counting := coverage.Coverage.current()):
        counting.stop()
        counting.save()
