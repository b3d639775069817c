"""The demo's story told in each colour: by the blocking client, on asyncio and on trio.

Every telling has an application of its own in the one sandbox, so that requests are counted apart.
"""

import time
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from inspect import isawaitable
from typing import Any, TypeVar

import anyio
import httpx
from attrs import define, field, frozen

from ..clients.aio import AsyncOAuthClient
from ..clients.own import made_for
from ..clients.sync import SyncOAuthClient
from ..errors import OAuthError
from ..language import tr
from ..testing import App, FakeExbo
from .story import REDIRECT_URI, STORY, Scene, Step, Untrue
from .visitor import LostBrowser

__all__ = ["COLOURS", "Report", "StepResult", "tell"]

H = TypeVar("H", httpx.Client, httpx.AsyncClient)

COLOURS = ("sync", "asyncio", "trio")


@frozen
class StepResult:
    """How a step went: the seconds it took, and what was wrong if it did not do what it says."""

    seconds: float
    problem: str | None = None


@define
class Report:
    """The outcomes so far, by colour and in the order of the story. `missing` are colours that cannot run here."""

    outcomes: dict[str, list[StepResult]] = field(factory=lambda: {colour: [] for colour in COLOURS})
    missing: tuple[str, ...] = ()
    token_requests: int = 0

    @property
    def complete(self) -> bool:
        """Whether every step of every colour was done and did what it says."""
        return all(
            len(done) == len(STORY) and all(outcome.problem is None for outcome in done)
            for done in self.outcomes.values()
        )

    @property
    def failures(self) -> list[tuple[str, Step, StepResult]]:
        """The steps that did not do what they say."""
        return [
            (colour, step, outcome)
            for colour, done in self.outcomes.items()
            for step, outcome in zip(STORY, done, strict=False)
            if outcome.problem is not None
        ]


def tell(fake: FakeExbo, told: Callable[[Report], None] = lambda _report: None) -> Report:
    """Tell the story in every colour against a sandbox that is being served; `told` hears of every step."""
    report = Report(missing=() if find_spec("trio") else ("trio",))
    for colour in COLOURS:
        if colour in report.missing:
            continue
        app = fake.add_app(f"Demo, {colour}", redirect_uris=[REDIRECT_URI])

        def note(outcome: StepResult, colour: str = colour) -> None:
            report.outcomes[colour].append(outcome)
            told(report)

        _tellers[colour](fake, app, note)
    report.token_requests = sum(request.grant is not None for request in fake.requests)
    return report


def _steps(scene: Scene, note: Callable[[StepResult], None]) -> Generator[Any, Any, None]:
    """The story up to the first step that fails."""
    for step in STORY:
        outcome = yield from _timed(step, scene)
        note(outcome)
        if outcome.problem is not None:
            return


def _timed(step: Step, scene: Scene) -> Generator[Any, Any, StepResult]:
    start = time.perf_counter()
    problem = None
    try:
        yield from step.act(scene)
    except (Untrue, LostBrowser, OAuthError) as error:
        problem = str(error)
    except httpx.HTTPError as error:
        problem = tr("the sandbox did not answer ({problem})", problem=type(error).__name__)
    return StepResult(time.perf_counter() - start, problem)


def _tell_blocking(fake: FakeExbo, app: App, note: Callable[[StepResult], None]) -> None:
    with SyncOAuthClient(**_options(fake, app)) as client, _http(fake, httpx.Client) as http:
        scene = Scene(fake=fake, app=app, client=client, http=http, together=_threads)
        steps, answer = _steps(scene, note), None
        try:
            while True:
                answer = steps.send(answer)
        except StopIteration:
            return


def _http(fake: FakeExbo, kind: type[H]) -> H:
    """The browser's HTTP client, which depends on nothing in the environment."""
    return made_for(fake.base_url, kind, httpx.create_ssl_context)


def _threads(count: int, call: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(call) for _ in range(count)]]


async def _tell_async(fake: FakeExbo, app: App, note: Callable[[StepResult], None]) -> None:
    async with AsyncOAuthClient(**_options(fake, app)) as client, _http(fake, httpx.AsyncClient) as http:
        scene = Scene(fake=fake, app=app, client=client, http=http, together=_tasks)
        await _awaiting(_steps(scene, note))


async def _awaiting(steps: Generator[Any, Any, None]) -> None:
    answer: Any = None
    failure: Exception | None = None
    try:
        while True:
            waiting = steps.send(answer) if failure is None else steps.throw(failure)
            answer, failure = await _settled(waiting)
    except StopIteration:
        return


async def _settled(waiting: Any) -> tuple[Any, Exception | None]:
    try:
        return (await waiting if isawaitable(waiting) else waiting), None
    except Exception as error:  # noqa: BLE001  # belongs to the step that asked
        return None, error


async def _tasks(count: int, call: Callable[[], Awaitable[Any]]) -> list[Any]:
    results: list[Any] = []
    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(_collect, call, results)
    return results


async def _collect(call: Callable[[], Awaitable[Any]], results: list[Any]) -> None:
    results.append(await call())


def _options(fake: FakeExbo, app: App) -> dict[str, Any]:
    return {"client_id": app.client_id, "client_secret": app.client_secret, "base_url": fake.base_url}


def _tell_on(backend: str, fake: FakeExbo, app: App, note: Callable[[StepResult], None]) -> None:
    anyio.run(_tell_async, fake, app, note, backend=backend)


_tellers: dict[str, Callable[[FakeExbo, App, Callable[[StepResult], None]], None]] = {
    "sync": _tell_blocking,
    "asyncio": partial(_tell_on, "asyncio"),
    "trio": partial(_tell_on, "trio"),
}
