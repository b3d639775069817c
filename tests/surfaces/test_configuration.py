"""What a client is made of: constructor arguments, the environment, and what it shows of itself."""

from typing import Any

import httpx
import pytest

from exbo_oauth import AsyncOAuthClient, ConfigurationError, MemoryTokenStore, OAuthClient, SyncOAuthClient
from exbo_oauth.testing import FakeExbo

from .conftest import Surface

SECRET = "the-client-secret"
VARIABLES = {
    "EXBO_CLIENT_ID": "59",
    "EXBO_CLIENT_SECRET": SECRET,
    "EXBO_REDIRECT_URI": "http://localhost:9999/callback",
    "EXBO_SCOPE": "a b",
    "EXBO_OAUTH_URL": "https://example.test/oauth/",
}

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "timeout zero": ({"timeout": 0}, "timeout"),
    "timeout negative": ({"timeout": -1.0}, "timeout"),
    "timeout None": ({"timeout": None}, "timeout"),
    "timeout text": ({"timeout": "30"}, "timeout"),
    "timeout a bool": ({"timeout": True}, "timeout"),
    "timeout not a number": ({"timeout": float("nan")}, "timeout"),
    "timeout infinite": ({"timeout": float("inf")}, "timeout"),
    "timeout beyond any clock": ({"timeout": 1e10}, "timeout"),
    "timeout beyond any float": ({"timeout": 10**400}, "timeout"),
    "max_retries negative": ({"max_retries": -1}, "max_retries"),
    "max_retries a fraction": ({"max_retries": 1.5}, "max_retries"),
    "max_retries a bool": ({"max_retries": True}, "max_retries"),
    "max_retries None": ({"max_retries": None}, "max_retries"),
    "issue misspelt": ({"issue": "always"}, '"auto" or "never"'),
    "issue a bool": ({"issue": False}, '"auto" or "never"'),
    "issue None": ({"issue": None}, '"auto" or "never"'),
    "issue unhashable": ({"issue": []}, '"auto" or "never"'),
    "store a path": ({"store": "tokens.db"}, "store"),
    "store a class": ({"store": MemoryTokenStore}, "store"),
    "store a dict": ({"store": {}}, "store"),
    "http_client a class": ({"http_client": httpx.Client}, "http_client"),
    "http_client a string": ({"http_client": "httpx"}, "http_client"),
    "http_client false": ({"http_client": False}, "http_client"),
    "base_url plain http": ({"base_url": "http://exbo.net/oauth"}, "https"),
    "base_url without scheme": ({"base_url": "exbo.net/oauth"}, "base_url"),
    "base_url another scheme": ({"base_url": "ftp://exbo.net/oauth"}, "https"),
    "base_url with a user": ({"base_url": "https://me:pw@exbo.net/oauth"}, "base_url"),
    "base_url with a query": ({"base_url": "https://exbo.net/oauth?a=b"}, "base_url"),
    "base_url that only looks like loopback": ({"base_url": "http://localhost.evil.test/oauth"}, "https"),
    "base_url with a bad port": ({"base_url": "https://exbo.net:99999/oauth"}, "base_url"),
    "base_url None": ({"base_url": None}, "base_url"),
    "base_url empty": ({"base_url": ""}, "base_url"),
    "redirect_uri relative": ({"redirect_uri": "/callback"}, "redirect_uri"),
    "redirect_uri with a fragment": ({"redirect_uri": "http://localhost/#x"}, "redirect_uri"),
    "redirect_uri None": ({"redirect_uri": None}, "redirect_uri"),
    "client_id empty": ({"client_id": ""}, "client_id"),
    "client_id None": ({"client_id": None}, "client_id"),
    "client_id a bool": ({"client_id": True}, "client_id"),
    "client_secret empty": ({"client_secret": ""}, "client_secret"),
    "client_secret None": ({"client_secret": None}, "client_secret"),
    "client_secret bytes": ({"client_secret": b"secret"}, "client_secret"),
    "client_secret with a line end": ({"client_secret": "secret\n"}, "client_secret"),
    "scope None": ({"scope": None}, "scope"),
    "scope a list": ({"scope": ["a"]}, "scope"),
}

BOTH = pytest.mark.parametrize("kind", [SyncOAuthClient, AsyncOAuthClient], ids=["sync", "async"])


@BOTH
@pytest.mark.parametrize("case", REFUSED)
def test_what_could_not_work_is_refused_at_once(kind: Any, case: str) -> None:
    arguments, named = REFUSED[case]
    with pytest.raises(ConfigurationError, match=named) as caught:
        kind(**{"client_id": 59, "client_secret": SECRET} | arguments)
    assert isinstance(caught.value, ValueError)
    assert SECRET not in str(caught.value)


@BOTH
@pytest.mark.parametrize(
    "arguments",
    [
        {"timeout": 0.001},
        {"timeout": 86_400},
        {"max_retries": 0},
        {"issue": "never"},
        {"store": MemoryTokenStore()},
        {"base_url": "http://127.0.0.1:8000/oauth"},
        {"base_url": "http://127.8.9.1/oauth"},
        {"base_url": "http://[::1]:8000/oauth/"},
        {"base_url": "http://LocalHost/"},
        {"base_url": "https://exbo.net:8443"},
        {"client_id": "59"},
        {"json": True},
    ],
    ids=str,
)
def test_what_can_work_is_taken(kind: Any, arguments: dict[str, Any]) -> None:
    kind(**{"client_id": 59, "client_secret": SECRET} | arguments)


