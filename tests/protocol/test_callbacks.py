"""What comes back to the redirect URI: whose it is, who speaks, whether they refused, and only then, the code."""

from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit, urlunsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exbo_oauth import (
    AccessDeniedError,
    CallbackError,
    ConfigurationError,
    IssuerMismatchError,
    MissingCodeError,
    StateMismatchError,
)
from exbo_oauth.protocol import OAuthProtocol, parse_callback
from exbo_oauth.protocol.authorization import carries_state, state_in

from .given import CODE, RECORDED

BASE = "https://exbo.net/oauth"
QUERY = f"code={CODE}&state=st-123"

# The shapes that a callback comes in

SHAPES = {
    "a full URL": f"http://localhost:8080/callback?{QUERY}",
    "an address without a path": f"http://localhost?{QUERY}",
    "another order": f"http://localhost/?state=st-123&code={CODE}",
    "with a query of its own": f"http://localhost/cb?mine=1&mine=2&{QUERY}&theirs=%20",
    "with a fragment": f"http://localhost/?{QUERY}#_=_",
    "an equals sign in the path": f"http://localhost/cb;v=1?{QUERY}",
    "an application's own scheme": f"com.example.app:/cb?{QUERY}",
    "without its scheme": f"localhost:8080/callback?{QUERY}",
    "path and query": f"/callback?{QUERY}",
    "a path with an equals sign": f"/cb;v=1?{QUERY}",
    "only a path": f"callback?{QUERY}",
    "a query": QUERY,
    "a query with its mark": f"?{QUERY}",
    "a query with a fragment": f"{QUERY}#",
    "a query with a question mark": f"{QUERY}&why=who?",
    "a query with an address": f"next=http://localhost/?x&{QUERY}",
    "a query that begins with an issuer": f"iss={BASE}&{QUERY}&why=what?",
    "white space around": f" \t{QUERY}\r\n",
    "in quotes": f'"http://localhost/?{QUERY}"',
    "in typographic quotes": f"«http://localhost/?{QUERY}»",
    "in brackets": f"<http://localhost/?{QUERY}>",
    "in both": f"('http://localhost/?{QUERY}')",
    "at the end of a sentence": f"http://localhost/?{QUERY}.",
    "with a line break in it": f"http://localhost/?{QUERY[:20]}\r\n{QUERY[20:]}",
    "with a line break in its code and an indented line after it": f"http://localhost/?{QUERY[:8]} \n    {QUERY[8:]}",
    "with spaces in it": f"http://localhost/?{QUERY[:8]} {QUERY[8:]}",
    "with a line separator and a space that nobody sees": f"http://localhost/?{QUERY[:8]}\u2028{QUERY[8:]}\u200b",
    "in brackets before a full stop": f"(http://localhost/?{QUERY}).",
    "in quotes before a comma, in brackets": f"[«http://localhost/?{QUERY}», ]",
    "shouted": f"http://localhost/?{QUERY}!",
    "with the marks of a terminal's paste": f"\x1b[200~http://localhost/?{QUERY}\x1b[201~",
    "an encoded name": f"%63ode={CODE}&st%61te=st-123",
}


@pytest.mark.parametrize("callback", SHAPES.values(), ids=SHAPES)
def test_a_callback_may_be_pasted_in_any_shape(callback: str) -> None:
    assert parse_callback(callback, state="st-123") == CODE


@pytest.mark.parametrize("end", [".", "!", "X"])
def test_a_query_without_its_address_ends_as_the_server_wrote_it(end: str) -> None:
    assert parse_callback(f"state=st-123&code=def502{end}", state="st-123") == f"def502{end}"


# Round trips

characters = st.characters(exclude_categories=["Cs"])
states = st.text(characters, min_size=1, max_size=80).filter(lambda text: text.strip())
codes = st.text(characters, min_size=1, max_size=80)
own_names = st.text("abcxyz-_", min_size=1, max_size=8).filter(
    lambda name: name not in {"code", "state", "iss", "error"}
)
visible = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)


