"""Everything that CI runs, a session each: ``nox`` runs all of them, ``nox -s lint`` one.

Interpreters that are not installed are skipped, and said to be. Ruff, mypy and pyright are pinned: a new release of
theirs should not be what breaks somebody's clone.
"""

import os
import re
import tomllib
from pathlib import Path

import nox

HERE = Path(__file__).parent
PYPROJECT = tomllib.loads((HERE / "pyproject.toml").read_text())
CLASSIFIERS = PYPROJECT["project"]["classifiers"]
PYTHONS = [
    found[1] for line in CLASSIFIERS if (found := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", line))
]
NEWEST, OLDEST = PYTHONS[-1], PYTHONS[0]
TESTS = nox.project.dependency_groups(PYPROJECT, "test")
LINTERS = nox.project.dependency_groups(PYPROJECT, "lint")

nox.needs_version = ">=2025.2.9"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"


def _find_pyenv_interpreters() -> None:
    """pyenv's ``python3.12`` is a shim that fails unless that version is selected: put the real ones in front."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    folders = [str(path) for version in PYTHONS for path in sorted(root.glob(f"versions/{version}.*/bin"))]
    os.environ["PATH"] = os.pathsep.join([*folders, os.environ["PATH"]])


_find_pyenv_interpreters()


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The whole suite with all extras; the newest Python also measures coverage."""
    session.install(".[all]", *TESTS)
    if session.python != NEWEST:
        session.run("python", "-m", "pytest", "-q", *session.posargs)
        return
    session.run("coverage", "run", "-m", "pytest", "-q", *session.posargs)
    if not session.posargs:
        session.run("coverage", "combine", "--quiet", success_codes=[0, 1])
        session.run("coverage", "report", "--skip-covered")
        core = "exbo_oauth/protocol/*,exbo_oauth/flow/*,exbo_oauth/models.py,exbo_oauth/errors.py,exbo_oauth/wire.py"
        session.run("coverage", "report", "--fail-under=100", f"--include={core}")


@nox.session(python=OLDEST)
def bare(session: nox.Session) -> None:
    """The core with the four base dependencies alone, at the lowest versions that are promised."""
    lowest = [requirement.split(",")[0].replace(">=", "==") for requirement in PYPROJECT["project"]["dependencies"]]
    session.install(*lowest, ".", "pytest", "pytest-httpx", "hypothesis", "trio")
    session.run("python", "-m", "pytest", "-q", "tests/protocol", "tests/flow", *session.posargs)


@nox.session(python=NEWEST)
def wheel(session: nox.Session) -> None:
    """The built wheel, installed alone, does its work outside this tree."""
    session.install("build")
    folder = Path(session.create_tmp())
    for old in folder.glob("*.whl"):
        old.unlink()
    session.run("python", "-m", "build", "--wheel", "--outdir", str(folder), silent=True)
    [built] = folder.glob("*.whl")
    session.run("python", "tests/testing/sample_project/run.py", str(built))
    session.install("--force-reinstall", f"{built}[all]")
    session.chdir(folder)
    session.run("exbo-oauth", "demo")


@nox.session(python=NEWEST)
def lint(session: nox.Session) -> None:
    """Ruff: style and formatting."""
    session.install(*LINTERS)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(python=NEWEST)
def typing(session: nox.Session) -> None:
    """mypy --strict and pyright, on the package and on what its users would write."""
    session.install(".[all]", *TESTS, *LINTERS)
    session.run("mypy", "exbo_oauth", "tests/typing")
    session.run("basedpyright", "--level", "error")


@nox.session(python=NEWEST, default=False)
def bench(session: nox.Session) -> None:
    """Ratios to bare httpx and to others, measured side by side."""
    session.install(".[all]", *TESTS)
    session.run("python", "-m", "benchmarks", *session.posargs)
