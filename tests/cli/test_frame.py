"""What every command has in common: exit codes, one line for a problem, and what is missing."""

from collections.abc import Callable
from typing import Any

import pytest

from exbo_oauth import __version__


@pytest.mark.parametrize(
    ("hidden", "named"),
    [
        (["typer"], "typer"),
        (["rich"], "rich"),
        (["typer", "rich", "platformdirs"], "typer and rich and platformdirs"),
    ],
    ids=["typer", "rich", "all"],
)
def test_without_the_extra_one_line_says_how_to_get_it(
    shell: Any, without: Callable[..., str], hidden: list[str], named: str
) -> None:
    done = shell("demo", PYTHONPATH=without(*hidden))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f'exbo-oauth: the command line needs {named}: pip install "exbo-oauth[cli]"\n'


def test_no_arguments_is_wrong_use_and_shows_the_help(shell: Any) -> None:
    done = shell()
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage: exbo-oauth" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nope"], "No such command 'nope'. See: exbo-oauth --help"),
        (["demo", "--nope"], "No such option: --nope. See: exbo-oauth demo --help"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(shell: Any, arguments: list[str], problem: str) -> None:
    done = shell(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"exbo-oauth: {problem}\n")


def test_the_version_is_the_packages(shell: Any) -> None:
    assert shell("--version").stdout == f"{__version__}\n"