@st.composite
def redirect_uris(draw: st.DrawFn) -> str:
    scheme = draw(st.sampled_from(["http", "https", "com.example.app"]))
    host = draw(st.sampled_from(["localhost", "localhost:8080", "127.0.0.1:9999", "[::1]:8080", "app.test"]))
    path = quote(draw(visible), safe="/=;:@!$'()*,~+")
    query = urlencode(draw(st.lists(st.tuples(own_names, visible), max_size=3)))
    return urlunsplit((scheme, host, f"/{path}", query, ""))


def redirected(redirect_uri: str, answer: dict[str, str]) -> str:
    """Where the server sends the browser: the redirect URI with `answer` added to its own query."""
    parts = urlsplit(redirect_uri)
    return urlunsplit(parts._replace(query="&".join(filter(None, [parts.query, urlencode(answer)]))))


def asked(url: str) -> dict[str, str]:
    fields = parse_qs(urlsplit(url).query, keep_blank_values=True, strict_parsing=True, errors="strict")
    assert all(len(values) == 1 for values in fields.values())
    return {name: value for name, (value,) in fields.items()}


@given(state=states, code=codes, redirect_uri=redirect_uris(), scope=st.text(characters, max_size=20))
@example(state="a b+c&d=e#f?g%h/й\U0001f511", code="?&=#%+ ", redirect_uri="http://localhost/cb?a=b?c", scope="")
def test_the_authorize_url_and_the_callback_carry_any_state_redirect_and_code(
    state: str, code: str, redirect_uri: str, scope: str
) -> None:
    protocol = OAuthProtocol(client_id=59, client_secret="x")
    question = asked(protocol.authorize_url(state, redirect_uri, scope))
    assert question == {
        "client_id": "59",
        "redirect_uri": redirect_uri,
        "response_type": "code",
        "scope": scope,
        "state": state,
    }
    callback = redirected(question["redirect_uri"], {"code": code, "state": question["state"], "iss": BASE})
    for shape in (callback, callback.partition("?")[2], f"?{urlsplit(callback).query}", f"{callback}#fragment"):
        assert parse_callback(shape, state=state, issuer=BASE) == code


@given(state=states, other=states)
def test_only_the_very_same_state_is_accepted(state: str, other: str) -> None:
    callback = urlencode({"code": CODE, "state": other})
    if state == other:
        assert parse_callback(callback, state=state) == CODE
    else:
        with pytest.raises(StateMismatchError):
            parse_callback(callback, state=state)


@given(text=st.text(), state=st.text())
@example(text="code=%ff&state=s", state="s")
@example(text="code=\ud800&state=s", state="s")
@example(text="code=\ud800%41&state=s", state="s")
@example(text="state=\ud800", state="\ud800")
def test_any_text_gives_a_code_or_one_of_our_errors(text: str, state: str) -> None:
    try:
        said = parse_callback(text, state=state, issuer=BASE)
    except (CallbackError, ConfigurationError) as error:
        said = str(error)
    assert said


# What is wrong with a callback

REFUSED: dict[str, tuple[str, type[CallbackError], str]] = {
    "no state": (f"code={CODE}", StateMismatchError, "carries no state"),
    "an empty state": (f"code={CODE}&state=", StateMismatchError, "another one"),
    "another state": (f"code={CODE}&state=st-124", StateMismatchError, "another one"),
    "a longer state": (f"code={CODE}&state=st-1234", StateMismatchError, "another one"),
    "a state in upper case": (f"code={CODE}&state=ST-123", StateMismatchError, "another one"),
    "an error with another state": ("error=access_denied&state=x", StateMismatchError, "another one"),
    "an error with an empty state": ("error=access_denied&state=", StateMismatchError, "another one"),
    "nothing": ("", StateMismatchError, "not whole"),
    "only an address": ("http://localhost/callback", StateMismatchError, "not whole"),
    "only a code": (CODE, StateMismatchError, "not whole"),
    "no code": ("state=st-123", MissingCodeError, "whole address"),
    "an empty code": ("code=&state=st-123", MissingCodeError, "whole address"),
    "two states": (f"{QUERY}&state=st-123", CallbackError, "state more than once"),
    "two codes": (f"{QUERY}&code=x", CallbackError, "code more than once"),
    "two codes, one encoded": (f"{QUERY}&c%6Fde=x", CallbackError, "code more than once"),
    "two errors": ("error=a&error=b&state=st-123", CallbackError, "error more than once"),
    "two issuers": (f"{QUERY}&iss={BASE}&iss={BASE}", CallbackError, "iss more than once"),
    "two descriptions": (
        "error=a&error_description=b&error_description=c",
        CallbackError,
        "error_description more than",
    ),
    "no UTF-8": ("code=%ff&state=st-123", CallbackError, "cannot be read"),
    "half a character": ("code=\ud800&state=st-123", CallbackError, "cannot be read"),
    "too many fields": (f"{QUERY}&" + "a=1&" * 100, CallbackError, "cannot be read"),
    "endless": (f"{QUERY}&a=" + "x" * 70_000, CallbackError, "the address that the browser ended on"),
}


