"""The architecture: who may import whom, what an import costs, what is public, and that the two clients are twins.

Imports are read from the source, those inside functions and those for type checkers too.
"""

import ast
import inspect
import os
import pickle
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from functools import cached_property
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

import exbo_oauth
import exbo_oauth.protocol
import exbo_oauth.stores
import exbo_oauth.testing

ROOT = Path(exbo_oauth.__file__).parent

# The floors, from the ground up. A module belongs to the most exact name; it imports from its own package and from
# floors below.
FLOORS = (
    {"_pyinstaller", "_version", "boundary", "lazy", "masking", "misuse", "promise", "threads"},
    {"converter", "environment", "language", "moments", "shapes"},
    {"models"},
    {"errors"},
    {"protocol"},
    {"stores.base"},
    {"events", "meaning"},
    {"flow"},
    {"stores", "login"},
    {"clients"},
    {"testing"},
    {"cli"},
    {"__init__"},
    {"__main__"},
)
FLOOR_OF = {name: number for number, names in enumerate(FLOORS) for name in names}

# All that decisions may know of the world: values in, values out.
PURE = {
    "attrs",
    "base64",
    "collections.abc",
    "datetime",
    "email.utils",
    "enum",
    "functools",
    "hashlib",
    "hmac",
    "ipaddress",
    "itertools",
    "json",
    "math",
    "re",
    "typing",
    "urllib.parse",
}


@frozen
class Module:
    """One source file of the package; `name` is relative to it. Tests read it, not all who collect them."""

    name: str
    path: Path

    @property
    def place(self) -> str:
        return place_of(self.name)

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"))

    @cached_property
    def imports(self) -> frozenset[str]:
        return frozenset(target for node in ast.walk(self.tree) for target in imported(node, self.path))

    @property
    def own(self) -> set[str]:
        """Those of its imports that are ours, by the name relative to the package."""
        return {target[4:] for target in self.imports if target.startswith("own:")}


def place_of(name: str) -> str:
    parts = name.split(".")
    candidates = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next(candidate for candidate in candidates if candidate in FLOOR_OF)


def named(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


NAMES = {named(path): path for path in sorted(ROOT.rglob("*.py"))}


def imported(node: ast.AST, path: Path) -> Iterator[str]:
    """What one statement imports: our own modules by the name relative to the package, others as they are."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and not node.level:
        assert node.module is not None
        yield node.module
    elif isinstance(node, ast.ImportFrom):
        package = path.relative_to(ROOT).parts[:-1]
        base = [*package[: len(package) - node.level + 1], *(node.module.split(".") if node.module else [])]
        for alias in node.names:
            deeper = ".".join([*base, alias.name])
            yield "own:" + (deeper if deeper in NAMES else ".".join(base) or "__init__")


MODULES = [Module(name, path) for name, path in NAMES.items()]
CORE = [module for module in MODULES if module.place in ("protocol", "flow")]


def each(modules: list[Module]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("module", modules, ids=[module.name for module in modules])


# Who may import whom


@each(MODULES)
def test_imports_lead_down(module: Module) -> None:
    places = {place_of(target) for target in module.own} - {module.place}
    above = {place for place in places if FLOOR_OF[place] >= FLOOR_OF[module.place]}
    assert not above, f"{module.name} imports from {sorted(above)}"


def test_modules_do_not_need_each_other_in_circles() -> None:
    packages = {name for name in NAMES if any(other.startswith(f"{name}.") for other in NAMES)}
    edges = {module.name: module.own - packages - {module.name} for module in MODULES}
    assert list(TopologicalSorter(edges).static_order())


def test_every_place_on_a_floor_is_there() -> None:
    assert {module.place for module in MODULES} == set(FLOOR_OF)


@each(CORE)
def test_the_core_touches_nothing_outside(module: Module) -> None:
    assert {target for target in module.imports if not target.startswith("own:")} <= PURE


@each(CORE)
def test_the_core_reads_no_clock(module: Module) -> None:
    calls = (node.func for node in ast.walk(module.tree) if isinstance(node, ast.Call))
    assert {call.attr for call in calls if isinstance(call, ast.Attribute)}.isdisjoint({"now", "utcnow", "today"})


def test_absolute_imports_of_ourselves_are_not_used() -> None:
    assert not [module.name for module in MODULES if any(name.startswith("exbo_oauth") for name in module.imports)]


# What every module looks like


@each(MODULES)
def test_a_module_opens_with_its_contract(module: Module) -> None:
    assert module.path.stat().st_size == 0 or ast.get_docstring(module.tree)


@each(MODULES)
def test_a_module_holds_one_idea(module: Module) -> None:
    # What docstrings show by example is read in help(), not on the way through the module.
    examples = re.compile(r"^\n +::\n\n(?: {8}.*\n|\n)+ +\"{3}\n", re.MULTILINE)
    lines = examples.sub("", module.path.read_text(encoding="utf-8"))
    assert lines.count("\n") < 400


# What is public

PUBLIC = [exbo_oauth, exbo_oauth.protocol, exbo_oauth.stores, exbo_oauth.testing]
public = pytest.mark.parametrize("package", PUBLIC, ids=[package.__name__ for package in PUBLIC])


def constants_then_classes(name: str) -> tuple[bool, bool, str]:
    return (not name.isupper(), not name[0].isupper(), name)


@public
def test_all_is_sorted_and_importable(package: Any) -> None:
    assert list(package.__all__) == sorted(set(package.__all__), key=constants_then_classes)
    for name in package.__all__:
        assert getattr(package, name) is not None


@public
def test_dir_shows_every_public_name(package: Any) -> None:
    assert set(package.__all__) <= set(dir(package))


@public
def test_a_name_that_is_not_there_is_an_attribute_error(package: Any) -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = package.no_such_name


@pytest.mark.parametrize(
    "package", [exbo_oauth, exbo_oauth.stores, exbo_oauth.testing], ids=lambda package: package.__name__
)
def test_type_checkers_see_the_names_that_there_are_at_run_time(package: Any) -> None:
    tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
    [guarded] = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    others = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    homes = {
        alias.asname or alias.name: import_module("." * node.level + (node.module or ""), package.__name__)
        for node in (*guarded.body, *others)
        if isinstance(node, ast.ImportFrom) and node.level and node.module != "lazy"
        for alias in node.names
    }
    assert set(package.__all__) == set(homes)
    for name, home in homes.items():
        assert getattr(package, name) is getattr(home, name)


TOP = [getattr(exbo_oauth, name) for name in exbo_oauth.__all__ if name != "__version__"]


@pytest.mark.parametrize("thing", TOP, ids=lambda thing: thing.__name__)
def test_public_things_say_that_they_are_of_the_package(thing: Any) -> None:
    assert thing.__module__ == "exbo_oauth"
    assert pickle.loads(pickle.dumps(thing)) is thing


# What an import costs


def loaded_by(program: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after `program`."""
    source = f"{program}\nimport sys\nprint(*sys.modules)"
    unwatched = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    run = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, env=unwatched)
    return set(run.stdout.split())


