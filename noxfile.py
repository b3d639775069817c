"""Everything that CI runs, a session each: ``nox`` runs all of them, ``nox -s lint`` one, ``nox -l`` lists them.

Pythons that are not installed are skipped, and said to be. uv makes the environments where it is installed beside nox,
pip where it is not. Ruff, mypy and pyright are pinned: a new release of theirs should not be what breaks somebody's
clone.
"""

import os
import re
import shutil
import sys
import tomllib
from pathlib import Path

import nox
from nox.command import CommandFailed

HERE = Path(__file__).parent
PYPROJECT = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
TESTS = nox.project.dependency_groups(PYPROJECT, "test")
LINTERS = nox.project.dependency_groups(PYPROJECT, "lint")
PURE = ["tests/protocol", "tests/flow"]
FLEET = "tests/stores/test_fleet.py"
DEPENDENT = ("contract_servers", "databases", "encrypted", "keyring", "redis", "sqlalchemy")  # stores with extras
# What `tests` runs on the newest Python (some of it in another way than the rest), on the oldest, and on those between.
WHOLE = ["tests", *(f"--ignore={path}" for path in (*PURE, FLEET))]
LOWEST = ["tests/surfaces", "tests/interop", "tests/cli/test_frame.py"]
LOWEST += [f"tests/stores/test_{name}.py" for name in DEPENDENT]
LOWEST += ["--ignore=tests/surfaces/test_time_limit.py"]  # it waits for a minute, whatever the versions
BETWEEN = ["tests/flow", "tests/sharing"]
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"

nox.needs_version = ">=2025.2.9"
nox.options.error_on_missing_interpreters = False
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"


def by_version(version: str) -> list[int]:
    """Sorts 3.9 before 3.11."""
    return [int(part) for part in version.split(".")]


def promised_pythons() -> list[str]:
    """Those of the classifiers, oldest first, and the one that runs nox, so that something runs anywhere."""
    pattern = re.compile(r"Programming Language :: Python :: (3\.\d+)")
    promised = {found[1] for line in PROJECT["classifiers"] if (found := pattern.fullmatch(line))}
    return sorted(promised | {RUNNING}, key=by_version)


PYTHONS = promised_pythons()


def find_pyenv_pythons() -> None:
    """pyenv's ``python3.12`` is a shim that fails unless that version is selected: put the real ones in front."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    folders = [str(path) for version in PYTHONS for path in sorted(root.glob(f"versions/{version}.*/bin"))]
    os.environ["PATH"] = os.pathsep.join([*folders, os.environ["PATH"]])


find_pyenv_pythons()
FOUND = [version for version in PYTHONS if version == RUNNING or shutil.which(f"python{version}")]
OLDEST, NEWEST = FOUND[0], FOUND[-1]


def lowest(requirements: list[str]) -> list[str]:
    """The oldest versions that are promised to do: ``attrs>=24.2,<30`` asks for ``attrs==24.2``."""
    return [re.sub(r">=([^,;]+)[^;]*", r"==\1", requirement) for requirement in requirements]


def extras() -> list[str]:
    """What all the extras need."""
    return [needed for name, group in PROJECT["optional-dependencies"].items() if name != "all" for needed in group]


def run_pytest(session: nox.Session, *arguments: str) -> None:
    """Some processes share the work. What fails on a busy machine gets one more, quiet chance; twice is a failure."""
    try:
        session.run("python", "-m", "pytest", "-q", "-n", "4", "--dist", "loadfile", *arguments)
    except CommandFailed:
        session.run("python", "-m", "pytest", "-q", "--last-failed", *arguments)


def run_coverage(session: nox.Session) -> None:
    """The pure layers' own tests reach all of their lines and branches."""
    core = "exbo_oauth/protocol/*,exbo_oauth/flow/*,exbo_oauth/models.py,exbo_oauth/errors.py,exbo_oauth/converter.py"
    omitted = "exbo_oauth/flow/login.py,exbo_oauth/flow/drive.py"
    session.run("coverage", "run", "-m", "pytest", "-q", *PURE)
    session.run("coverage", "report", "--fail-under=100", f"--include={core}", f"--omit={omitted}")


def run_fleet(session: nox.Session) -> None:
    """One after the other, and what they did is shown: a fleet wants the machine for itself."""
    session.run("python", "-m", "pytest", "-q", "-rP", FLEET, *session.posargs)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """On the newest Python everything, on the oldest with the lowest versions that are promised what they bear upon.

    ``nox -s tests -- tests`` runs all on all.
    """
    chosen = {OLDEST: LOWEST, NEWEST: WHOLE}.get(session.python, BETWEEN)  # the only one is the newest
    pins = lowest(PROJECT["dependencies"] + extras()) if chosen is LOWEST else []
    session.install(".[all]", *TESTS, *pins)
    run_pytest(session, *(session.posargs or chosen))
    if chosen is WHOLE and not session.posargs:
        run_coverage(session)
        run_fleet(session)


@nox.session(python=NEWEST, default=False)
def coverage(session: nox.Session) -> None:
    """Every line and branch of the pure layers, from their own tests; part of the tests, too."""
    session.install(".[all]", *TESTS)
    run_coverage(session)


@nox.session(python=NEWEST, default=False)
def fleet(session: nox.Session) -> None:
    """Fleets on Redis and PostgreSQL, through restarts and kills, and a naive one; part of the tests, too."""
    session.install(".[all]", *TESTS)
    run_fleet(session)


@nox.session(python=OLDEST)
def bare(session: nox.Session) -> None:
    """The core with the four base dependencies alone, at the lowest versions that are promised."""
    session.install(*lowest(PROJECT["dependencies"]), ".", "pytest", "pytest-httpx", "hypothesis", "trio")
    session.run("python", "-m", "pytest", "-q", *PURE, *session.posargs)


@nox.session(python=NEWEST, default=False)
def docs(session: nox.Session) -> None:
    """The code in README and docs runs, and links lead somewhere; part of the tests, too."""
    session.install(".[all]", *TESTS)
    session.run("python", "-m", "pytest", "-q", "tests/docs", *session.posargs)


@nox.session(python=NEWEST, default=False)
def examples(session: nox.Session) -> None:
    """The examples run against the sandbox; part of the tests, too."""
    session.install(".[all]", *TESTS)
    session.run("python", "-m", "pytest", "-q", "tests/examples", "tests/test_recipes.py", *session.posargs)


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
    session.install("--force-reinstall", f"{built}[cli,testing]")
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
    here = shutil.which("python", path=session.bin)  # it would take a .venv beside this file
    session.run("basedpyright", "--level", "error", "--pythonpath", here)


@nox.session(python=NEWEST, default=False)
def bench(session: nox.Session) -> None:
    """Ratios to bare httpx and to others, measured side by side."""
    session.install(".[all]", *TESTS)
    session.run("python", "-m", "benchmarks", *session.posargs)