@pytest.mark.parametrize(("callback", "kind", "problem"), REFUSED.values(), ids=REFUSED)
def test_a_callback_that_cannot_be_used_is_refused(callback: str, kind: type[CallbackError], problem: str) -> None:
    with pytest.raises(CallbackError, match=problem) as caught:
        parse_callback(callback, state="st-123")
    assert type(caught.value) is kind
    assert (caught.value.error, caught.value.description) == (None, None)
    assert CODE not in str(caught.value)


@pytest.mark.parametrize("callback", [None, b"code=x&state=s", 5, ["code=x"]], ids=repr)
def test_a_callback_is_text(callback: Any) -> None:
    with pytest.raises(CallbackError, match="the address that the browser ended on"):
        parse_callback(callback, state="s")


STATES: dict[str, tuple[Any, str]] = {
    "none": (None, "state must be a str, not NoneType"),
    "a number": (5, "state must be a str, not int"),
    "bytes": (b"s", "state must be a str, not bytes"),
    "empty": ("", "state is empty"),
    "half a character": ("\ud800", "half of a character"),
}


@pytest.mark.parametrize(("state", "problem"), STATES.values(), ids=STATES)
def test_the_expected_state_is_the_callers_to_give(state: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        parse_callback(QUERY, state=state)


# Refusals

DENIED = "error=access_denied&error_description=The+user+said+no&hint=no"
SAID: dict[str, tuple[str, type[CallbackError], str, str | None]] = {
    "denied": (f"{DENIED}&state=st-123", AccessDeniedError, "access_denied", "The user said no"),
    "denied without a state": (DENIED, AccessDeniedError, "access_denied", "The user said no"),
    "denied without words": ("error=access_denied&state=st-123", AccessDeniedError, "access_denied", None),
    "a scope, without a state": ("error=invalid_scope&hint=x", CallbackError, "invalid_scope", None),
    "an error beside a code": (f"{QUERY}&error=server_error", CallbackError, "server_error", None),
    "an error beside a code, no state": (f"code={CODE}&error=login_required", CallbackError, "login_required", None),
    "an empty error": (f"{QUERY}&error=", CallbackError, "", None),
}


@pytest.mark.parametrize(("callback", "kind", "error", "description"), SAID.values(), ids=SAID)
def test_the_servers_refusal_is_reported(callback: str, kind: type, error: str, description: str | None) -> None:
    with pytest.raises(CallbackError) as caught:
        parse_callback(f"http://localhost/?{callback}", state="st-123")
    assert type(caught.value) is kind
    assert (caught.value.error, caught.value.description) == (error, description)
    assert error in str(caught.value)
    assert (description or "") in str(caught.value)
    assert ("leave it empty" in str(caught.value)) is (error == "invalid_scope")


def test_a_strangers_words_are_fit_for_one_line_of_a_log() -> None:
    words = urlencode({"error": "a\r\nb", "error_description": "\x1b[31m\u2028" + "x" * 5000})
    with pytest.raises(CallbackError) as caught:
        parse_callback(words, state="st-123")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("callback", "carries"), [(QUERY, True), ("error=x&state=", True), ("error=x", False), ("", False)], ids=repr
)
def test_an_error_that_names_no_state_is_told_from_one_that_does(callback: str, carries: bool) -> None:
    assert carries_state(callback) is carries


# The callbacks that two real servers sent

LOCATIONS = [
    (f"{row['id']} {row['server']}", row["headers"]["location"])
    for row in RECORDED
    if row["path"] == "/oauth/authorize" and "127.0.0.1" in row["headers"].get("location", "")
]