HEAVY = {
    "anyio",
    "asyncio",
    "cattrs",
    "cryptography",
    "httpx",
    "httpx2",
    "rich",
    "sqlalchemy",
    "sqlite3",
    "trio",
    "typer",
}
MAKING = "exbo_oauth.{kind}(client_id=59, client_secret='x').begin_login()"


@pytest.mark.parametrize(
    ("program", "spared"),
    [
        pytest.param("import exbo_oauth", HEAVY | {"attrs", "exbo_oauth.models"}, id="importing the package"),
        pytest.param(
            "import exbo_oauth; " + MAKING.format(kind="SyncOAuthClient"), HEAVY, id="making a blocking client"
        ),
        pytest.param(
            "import exbo_oauth; " + MAKING.format(kind="AsyncOAuthClient"),
            HEAVY - {"anyio", "asyncio"},
            id="making an asynchronous client",
        ),
        pytest.param("import exbo_oauth.protocol", HEAVY, id="importing the core"),
        pytest.param(
            "import exbo_oauth; answer = {'token_type': 'Bearer', 'expires_in': 60, 'access_token': 'x', 'more': 1}; "
            "exbo_oauth.AppToken.from_dict(exbo_oauth.AppToken.from_dict(answer).to_dict())",
            HEAVY,
            id="reading and writing a token",
        ),
        pytest.param("import exbo_oauth.stores, exbo_oauth.testing", HEAVY, id="importing stores and the testing kit"),
    ],
)
def test_what_is_not_used_is_not_loaded(program: str, spared: set[str]) -> None:
    assert loaded_by(program).isdisjoint(spared)


# The twins

SYNC, ASYNC = exbo_oauth.SyncOAuthClient, exbo_oauth.AsyncOAuthClient
CLOSING = {"close", "aclose"}
SHARED = sorted({name for name in dir(SYNC) if not name.startswith("_")} - CLOSING)


def shape(kind: type, name: str) -> list[tuple[Any, ...]]:
    parameters = inspect.signature(getattr(kind, name)).parameters.values()
    return [
        (parameter.name, parameter.kind, parameter.default, str(parameter.annotation).replace("AsyncClient", "Client"))
        for parameter in parameters
    ]


def test_the_twins_have_the_same_methods_in_the_same_order() -> None:
    assert {name for name in dir(ASYNC) if not name.startswith("_")} - CLOSING == set(SHARED)
    written = [
        [name for name in vars(kind) if not name.startswith("_") and name not in CLOSING] for kind in (SYNC, ASYNC)
    ]
    assert written[0] == written[1]
    assert "close" in dir(SYNC)
    assert dir(ASYNC).count("aclose") == 1


@pytest.mark.parametrize("name", ["__init__", *[name for name in SHARED if name != "ratelimit"]])
def test_the_twins_take_the_same_arguments(name: str) -> None:
    assert shape(SYNC, name) == shape(ASYNC, name)


@pytest.mark.parametrize("name", SHARED)
def test_the_twins_say_the_same(name: str) -> None:
    said = inspect.getdoc(getattr(SYNC, name))
    assert said
    assert said == inspect.getdoc(getattr(ASYNC, name))


PLAIN = {"get_authorize_url", "begin_login", "app_auth", "user_auth", "client_auth", "from_env", "ratelimit"}


@pytest.mark.parametrize("name", SHARED)
def test_what_may_reach_the_network_or_the_store_is_a_coroutine(name: str) -> None:
    assert inspect.iscoroutinefunction(getattr(ASYNC, name)) is (name not in PLAIN)
    assert not inspect.iscoroutinefunction(getattr(SYNC, name))


def public_callables() -> Iterator[tuple[str, Any]]:
    for package in PUBLIC:
        for name in package.__all__:
            thing = getattr(package, name)
            if inspect.isfunction(thing):
                yield f"{package.__name__}.{name}", thing
            for method, function in inspect.getmembers(thing, callable) if inspect.isclass(thing) else ():
                if inspect.isroutine(function) and (not method.startswith("_") or method == "__init__"):
                    yield f"{package.__name__}.{name}.{method}", function


CALLABLES = dict(public_callables())


@pytest.mark.parametrize("name", [name for name, thing in CALLABLES.items() if hasattr(thing, "__annotations__")])
def test_annotations_can_be_read_by_containers_that_inject_dependencies(name: str) -> None:
    assert typing.get_type_hints(CALLABLES[name]) is not None
