"""What editors and dependency-injection containers read from the public names at run time."""

import inspect
import typing
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import jedi
import pytest

from exbo_oauth import AsyncOAuthClient, SyncOAuthClient

MODULES = ("", ".events", ".protocol", ".stores", ".testing")
CLIENTS = (SyncOAuthClient, AsyncOAuthClient)
DEFAULTS = {
    "base_url": "https://exbo.net/oauth",
    "redirect_uri": "http://localhost",
    "scope": "",
    "json": False,
    "store": None,
    "timeout": 30.0,
    "max_retries": 2,
    "http_client": None,
    "issue": "auto",
    "on_event": None,
}


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Processes that write jedi's one cache of a user at the same time read halves of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jedi.settings, "cache_directory", str(tmp_path_factory.mktemp("jedi")))
        yield


each_client = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)


def public_callables() -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = {}
    for suffix in MODULES:
        module = import_module(f"exbo_oauth{suffix}")
        for name in module.__all__:
            found |= dict(functions_of(f"{module.__name__}.{name}", getattr(module, name)))
    return found


def functions_of(name: str, public: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    if inspect.isroutine(public):
        yield name, public
    elif inspect.isclass(public) and public.__module__.startswith("exbo_oauth"):
        yield name, public
        for member, value in inspect.getmembers(public):
            function = value.fget if isinstance(value, property) else value
            if (member == "__init__" or not member.startswith("_")) and inspect.isroutine(function):
                yield f"{name}.{member}", function


CALLABLES = public_callables()


@pytest.mark.parametrize("name", CALLABLES)
def test_the_types_of_a_public_callable_can_be_asked_for(name: str) -> None:
    assert isinstance(typing.get_type_hints(CALLABLES[name]), dict)


def test_the_public_callables_are_found() -> None:
    assert {"exbo_oauth.SyncOAuthClient.__init__", "exbo_oauth.AsyncOAuthClient.app_auth"} <= set(CALLABLES)


@each_client
def test_a_container_sees_what_a_client_is_made_from(client: type[Any]) -> None:
    hints = typing.get_type_hints(client.__init__)
    assert list(inspect.signature(client).parameters) == ["client_id", "client_secret", *DEFAULTS]
    assert set(hints) == {"client_id", "client_secret", *DEFAULTS, "return"}
    given = inspect.signature(client).parameters.values()
    assert {one.name: one.default for one in given if one.default is not one.empty} == DEFAULTS


@each_client
def test_an_editor_completes_the_constructors_arguments_with_their_defaults(client: type[Any]) -> None:
    call = f"{client.__name__}("
    script = jedi.Script(f"from exbo_oauth import {client.__name__}\n{call}")
    for signature in script.get_signatures(2, len(call)):
        names = [param.name for param in signature.params]
        assert names == ["client_id", "client_secret", *DEFAULTS]
        shown = {param.name: param.to_string().rpartition("=")[2] for param in signature.params[2:]}
        required = {"json"} - {name for name, default in shown.items() if default == "False"}
        assert {name for name in DEFAULTS if shown[name] == repr(DEFAULTS[name]).replace("'", '"')} >= {
            *DEFAULTS
        } - required


@each_client
@pytest.mark.parametrize(("begun", "completed"), [("cli", ["client_id=", "client_secret="]), ("time", ["timeout="])])
@pytest.mark.parametrize("call", ["", ".from_env"])
def test_an_editor_completes_what_is_begun(client: type[Any], call: str, begun: str, completed: list[str]) -> None:
    line = f"{client.__name__}{call}({begun}"
    script = jedi.Script(f"from exbo_oauth import {client.__name__}\n{line}")
    found = [one.name_with_symbols for one in script.complete(2, len(line))]
    assert [name for name in found if name.endswith("=")] == completed