@pytest.mark.parametrize("location", [location for _, location in LOCATIONS], ids=[name for name, _ in LOCATIONS])
def test_a_recorded_callback_is_read(location: str) -> None:
    fields = asked(location)
    state = fields.get("state", "st-123")
    if "error" in fields:
        with pytest.raises(CallbackError) as caught:
            parse_callback(location, state=state)
        assert isinstance(caught.value, AccessDeniedError) is (fields["error"] == "access_denied")
        assert (caught.value.error, caught.value.description) == (fields["error"], fields["error_description"])
    elif "state" in fields:
        assert parse_callback(location, state=state) == fields["code"]
    else:
        with pytest.raises(StateMismatchError):
            parse_callback(location, state=state)


def test_the_recordings_hold_callbacks_of_every_kind() -> None:
    kinds = {asked(location).get("error", "code") for _, location in LOCATIONS}
    assert kinds == {"code", "access_denied", "invalid_scope", "login_required", "consent_required"}
    assert any("error" in asked(location) and "state" not in asked(location) for _, location in LOCATIONS)


# The issuer (RFC 9207)

ISSUERS: dict[str, tuple[str, str | None, bool]] = {
    "the base URL": (BASE, BASE, True),
    "the base URL, slash sent": (f"{BASE}/", BASE, True),
    "the base URL, slash expected": (BASE, f"{BASE}/", True),
    "the base URL, not normal": (BASE, "HTTPS://EXBO.NET:443/oauth", True),
    "its origin": ("https://exbo.net", BASE, True),
    "its origin with a slash": ("https://exbo.net/", BASE, True),
    "an origin with a port": ("http://127.0.0.1:8000", "http://127.0.0.1:8000/oauth", True),
    "an origin in brackets": ("http://[::1]:8000", "http://[::1]:8000/oauth", True),
    "nobody asked": ("https://evil.test", None, True),
    "another host": ("https://evil.test/oauth", BASE, False),
    "another scheme": ("http://exbo.net/oauth", BASE, False),
    "another path": ("https://exbo.net/other", BASE, False),
    "another port": ("https://exbo.net:8443/oauth", BASE, False),
    "a longer host": ("https://exbo.net.evil.test", BASE, False),
    "empty": ("", BASE, False),
}


@pytest.mark.parametrize(("sent", "expected", "accepted"), ISSUERS.values(), ids=ISSUERS)
def test_an_issuer_that_is_sent_must_be_ours(sent: str, expected: str | None, accepted: bool) -> None:
    callback = f"{QUERY}&iss={quote(sent, safe='')}"
    if accepted:
        assert parse_callback(callback, state="st-123", issuer=expected) == CODE
    else:
        with pytest.raises(IssuerMismatchError, match=f"this sign-in went to {BASE}"):
            parse_callback(callback, state="st-123", issuer=expected)


def test_no_issuer_need_be_sent() -> None:
    assert parse_callback(QUERY, state="st-123", issuer=BASE) == CODE


def test_the_state_is_checked_before_the_issuer_and_the_issuer_before_the_error() -> None:
    stranger = "iss=https://evil.test&error=access_denied"
    with pytest.raises(StateMismatchError):
        parse_callback(f"{stranger}&state=x", state="st-123", issuer=BASE)
    with pytest.raises(IssuerMismatchError):
        parse_callback(f"{stranger}&state=st-123", state="st-123", issuer=BASE)


@pytest.mark.parametrize("issuer", ["http://exbo.net", "exbo.net", "https://[", 5, b"x", ""], ids=repr)
def test_an_expected_issuer_is_a_base_url(issuer: Any) -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        parse_callback(QUERY, state="st-123", issuer=issuer)


@pytest.mark.parametrize(
    ("callback", "state"),
    [
        (f"http://localhost/?code={CODE}&state=st-123", "st-123"),
        ("error=access_denied&state=", ""),
        (f"code={CODE}", None),
        ("state=a&state=b", None),
        ("state=%ff", None),
    ],
    ids=["a callback", "an empty one", "none", "two", "one that cannot be read"],
)
def test_the_state_tells_whose_a_callback_is(callback: str, state: str | None) -> None:
    assert state_in(callback) == state
