"""The commands put together, and the frame that every one of them runs in.

The frame turns whatever ends a command into an exit code: 0 done, 1 refused or failed, 2 wrongly used, 130
interrupted. Problems are one line on standard error; a traceback is shown with ``--debug`` only. Ctrl-C and a closed
pipe are quiet.
"""

import os
import sys
from contextlib import redirect_stdout
from inspect import cleandoc
from shlex import quote
from typing import Annotated, Any

import typer

from .._version import __version__
from ..errors import LoginRequiredError, OAuthError
from ..language import tr
from .demo import demo
from .doctor import doctor
from .files import holds_token
from .inspection import inspect
from .moving import backup, copy, rotate
from .output import PROGRAM, Failure, ended, say, say_error, say_problem
from .people import accounts, whoami
from .sandbox import sandbox
from .signing import login, logout, url
from .status import status
from .tokens import refresh, token
from .usage import built, problem_of, spoken

__all__ = ["app", "run"]

_COMPLETING = "_EXBO_OAUTH_COMPLETE"  # what a shell sets that wants to know how a word might go on

# typer has carried its own copy of click since 0.25: this is the same class wherever it lives.
_UsageError: Any = typer.BadParameter.__mro__[1]

app: typer.Typer = typer.Typer(
    name=PROGRAM,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


_HELP = """EXBO's OAuth 2.0 from the command line: sign users in, hand out tokens, find out what is wrong.

See it all at work first, no account needed:

  exbo-oauth demo

Then with an EXBO of your own; it says what to type in a second terminal:

  exbo-oauth sandbox

With EXBO itself, once your application is approved:

  export EXBO_CLIENT_ID=59 EXBO_REDIRECT_URI=http://localhost:9999/callback
  exbo-oauth doctor --client-secret-file secret.txt
  exbo-oauth login --client-secret-file secret.txt
  exbo-oauth whoami --client-secret-file secret.txt

Settings come from flags, else from EXBO_CLIENT_ID, EXBO_CLIENT_SECRET, EXBO_REDIRECT_URI, EXBO_SCOPE, EXBO_OAUTH_URL,
EXBO_STORE and EXBO_STORE_KEY in the environment, else from the same in .env in this directory, else from config.toml in
your configuration directory. Exit codes: 0 done, 1 refused or failed, 2 wrong usage.
"""


def _preformatted(text: str) -> str:
    """Help text whose indented paragraphs are shown as they are, by click's own mark."""
    paragraphs = cleandoc(text).split("\n\n")
    return "\n\n".join(f"\b\n{part}" if part.startswith("  ") else part for part in paragraphs)


def _version(asked: bool) -> None:
    if asked:
        say(__version__)
        raise typer.Exit


@app.callback(help=_preformatted(_HELP))
def _options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of what goes wrong.")
    ] = False,  # read by run
    lang: Annotated[
        str | None, typer.Option("--lang", metavar="LANG", help="The language to speak, such as ru. [EXBO_LANG]")
    ] = None,  # read by run
    version: Annotated[  # read by its callback
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


for _command in (
    demo,
    sandbox,
    login,
    logout,
    whoami,
    accounts,
    token,
    refresh,
    status,
    inspect,
    url,
    doctor,
    copy,
    rotate,
    backup,
):
    app.command(help=_preformatted(_command.__doc__ or ""))(_command)


def run(arguments: list[str]) -> int:
    """Run one command line; the exit code. ``--debug`` and ``--lang`` may stand anywhere in it."""
    debug = "--debug" in arguments
    try:
        return ended(lambda: _invoke([argument for argument in arguments if argument != "--debug"]), 1)
    except Exception as error:  # no command ends in a traceback that nobody asked for
        if debug:
            raise
        say_error(error, _told(error))
        return 1


def _told(error: Exception) -> str:
    if isinstance(error, LoginRequiredError) and error.account is not None:
        return tr("{problem}: run exbo-oauth login --user {account}", problem=error, account=quote(error.account))
    if isinstance(error, Failure | OAuthError):
        return str(error)
    kind = type(error).__name__
    return tr("this should not have happened ({kind}): run it again with --debug and report it", kind=kind)


def _invoke(arguments: list[str]) -> int:
    try:
        arguments = spoken(arguments)
        if not arguments and _COMPLETING not in os.environ:
            return _helped()
        _refuse_pasted(arguments)
        code = built(app)(arguments, prog_name=PROGRAM, standalone_mode=False)
    except _UsageError as error:
        return _wrongly_used(error)
    return code if isinstance(code, int) else 0


def _refuse_pasted(arguments: list[str]) -> None:
    """A token has no business among the arguments, where whatever complains of it would repeat it."""
    if arguments[:1] != ["url"] and any(map(holds_token, arguments)):  # what `url --state` carries is the caller's
        raise typer.BadParameter(
            tr(
                "this is a token, not a name: on the command line it is seen by every user of this machine and kept "
                "in the shell's history. Put it into a file and give the name of that, or paste it into: exbo-oauth "
                "inspect -"
            )
        )


def _helped() -> int:
    """Nothing was asked for: how to ask."""
    with redirect_stdout(sys.stderr):
        built(app)(["--help"], prog_name=PROGRAM, standalone_mode=False)
    return 2


def _wrongly_used(error: Any) -> int:
    path = PROGRAM if error.ctx is None else error.ctx.command_path
    problem = problem_of(error)
    sentence = problem if problem.endswith((".", "?", "!")) else f"{problem}."
    say_problem(tr("{sentence} See: {command} --help", sentence=sentence, command=path))
    return 2
