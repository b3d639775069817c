"""The commands put together, and the frame that every one of them runs in.

The frame turns whatever ends a command into an exit code: 0 done, 1 refused or failed, 2 wrongly used, 130
interrupted. Problems are one line on standard error; a traceback is shown with ``--debug`` only. Ctrl-C and a closed
pipe are quiet.
"""

import os
import sys
from typing import Annotated, Any

import typer

from .._version import __version__
from ..errors import OAuthError
from .demo import demo
from .output import Failure, prepare_streams, say_problem

__all__ = ["app", "run"]

INTERRUPTED = 130

# typer has carried its own copy of click since 0.25: these are the same classes wherever they live.
_UsageError: Any = typer.BadParameter.__mro__[1]
_ClickException: Any = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="exbo-oauth",
    help="EXBO's OAuth 2.0 from the command line.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        print(__version__)  # noqa: T201  # what a command line is for
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of what goes wrong.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """EXBO's OAuth 2.0 from the command line.

    See it all at work first, no account needed:  exbo-oauth demo
    """


app.command()(demo)


def run(arguments: list[str]) -> int:
    """Run one command line; the exit code."""
    prepare_streams()
    debug = "--debug" in arguments
    try:
        code = _invoke(arguments)
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except (Failure, OAuthError) as error:
        if debug:
            raise
        say_problem(error)
        return 1
    except BrokenPipeError:
        _silence_output()
        return 0
    return code


def _invoke(arguments: list[str]) -> int:
    try:
        code = app(arguments, prog_name="exbo-oauth", standalone_mode=False)
    except _UsageError as error:
        return _wrongly_used(error)
    except _ClickException as error:
        say_problem(error.format_message())
        return 1
    return code if isinstance(code, int) else 0


def _wrongly_used(error: Any) -> int:
    asked_for_nothing = type(error).__name__ == "NoArgsIsHelpError"
    if asked_for_nothing:
        print(error.format_message(), file=sys.stderr)  # noqa: T201  # the help, as typer renders it
    else:
        path = error.ctx.command_path if error.ctx is not None else "exbo-oauth"
        say_problem(f"{error.format_message()} See: {path} --help")
    return 2


def _silence_output() -> None:
    """What is still buffered goes nowhere, so that the interpreter does not complain on its way out."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
