"""Every public name says what it is, with an example, and the examples run against the sandbox as they stand."""

import ast
import importlib
import inspect
import re
import secrets
import textwrap
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from attrs import frozen

import exbo_oauth
from exbo_oauth import OAuthProtocol, SyncOAuthClient, stores
from exbo_oauth.testing import FakeExbo

SURFACES = ["exbo_oauth", "exbo_oauth.events", "exbo_oauth.protocol", "exbo_oauth.stores", "exbo_oauth.testing"]
# No place for a docstring: a number and two names of types. Their modules and `FakeExbo` say what they are.
BARE = {"exbo_oauth.protocol.MAX_BODY", "exbo_oauth.testing.DialectName", "exbo_oauth.testing.Invalidate"}
EXAMPLE = re.compile(r"^::\n\n((?:    .*\n|\n)+)", re.MULTILINE)
# What an example may not be run for: it would wait for a person at a browser.
WAITS = "oauth.login("


@frozen
class Name:
    """A public name and what it stands for."""

    surface: str
    name: str

    def __str__(self) -> str:
        return f"{self.surface}.{self.name}"

    @property
    def value(self) -> Any:
        return getattr(importlib.import_module(self.surface), self.name)

    @property
    def examples(self) -> list[str]:
        return EXAMPLE.findall(f"{inspect.getdoc(self.value)}\n")


NAMES = [
    Name(surface, name)
    for surface in SURFACES
    for name in importlib.import_module(surface).__all__
    if not name.startswith("__") and f"{surface}.{name}" not in BARE
]
CLASSES = [name for name in NAMES if inspect.isclass(name.value)]


@pytest.mark.parametrize("name", NAMES, ids=str)
def test_a_public_name_has_words_and_an_example_of_its_own(name: Name) -> None:
    documented = vars(name.value).get("__doc__") if inspect.isclass(name.value) else name.value.__doc__
    words = EXAMPLE.sub("", inspect.cleandoc(documented or ""))
    assert len(words.split()) >= 3, "what is it?"
    assert name.examples, "an example, after :: on a line of its own"


@pytest.mark.parametrize("name", CLASSES, ids=str)
def test_a_public_method_has_words(name: Name) -> None:
    silent = [
        method
        for method, value in inspect.getmembers(name.value)
        if not method.startswith(("_", "test_"))
        and (inspect.isfunction(value) or inspect.ismethod(value) or isinstance(value, property))
        and (value.__module__ if not isinstance(value, property) else value.fget.__module__).startswith("exbo_oauth")
        and not inspect.getdoc(value)
    ]
    documented = {method for method in dir(stores.TokenStore) if not method.startswith("_")}
    assert set(silent) - documented == set()  # a store's methods are documented where the protocol is


@pytest.fixture
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What an example may take for granted: `oauth`, with ivan signed in, at the sandbox `fake`, and a sign-in."""
    monkeypatch.chdir(tmp_path)
    fake, kept = FakeExbo(), stores.MemoryTokenStore()
    with fake.serve() as base_url:
        given: dict[str, Any] = {"client_id": fake.app.client_id, "client_secret": fake.app.client_secret}
        monkeypatch.setenv("EXBO_CLIENT_ID", given["client_id"])
        monkeypatch.setenv("EXBO_CLIENT_SECRET", given["client_secret"])
        monkeypatch.setenv("EXBO_OAUTH_URL", base_url)
        monkeypatch.setenv("EXBO_STORE", "memory:")
        with SyncOAuthClient(**given, base_url=base_url, store=kept) as oauth:
            oauth.ensure_app_token()
            first = oauth.begin_login()
            token = oauth.finish_login(first, fake.authorize(first.url, "ivan"), account="ivan")
            attempt = oauth.begin_login()
            names = {key: value for surface in SURFACES[1:] for key, value in _public(surface).items()}
            yield (
                names
                | _public("exbo_oauth")
                | {
                    "UTC": UTC,
                    "attempt": attempt,
                    "callback_url": fake.authorize(attempt.url, "ivan"),
                    "datetime": datetime,
                    "fake": fake,
                    "httpx": httpx,
                    "oauth": oauth,
                    "oauth_protocol": OAuthProtocol(**given, base_url=base_url),
                    "pytest": pytest,
                    "secrets": secrets,
                    "store": kept,
                    "threading": threading,
                    "time": time,
                    "token": token,
                }
            )


def _public(surface: str) -> dict[str, Any]:
    module = importlib.import_module(surface)
    return {name: getattr(module, name) for name in module.__all__}


@pytest.mark.parametrize("name", [name for name in NAMES if not any(WAITS in one for one in name.examples)], ids=str)
def test_an_example_runs_as_it_stands(name: Name, surroundings: dict[str, Any]) -> None:
    surroundings |= _public(name.surface)  # two surfaces have an Event
    for example in name.examples:
        source = compile(textwrap.dedent(example), str(name), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        running = eval(source, surroundings)
        if inspect.iscoroutine(running):

            async def wait(running: Any = running) -> None:
                await running

            anyio.run(wait)


def test_help_names_the_examples_of_what_one_begins_with() -> None:
    assert "SyncOAuthClient.from_env()" in (exbo_oauth.__doc__ or "")
