"""What goes out: each of the four calls to the letter, and what is refused before anything goes out."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exbo_oauth import AppToken, ConfigurationError, UserToken, __version__
from exbo_oauth.protocol import OAuthProtocol, Request, challenge_of
from exbo_oauth.protocol.addresses import is_loopback

from .given import ACCESS_TOKEN, CLIENT_SECRET, CODE, PROTOCOL, REFRESH_TOKEN, VERIFIER, form, query

EVERY = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": f"exbo-oauth/{__version__}",
}
FORM = {**EVERY, "Content-Type": "application/x-www-form-urlencoded"}
CLIENT = {"client_id": "59", "client_secret": CLIENT_SECRET}
CHALLENGE = challenge_of(VERIFIER)

USER_TOKEN = UserToken(token_type="Bearer", access_token=ACCESS_TOKEN, refresh_token=REFRESH_TOKEN, expires_in=60)
SCOPED = OAuthProtocol(
    client_id=59, client_secret=CLIENT_SECRET, redirect_uri="https://app.test/cb", scope="read write"
)


# The wire form

GRANT_REQUESTS: dict[str, tuple[Request, dict[str, str]]] = {
    "app token": (PROTOCOL.app_token().request, {"grant_type": "client_credentials", "scope": ""}),
    "app token, scope": (PROTOCOL.app_token("a b").request, {"grant_type": "client_credentials", "scope": "a b"}),
    "app token, own scope": (SCOPED.app_token().request, {"grant_type": "client_credentials", "scope": "read write"}),
    "app token, own scope waived": (SCOPED.app_token("").request, {"grant_type": "client_credentials", "scope": ""}),
    "code": (
        PROTOCOL.user_token(CODE).request,
        {"grant_type": "authorization_code", "code": CODE, "redirect_uri": "http://localhost"},
    ),
    "code, verifier": (
        PROTOCOL.user_token(CODE, code_verifier=VERIFIER).request,
        {
            "grant_type": "authorization_code",
            "code": CODE,
            "redirect_uri": "http://localhost",
            "code_verifier": VERIFIER,
        },
    ),
    "code, redirect": (
        SCOPED.user_token(CODE, "app.test:/cb?x=1&y=a%20b").request,
        {"grant_type": "authorization_code", "code": CODE, "redirect_uri": "app.test:/cb?x=1&y=a%20b"},
    ),
    "code, own redirect": (
        SCOPED.user_token(CODE).request,
        {"grant_type": "authorization_code", "code": CODE, "redirect_uri": "https://app.test/cb"},
    ),
    "refresh": (
        PROTOCOL.refresh(REFRESH_TOKEN).request,
        {"grant_type": "refresh_token", "refresh_token": REFRESH_TOKEN, "scope": ""},
    ),
    "refresh, scope": (
        PROTOCOL.refresh(REFRESH_TOKEN, "a").request,
        {"grant_type": "refresh_token", "refresh_token": REFRESH_TOKEN, "scope": "a"},
    ),
    "refresh, own scope": (
        SCOPED.refresh(USER_TOKEN).request,
        {"grant_type": "refresh_token", "refresh_token": REFRESH_TOKEN, "scope": "read write"},
    ),
}


@pytest.mark.parametrize(("request_", "fields"), GRANT_REQUESTS.values(), ids=GRANT_REQUESTS)
def test_a_grant_is_a_form_with_exactly_its_fields(request_: Request, fields: dict[str, str]) -> None:
    assert request_.method == "POST"
    assert request_.url == "https://exbo.net/oauth/token"
    assert request_.headers == tuple(FORM.items())
    assert form(request_) == CLIENT | fields


TOKENS: dict[str, Any] = {
    "plain": ACCESS_TOKEN,
    "user token": USER_TOKEN,
    "with its scheme": f"Bearer {ACCESS_TOKEN}",
    "scheme in lower case": f"bearer {ACCESS_TOKEN}",
    "scheme, tab and line end": f" BEARER\t{ACCESS_TOKEN}\n",
    "scheme twice": f"Bearer Bearer {ACCESS_TOKEN}",
    "spaces around": f"  {ACCESS_TOKEN} ",
}


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
def test_the_bearer_call_carries_the_bare_token_once(token: Any) -> None:
    request = PROTOCOL.user_info(token).request
    assert (request.method, request.url, request.content) == ("GET", "https://exbo.net/oauth/user", b"")
    assert request.headers == tuple({**EVERY, "Authorization": f"Bearer {ACCESS_TOKEN}"}.items())
    assert request.header("authorization") == f"Bearer {ACCESS_TOKEN}"
    assert request.header("cookie", "none") == "none"


@pytest.mark.parametrize("token", ["bearertoken", "my.token.Bearer", "bearer.bearer"])
def test_a_token_that_only_contains_the_word_bearer_stays_whole(token: str) -> None:
    assert PROTOCOL.user_info(token).request.header("Authorization") == f"Bearer {token}"


def test_special_characters_of_a_secret_are_encoded_once() -> None:
    # Recorded case M01: the server decodes the form once and compares.
    secret = "p@ss+w/ord=&? %41 ü€\U0001f511"
    request = OAuthProtocol(client_id="59", client_secret=secret).app_token().request
    assert b"client_secret=p%40ss%2Bw%2Ford%3D%26%3F+%2541+%C3%BC" in request.content
    assert form(request)["client_secret"] == secret


printable = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: text.strip())


@given(code=printable, refresh_token=printable, scope=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_arrives_as_it_was(code: str, refresh_token: str, scope: str) -> None:
    assert form(PROTOCOL.user_token(code).request)["code"] == code
    assert (
        form(PROTOCOL.refresh(refresh_token, scope).request).items()
        >= {
            "refresh_token": refresh_token,
            "scope": scope,
        }.items()
    )


@pytest.mark.parametrize("client_id", [59, "59"])
def test_a_client_id_may_be_a_number(client_id: int | str) -> None:
    assert OAuthProtocol(client_id=client_id, client_secret="x").client_id == "59"


def test_the_default_service_is_exbos() -> None:
    assert PROTOCOL.base_url == "https://exbo.net/oauth"
    assert PROTOCOL.redirect_uri == "http://localhost"


# The authorize URL

AUTHORIZE: dict[str, tuple[str, dict[str, str]]] = {
    "all defaults": (PROTOCOL.authorize_url(None), {"redirect_uri": "http://localhost", "scope": ""}),
    "state": (PROTOCOL.authorize_url("s t&a=t"), {"redirect_uri": "http://localhost", "scope": "", "state": "s t&a=t"}),
    "own": (SCOPED.authorize_url("s"), {"redirect_uri": "https://app.test/cb", "scope": "read write", "state": "s"}),
    "given": (
        SCOPED.authorize_url("s", "http://127.0.0.1:9999/cb?a=b", "x", CHALLENGE),
        {
            "redirect_uri": "http://127.0.0.1:9999/cb?a=b",
            "scope": "x",
            "state": "s",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        },
    ),
}


@pytest.mark.parametrize(("url", "fields"), AUTHORIZE.values(), ids=AUTHORIZE)
def test_the_authorize_url_carries_exactly_its_fields(url: str, fields: dict[str, str]) -> None:
    assert url.startswith("https://exbo.net/oauth/authorize?")
    assert query(url) == {"client_id": "59", "response_type": "code"} | fields


# What a call knows about itself


def test_only_a_code_and_a_refresh_token_must_not_be_sent_twice() -> None:
    repeatable = {
        exchange.grant: exchange.repeatable
        for exchange in (PROTOCOL.app_token(), PROTOCOL.user_token("c"), PROTOCOL.refresh("r"), PROTOCOL.user_info("t"))
    }
    assert repeatable == {"client_credentials": True, "authorization_code": False, "refresh_token": False, None: True}


# Base URLs

GOOD_BASE_URLS = {
    "https://exbo.net/oauth": "https://exbo.net/oauth",
    "https://exbo.net/oauth/": "https://exbo.net/oauth",
    "https://exbo.net/oauth//": "https://exbo.net/oauth",
    "https://exbo.net": "https://exbo.net",
    "https://exbo.net/": "https://exbo.net",
    "https://exbo.net/MAX/": "https://exbo.net/MAX",
    "HTTPS://EXBO.NET/OAuth": "https://exbo.net/OAuth",
    "https://exbo.net:443/oauth": "https://exbo.net/oauth",
    "https://exbo.net:/oauth": "https://exbo.net/oauth",
    "https://exbo.net:8443/oauth": "https://exbo.net:8443/oauth",
    "https://[2001:DB8::1]:8443/oauth": "https://[2001:db8::1]:8443/oauth",
    "http://localhost/oauth": "http://localhost/oauth",
    "http://localhost:80/oauth": "http://localhost/oauth",
    "http://LOCALHOST.:8000/oauth": "http://localhost.:8000/oauth",
    "http://127.0.0.1:8000/oauth": "http://127.0.0.1:8000/oauth",
    "http://127.8.9.10/oauth": "http://127.8.9.10/oauth",
    "http://[::1]:8000/oauth": "http://[::1]:8000/oauth",
    "http://[0:0:0:0:0:0:0:1]/oauth": "http://[0:0:0:0:0:0:0:1]/oauth",
}
BAD_BASE_URLS: dict[Any, str] = {
    "http://exbo.net/oauth": "must be https",
    "http://localhost.evil.com/oauth": "must be https",
    "http://127.0.0.1.evil.com/oauth": "must be https",
    "http://evil.com.localhost.evil.com": "must be https",
    "http://0.0.0.0/oauth": "must be https",
    "http://10.0.0.1/oauth": "must be https",
    "http://[2001:db8::1]/oauth": "must be https",
    "http://2130706433/oauth": "must be https",
    "http://0x7f.1/oauth": "must be https",
    "ftp://exbo.net/oauth": "must be https",
    "//exbo.net/oauth": "must be https",
    "ws://localhost": "must be https",
    "exbo.net/oauth": "scheme, host and path only",
    "https://": "scheme, host and path only",
    "https:///oauth": "scheme, host and path only",
    "https:exbo.net": "scheme, host and path only",
    "https://:443/oauth": "scheme, host and path only",
    "https://exbo.net/oauth?a=1": "scheme, host and path only",
    "https://exbo.net/oauth?": "scheme, host and path only",
    "https://exbo.net/oauth#top": "scheme, host and path only",
    "https://exbo.net/oauth#": "scheme, host and path only",
    "https://ex%2fbo.net/oauth": "scheme, host and path only",
    "https://exbo,net/oauth": "scheme, host and path only",
    "https://user@exbo.net/oauth": "user name or password",
    "https://user:pass@exbo.net/oauth": "user name or password",
    "https://@exbo.net/oauth": "user name or password",
    "http://localhost@evil.com/oauth": "user name or password",
    "https://exbo.net\\@evil.com/oauth": "visible ASCII",
    "http://localhost\\.evil.com/oauth": "visible ASCII",
    "https://exbo.net/o auth": "visible ASCII",
    " https://exbo.net/oauth": "visible ASCII",
    "https://exbo.net/oauth\n": "visible ASCII",
    "https://ex\tbo.net/oauth": "visible ASCII",
    "https://эксбо.net/oauth": "visible ASCII",
    "https://exbo.net/\ud800": "visible ASCII",
    "": "visible ASCII",
    "https://exbo.net:port/oauth": "is not a URL",
    "https://exbo.net:99999/oauth": "is not a URL",
    "https://exbo.net:-1/oauth": "is not a URL",
    "https://[::1/oauth": "is not a URL",
    "https://[nonsense]/oauth": "is not a URL|scheme, host and path only",
    "https://[v1.exbo.net]/oauth": "is not a URL|scheme, host and path only",
    "https://exbo.net[::1]/oauth": "is not a URL|scheme, host and path only",
    "http://[::1]evil.com/oauth": "is not a URL|scheme, host and path only",
    None: "visible ASCII",
    b"https://exbo.net/oauth": "visible ASCII",
    5: "visible ASCII",
}


@pytest.mark.parametrize(("given_url", "normal"), GOOD_BASE_URLS.items(), ids=GOOD_BASE_URLS)
def test_a_base_url_is_brought_to_its_normal_form(given_url: str, normal: str) -> None:
    protocol = OAuthProtocol(client_id=59, client_secret="x", base_url=given_url)
    assert protocol.base_url == normal
    assert protocol.app_token().request.url == f"{normal}/token"


@pytest.mark.parametrize(("base_url", "problem"), BAD_BASE_URLS.items(), ids=repr)
def test_a_base_url_that_could_leak_secrets_or_lead_nowhere_is_refused(base_url: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        OAuthProtocol(client_id=59, client_secret="x", base_url=base_url)


HOSTS = dict.fromkeys(["localhost", "LocalHost.", "127.0.0.1", "127.255.0.9", "::1", "[::1]", "0:0:0:0:0:0:0:1"], True)
HOSTS_MAPPED = dict.fromkeys(["::ffff:127.0.0.1", "[::FFFF:127.0.0.1]", "::ffff:7f00:2"], True)
HOSTS_ELSEWHERE = [
    "localhost.test",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "",
    None,
    "0.0.0.0",
    "::",
    "128.0.0.1",
    "127.0.0.1.test",
    "127.0.0.1:80",
    "127.1",
]


@pytest.mark.parametrize(
    ("host", "loopback"), [*(HOSTS | HOSTS_MAPPED).items(), *((host, False) for host in HOSTS_ELSEWHERE)]
)
def test_a_loopback_host_is_told_by_its_name_or_address(host: str | None, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    "url", ["https://u:hunter2@h:port/", "https://u:hunter2/x@h", "https://u:hunter2@[::1", "u:hunter2@h"]
)
def test_a_password_in_a_broken_base_url_is_not_quoted(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        OAuthProtocol(client_id=59, client_secret="x", base_url=url)
    assert "hunter2" not in str(caught.value)


# Redirect URIs

GOOD_REDIRECTS = [
    "http://localhost",
    "http://127.0.0.1:9999/callback",
    "https://app.test/cb?mine=1",
    "HTTPS://App.Test/CB/",
    "com.example.app:/callback",
    "com.example.app://callback",
    "http://[::1]:8080/",
    "https://мойсайт.рф/вход",
    "https://мойсайт.рф/вход?откуда=бот",
    "https://xn--80aswg.xn--p1ai/%D0%B2%d1%85",
    "https://例え.test/ログイン",
    "https://مثال.test/می\u200cخواهم",
    "http://localhost:8080/вход",
]
BAD_REDIRECTS: dict[Any, str] = {
    "localhost:8080/callback": "must be absolute",
    "127.0.0.1:8080/callback": "must be absolute",
    "app.test:443": "must be absolute",
    "/callback": "must be absolute",
    "//app.test/callback": "must be absolute",
    "http:///callback": "must be absolute",
    "https:callback": "must be absolute",
    "localhost:8/callback": "must be absolute",
    "https://app.test/cb#top": "without a fragment",
    "https://app.test/cb#": "without a fragment",
    "https://app.test/c b": "without spaces",
    "https://app.test\\cb": "without spaces",
    "https://app.test/cb\n": "without spaces",
    "https://app.test/\x00": "without spaces",
    "https://app.test/\u00a0": "without spaces",
    "https://app.test/\u200b": "without spaces",
    "\ufeffhttps://app.test/": "without spaces",
    "https://app.test/\ud800": "without spaces",
    "/вход": "must be absolute",
    "https://мойсайт.рф/вход#конец": "without a fragment",
    "http://localhost:port": "is not a URL",
    "http://[::1": "is not a URL",
    "": "without spaces",
    5: "without spaces",
    b"http://localhost": "without spaces",
}


@pytest.mark.parametrize("uri", GOOD_REDIRECTS)
def test_a_redirect_uri_travels_letter_by_letter(uri: str) -> None:
    assert query(PROTOCOL.authorize_url("s", uri))["redirect_uri"] == uri
    assert form(PROTOCOL.user_token("c", uri).request)["redirect_uri"] == uri
    assert OAuthProtocol(client_id=1, client_secret="x", redirect_uri=uri).redirect_uri == uri


@pytest.mark.parametrize("use", ["constructor", "authorize URL", "exchange"])
@pytest.mark.parametrize(("uri", "problem"), BAD_REDIRECTS.items(), ids=repr)
def test_a_redirect_uri_that_cannot_be_registered_is_refused(uri: Any, problem: str, use: str) -> None:
    uses: dict[str, Callable[[], object]] = {
        "constructor": lambda: OAuthProtocol(client_id=1, client_secret="x", redirect_uri=uri),
        "authorize URL": lambda: PROTOCOL.authorize_url("s", uri),
        "exchange": lambda: PROTOCOL.user_token("c", uri),
    }
    with pytest.raises(ConfigurationError, match=problem):
        uses[use]()


# Everything else that the caller may get wrong


def made(**arguments: Any) -> OAuthProtocol:
    given: dict[str, Any] = {"client_id": 59, "client_secret": "x"}
    return OAuthProtocol(**(given | arguments))


APP_TOKEN = AppToken(token_type="Bearer", access_token=ACCESS_TOKEN, expires_in=60)
MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "client_id None": (lambda: made(client_id=None), "client_id must be a number or a str, not NoneType"),
    "client_id bool": (lambda: made(client_id=True), "client_id must be a number or a str, not bool"),
    "client_id bytes": (lambda: made(client_id=b"59"), "client_id must be a number or a str, not bytes"),
    "client_id float": (lambda: made(client_id=59.0), "client_id must be a number or a str, not float"),
    "client_id empty": (lambda: made(client_id=""), "client_id is empty or has a space"),
    "client_id spaced": (lambda: made(client_id=" 59"), "client_id is empty or has a space"),
    "client_id with NUL": (lambda: made(client_id="5\x009"), "client_id is empty or has a space"),
    "client_id half a character": (lambda: made(client_id="\ud800"), "half of a character"),
    "client_id of 5000 digits": (lambda: made(client_id=10**5000), "client_id is too long"),
    "secret None": (lambda: made(client_secret=None), "client_secret must be a str, not NoneType"),
    "secret bytes": (lambda: made(client_secret=b"x"), "client_secret must be a str, not bytes"),
    "secret empty": (lambda: made(client_secret=""), "client_secret is empty"),
    "secret blank": (lambda: made(client_secret=" \n"), "client_secret is empty"),
    "secret with a line end": (lambda: made(client_secret="abc\n"), "line end copied"),
    "secret with a space before": (lambda: made(client_secret=" abc"), "line end copied"),
    "secret with a NUL": (lambda: made(client_secret="a\0c"), "line end copied"),
    "secret half a character": (lambda: made(client_secret="\udfff"), "client_secret contains half of a character"),
    "scope None": (lambda: made(scope=None), "scope must be a str, not NoneType"),
    "scope list": (lambda: made(scope=["a"]), "scope must be a str, not list"),
    "scope half a character": (lambda: PROTOCOL.app_token("\ud800"), "scope contains half of a character"),
    "refresh scope number": (lambda: PROTOCOL.refresh("r", 5), "scope must be a str, not int"),  # type: ignore[arg-type]
    "authorize scope": (lambda: PROTOCOL.authorize_url("s", None, "\ud800"), "scope contains half of a character"),
    "state number": (lambda: PROTOCOL.authorize_url(5), "state must be a str, not int"),  # type: ignore[arg-type]
    "state empty": (lambda: PROTOCOL.authorize_url(""), "state is empty"),
    "state half a character": (lambda: PROTOCOL.authorize_url("\ud800"), "state contains half of a character"),
    "challenge short": (
        lambda: PROTOCOL.authorize_url("s", code_challenge="short"),
        "code_challenge must be 43 to 128",
    ),
    "code None": (lambda: PROTOCOL.user_token(None), "code must be a str, not NoneType"),  # type: ignore[arg-type]
    "code bytes": (lambda: PROTOCOL.user_token(b"c"), "code must be a str, not bytes"),  # type: ignore[arg-type]
    "code empty": (lambda: PROTOCOL.user_token(""), "code is empty"),
    "code blank": (lambda: PROTOCOL.user_token(" "), "code is empty"),
    "code half a character": (lambda: PROTOCOL.user_token("\ud800"), "code contains half of a character"),
    "verifier empty": (lambda: PROTOCOL.user_token("c", code_verifier=""), "code_verifier is empty"),
    "verifier short": (lambda: PROTOCOL.user_token("c", code_verifier="v"), "code_verifier must be 43 to 128"),
    "verifier with a space": (lambda: PROTOCOL.user_token("c", code_verifier="v " * 30), "code_verifier must be 43"),
    "refresh token empty": (lambda: PROTOCOL.refresh(""), "refresh_token is empty"),
    "refresh with an app token": (lambda: PROTOCOL.refresh(APP_TOKEN), "not AppToken"),  # type: ignore[arg-type]
    "token empty": (lambda: PROTOCOL.user_info(""), "token is empty"),
    "token None": (lambda: PROTOCOL.user_info(None), "token must be a str, not NoneType"),  # type: ignore[arg-type]
    "token bytes": (lambda: PROTOCOL.user_info(b"t"), "token must be a str, not bytes"),  # type: ignore[arg-type]
    "token only a scheme": (lambda: PROTOCOL.user_info("Bearer "), "visible ASCII"),
    "token of two words": (lambda: PROTOCOL.user_info("two words"), "visible ASCII"),
    "token with a line break": (lambda: PROTOCOL.user_info("a\r\nX-Evil: 1"), "visible ASCII"),
    "token in Cyrillic": (lambda: PROTOCOL.user_info("токен"), "visible ASCII"),
    "token half a character": (lambda: PROTOCOL.user_info("\ud800"), "half of a character"),
    "request headers in bytes": (lambda: Request("GET", "/", {b"a": b"b"}), "decode bytes"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize(("call", "problem"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_found_before_anything_is_sent(call: Callable[[], object], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as caught:
        call()
    assert isinstance(caught.value, ValueError)


def test_equal_settings_are_equal_protocols() -> None:
    assert made() == made(client_id="59")
    assert hash(made()) == hash(made(client_id="59"))
    assert made() != made(client_secret="y")