@BOTH
def test_arguments_are_keyword_only(kind: Any) -> None:
    with pytest.raises(TypeError):
        kind(59, SECRET)
    with pytest.raises(TypeError):
        kind(client_id=59)


@BOTH
def test_the_client_shows_where_and_who_and_never_the_secret(kind: Any) -> None:
    client = kind(client_id=59, client_secret=SECRET, base_url="https://EXBO.net:443/oauth/")
    assert repr(client) == f"{kind.__name__}(base_url='https://exbo.net/oauth', client_id='59')"
    for text in (str(client), f"{client}", repr(vars(client)), *map(repr, vars(client).values())):
        assert SECRET not in text


def test_the_older_librarys_name_is_the_asynchronous_client() -> None:
    assert OAuthClient is AsyncOAuthClient


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@BOTH
@pytest.mark.usefixtures("environment")
def test_the_environment_fills_in_everything(kind: Any) -> None:
    client = kind.from_env()
    url = client.get_authorize_url("st")
    assert "client_id='59'" in repr(client)
    assert url.startswith("https://example.test/oauth/authorize?")
    assert "scope=a+b" in url or "scope=a%20b" in url
    assert "redirect_uri=http%3A%2F%2Flocalhost%3A9999%2Fcallback" in url


def test_the_environments_secret_is_the_one_that_is_sent(
    surface: Surface, served: FakeExbo, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("EXBO_CLIENT_ID", served.app.client_id)
    environment.setenv("EXBO_CLIENT_SECRET", served.app.client_secret)
    environment.setenv("EXBO_OAUTH_URL", served.base_url)
    environment.setenv("EXBO_SCOPE", "")
    client = surface.awaited(surface.kind.from_env())
    assert surface.call(client, lambda client: client.get_app_token()).access_token
    given = surface.awaited(surface.kind.from_env(client_secret="another", json=True))

    async def refused(client: Any) -> None:
        with pytest.raises(Exception, match="invalid_client"):
            await client.get_app_token()

    surface.call(given, refused)


@BOTH
@pytest.mark.parametrize(
    ("unset", "named"),
    [
        (["EXBO_CLIENT_ID"], ["EXBO_CLIENT_ID"]),
        (["EXBO_CLIENT_SECRET"], ["EXBO_CLIENT_SECRET"]),
        (["EXBO_CLIENT_ID", "EXBO_CLIENT_SECRET"], ["EXBO_CLIENT_ID", "EXBO_CLIENT_SECRET"]),
    ],
    ids=str,
)
@pytest.mark.parametrize("how", ["unset", "empty"])
def test_what_is_missing_is_named(
    kind: Any, environment: pytest.MonkeyPatch, unset: list[str], named: list[str], how: str
) -> None:
    for name in unset:
        environment.delenv(name)
        if how == "empty":
            environment.setenv(name, "")
    with pytest.raises(ConfigurationError) as caught:
        kind.from_env()
    assert [name for name in VARIABLES if name in str(caught.value)] == named


@BOTH
def test_an_optional_variable_that_is_unset_or_empty_leaves_the_default(
    kind: Any, environment: pytest.MonkeyPatch
) -> None:
    environment.delenv("EXBO_SCOPE")
    environment.setenv("EXBO_REDIRECT_URI", "")
    environment.delenv("EXBO_OAUTH_URL")
    url = kind.from_env().get_authorize_url("st")
    assert url.startswith("https://exbo.net/oauth/authorize?")
    assert "redirect_uri=http%3A%2F%2Flocalhost&" in url


@BOTH
def test_an_override_wins_and_stands_in_for_what_is_missing(kind: Any, environment: pytest.MonkeyPatch) -> None:
    environment.delenv("EXBO_CLIENT_ID")
    environment.delenv("EXBO_CLIENT_SECRET")
    client = kind.from_env(
        client_id=7, client_secret="given", base_url="http://127.0.0.1:1/oauth", timeout=3, json=True
    )
    assert "client_id='7'" in repr(client)
    assert "127.0.0.1:1" in repr(client)


@BOTH
@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("EXBO_OAUTH_URL", "http://exbo.net/oauth", "https"),
        ("EXBO_CLIENT_SECRET", "secret\n", "client_secret"),
        ("EXBO_REDIRECT_URI", "callback", "redirect_uri"),
    ],
)
def test_a_bad_variable_is_refused_like_an_argument(
    kind: Any, environment: pytest.MonkeyPatch, name: str, value: str, named: str
) -> None:
    environment.setenv(name, value)
    with pytest.raises(ConfigurationError, match=named):
        kind.from_env()


@BOTH
def test_an_unknown_override_is_a_type_error(kind: Any, environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(TypeError, match="tiemout"):
        kind.from_env(tiemout=3)
