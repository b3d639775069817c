"""``python -m exbo_oauth``, and the entry point of the ``exbo-oauth`` command.

Imports nothing of the extra ``cli`` before it knows that it is there, so that without it one line says how to get it.
"""

import sys
from collections.abc import Sequence
from importlib.util import find_spec

__all__ = ["main"]

_NEEDED = ("typer", "rich", "platformdirs")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code: 0 done, 1 refused or failed, 2 wrongly used."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        problem = f'exbo-oauth: the command line needs {" and ".join(missing)}: pip install "exbo-oauth[cli]"'
        print(problem, file=sys.stderr)  # the one place that cannot use the output module
        return 1
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments[:1] == ["token"]:
        from .cli.quick import printed

        if printed(arguments[1:]):
            return 0
    from .cli.app import run

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
