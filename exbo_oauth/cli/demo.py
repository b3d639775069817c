"""``exbo-oauth demo``: the story of `exbo_oauth.cli.story` as a table that fills itself.

Everything happens between this process and a sandbox on a loopback socket of its own: no account, no network.
"""

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..environment import install_command
from ..language import tr, trn
from .output import ROOMY, Failure, console, say, say_json, say_problem, sign
from .program import as_typed

if TYPE_CHECKING:
    from rich.table import Table

    from ..testing import FakeExbo
    from .colours import Report, StepResult

__all__ = ["demo", "performed"]

_EXTRAS = "cli,testing"

AsJson = Annotated[bool, typer.Option("--json", help="Print the outcome of every step as one JSON document.")]


def demo(as_json: AsJson = False) -> None:
    """Show everything at work: no account, no network.

    A sandbox is started in this process, and the whole story of an application is played against it through the
    blocking client, on asyncio and on trio. Every step is checked against the server; exit code 0 only if all of them
    did what they say.

      exbo-oauth demo
      exbo-oauth demo --json
    """
    if find_spec("cryptography") is None:
        raise Failure(
            tr(
                "the demo's sandbox signs its tokens with the package cryptography: {command}",
                command=install_command(_EXTRAS),
            )
        )
    from ..testing import FakeExbo

    raise typer.Exit(performed(FakeExbo(), as_json=as_json))


def performed(fake: "FakeExbo", *, as_json: bool) -> int:
    """Play the demo against `fake` and show it; the exit code, 0 only if every step did what it says."""
    from .colours import tell

    with ExitStack() as stack:
        stack.enter_context(fake.serve())
        told = (lambda _report: None) if as_json else stack.enter_context(_growing_table())
        report = tell(fake, told)
    if as_json:
        say_json(_as_dict(report))
    else:
        _say_summary(report)
        if report.complete:
            after = " ".join((as_typed(), "sandbox"))
            say(tr("Next, an EXBO of your own to sign in at: {command}", command=after))
    for colour in report.missing:
        get = install_command(_EXTRAS)
        say_problem(tr("{name} is not installed, so its part was left out: {command}", name=colour, command=get))
    for colour, step, outcome in report.failures:
        say_problem(f"{colour}: {tr(step.title)}: {outcome.problem}")
    return 0 if report.complete else 1


@contextmanager
def _growing_table() -> Generator[Callable[["Report"], None]]:
    """Draws the report: on a terminal after every step, elsewhere once at the end."""
    from rich.live import Live

    from .colours import Report

    screen, latest = console(), [Report()]
    if screen.is_terminal:
        # rich's stand-in for standard output would hide the encoding from `sign`.
        kept: dict[str, Any] = {"redirect_stdout": False, "redirect_stderr": False}
        with Live(_table(latest[0], screen.width), console=screen, auto_refresh=False, **kept) as live:
            yield lambda report: live.update(_table(report, screen.width), refresh=True)
    else:
        yield lambda report: latest.__setitem__(0, report)
        screen.print(_table(latest[0], screen.width))


def _table(report: "Report", width: int) -> "Table":
    """Narrow terminals get no seconds: what was done has to be readable."""
    from rich.table import Table

    from .story import STORY

    table = Table(title=tr("exbo-oauth against its own sandbox"), title_style="bold", title_justify="left")
    table.add_column(tr("step"))
    for colour in report.outcomes:
        table.add_column(colour, justify="right", no_wrap=True)
    for index, step in enumerate(STORY):
        cells = (_cell(done, index, timed=width >= ROOMY) for done in report.outcomes.values())
        table.add_row(tr(step.title), *cells)
    return table


def _cell(done: "list[StepResult]", index: int, *, timed: bool) -> str:
    if index >= len(done):
        return "[dim]-[/dim]"
    outcome = done[index]
    if outcome.problem is not None:
        return f"[red]{sign('✗')}[/red]"
    done_well = f"[green]{sign('✓')}[/green]"
    return f"{done_well} {_time(outcome.seconds)}" if timed else done_well


def _time(seconds: float) -> str:
    """In eight characters at most: the titles need the rest of 80 columns."""
    milliseconds = round(seconds * 1000)
    return tr("{count} ms", count=milliseconds) if milliseconds < 1000 else tr("{seconds} s", seconds=round(seconds, 1))


def _say_summary(report: "Report") -> None:
    done = sum(outcome.problem is None for outcomes in report.outcomes.values() for outcome in outcomes)
    seconds = sum(outcome.seconds for outcomes in report.outcomes.values() for outcome in outcomes)
    verdict = tr("Every step did what it says") if report.complete else tr("Not every step did what it says")
    steps = trn("{count} step", "{count} steps", done)
    requests = trn("{count} token request", "{count} token requests", report.token_requests)
    say(f"{verdict}: {steps}, {requests}, {tr('{seconds} s', seconds=round(seconds, 1))}.")


def _as_dict(report: "Report") -> dict[str, Any]:
    from .story import STORY

    return {
        "complete": report.complete,
        "token_requests": report.token_requests,
        "missing": list(report.missing),
        "steps": [
            {"step": step.title, **{colour: _outcome(done, index) for colour, done in report.outcomes.items()}}
            for index, step in enumerate(STORY)
        ],
    }


def _outcome(done: "list[StepResult]", index: int) -> dict[str, Any]:
    if index >= len(done):
        return {"ok": False, "seconds": None, "problem": tr("not reached")}
    outcome = done[index]
    return {"ok": outcome.problem is None, "seconds": round(outcome.seconds, 6), "problem": outcome.problem}
