"""``python -m exbo_oauth``, and the entry point of the ``exbo-oauth`` command.

Imports nothing of the extra ``cli`` before it knows that it is there, so that without it one line says how to get it.
"""

import sys
from collections.abc import Sequence
from importlib.util import find_spec

__all__ = ["main"]

_NEEDED = ("typer", "rich")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code: 0 done, 1 refused or failed, 2 wrongly used, 130 interrupted."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        from .environment import install_command
        from .language import tr

        names = tr(" and ").join(missing)
        get = install_command("cli")
        problem = tr("exbo-oauth: the command line needs {names}: {command}", names=names, command=get)
        if sys.stderr is not None:  # or Python would print to standard output
            print(problem, file=sys.stderr)
        return 1
    try:
        return _run(sys.argv[1:] if arguments is None else list(arguments))
    except KeyboardInterrupt:
        return 130


def _run(arguments: list[str]) -> int:
    from .cli.output import prepare_streams
    from .language import speak

    prepare_streams()
    speak(None)
    if arguments[:1] == ["token"]:
        from .cli.quick import answered

        code = answered(arguments[1:])
        if code is not None:
            return code
    from .cli.app import run

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
