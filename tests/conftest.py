"""What all tests share."""

import gc
import os

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

SERVERS = {"redis", "postgres", "mariadb", "gnome"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With ``--dist loadgroup``, a file's tests run in one process, and all that need a server in the same one."""
    if config.pluginmanager.hasplugin("xdist"):
        for item in items:
            item.add_marker(pytest.mark.xdist_group(_group(item)))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What was collected stays until the end: tests that collect garbage need not go through it each time."""
    gc.collect()
    gc.freeze()


def _group(item: pytest.Item) -> str:
    used: set[str] = set(getattr(item, "fixturenames", ()))
    given = getattr(getattr(item, "callspec", None), "params", {})  # a fixture may be asked for by its name
    used.update(value for value in given.values() if isinstance(value, str))
    return "servers" if used & SERVERS else item.path.as_posix()
