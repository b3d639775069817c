"""The trial of all mutants, as a plugin of pytest: ``-p tests.mutants.trial``, in a tree that holds the mutants.

The tests are collected once. A child of this process runs them all and notes which reach which function; each mutant
then gets a child of its own, which runs those that reach it, the quickest first, until one fails. Nothing is run in
this process itself, so that each child begins with a clean one. What ran while the tests were collected, though, ran
without a mutant: the survivors among it are told apart.
"""

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state

MUTANTS, REACH, VERDICTS = (Path(f"{name}.json").absolute() for name in ("mutants", "reach", "verdicts"))
WORKERS = os.cpu_count() or 2
SLOW = 20  # seconds of the processor, beside a multiple of what a test takes: then a loop is endless
ENDINGS = {
    0: "survived",
    1: "killed",
    -signal.SIGALRM: "endless",
    -signal.SIGXCPU: "endless",
    -signal.SIGKILL: "endless",
}

set_mutant_under_test("stats")  # functions note that they were called


def pytest_runtestloop(session: pytest.Session) -> bool:
    """In place of pytest's own loop over the tests."""
    early = _called()
    session.config._tmp_path_factory.getbasetemp()  # one for all children: whoever makes one shuts out other users
    if os.waitstatus_to_exitcode(os.waitpid(_child(lambda: _note_reach(session)), 0)[1]):
        pytest.exit("the tests fail without a mutant", returncode=2)
    names, reach = json.loads(MUTANTS.read_text(encoding="utf-8")), json.loads(REACH.read_text(encoding="utf-8"))
    items = {item.nodeid: item for item in session.items}
    by_name = {name: reach.get(name.partition("__mutmut_")[0], {}) for name in names}
    verdicts = dict(_verdicts(session, items, by_name))
    for name, verdict in verdicts.items():
        if verdict in {"survived", "unreached"} and name.partition("__mutmut_")[0] in early:
            verdicts[name] = "early"
    VERDICTS.write_text(json.dumps(verdicts), encoding="utf-8")
    return True


def _called() -> set[str]:
    """The functions that were called since the last look."""
    called, state()._stats = state()._stats, set()
    return called


def _note_reach(session: pytest.Session) -> int:
    """Write down which tests reach each function, and how long each takes."""
    reach: dict[str, dict[str, float]] = {}
    for item, following in zip(session.items, [*session.items[1:], None], strict=True):
        begun = time.perf_counter()
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            print(item.nodeid, file=sys.__stderr__, flush=True)
            return 1
        for function in _called():
            reach.setdefault(function, {})[item.nodeid] = time.perf_counter() - begun
    REACH.write_text(json.dumps(reach), encoding="utf-8")
    return 0


def _verdicts(
    session: pytest.Session, items: dict[str, pytest.Item], reach: dict[str, dict[str, float]]
) -> Iterator[tuple[str, str]]:
    """Each mutant with what became of it; as many are tried at a time as there are processors."""
    on_trial: dict[int, str] = {}
    for name, tests in reach.items():
        if not tests:
            yield name, "unreached"
            continue
        if len(on_trial) == WORKERS:
            yield _next(on_trial)
        chosen = [(items[one], tests[one]) for one in sorted(tests, key=lambda one: tests[one])]
        on_trial[_child(lambda name=name, chosen=chosen: _noticed(session, name, chosen))] = name
    while on_trial:
        yield _next(on_trial)


def _next(on_trial: dict[int, str]) -> tuple[str, str]:
    process, status = os.wait()
    return on_trial.pop(process), ENDINGS.get(os.waitstatus_to_exitcode(status), "crashed")


def _noticed(session: pytest.Session, mutant: str, tests: list[tuple[pytest.Item, float]]) -> int:
    """Whether one of these tests, of which each comes with how long it takes, fails, as an exit code."""
    set_mutant_under_test(mutant)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for (item, takes), (following, _) in zip(tests, [*tests[1:], (None, 0.0)], strict=True):
        _end_after(SLOW + 10 * int(takes))
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return 1
    return 0


def _end_after(seconds: int) -> None:
    """End this process when it has worked for so many seconds from now, or waited three times as long."""
    signal.alarm(3 * seconds)
    spent, most = resource.getrusage(resource.RUSAGE_SELF), resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(spent.ru_utime + spent.ru_stime) + seconds, most))


def _child(work: Callable[[], int]) -> int:
    """Begin a child that does this, and ends with what it returns."""
    if process := os.fork():
        return process
    code = 3
    with suppress(BaseException):
        code = work()
    os._exit(code)
