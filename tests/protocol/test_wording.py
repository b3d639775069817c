"""What we say, word for word: a text that lost its beginning, its end or its point is still a text."""

from collections.abc import Callable
from datetime import UTC, datetime
from json import dumps
from typing import Any, cast

import pytest
from attrs import evolve

from exbo_oauth import AppToken, ConfigurationError, OAuthError, RateLimit, ServerError, TokenRequestError, UserInfo
from exbo_oauth.protocol import Headers, OAuthProtocol, Request, Response, parse_callback

BASE = "https://exbo.net/oauth"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
APP = {"token_type": "Bearer", "access_token": "abc"}
USER = {"id": 1, "uuid": "00000001-0000-4000-8000-000000000001", "login": "ivan", "distributor": "exbo"}


def protocol(base_url: str = BASE) -> OAuthProtocol:
    return OAuthProtocol(client_id=59, client_secret="a-good-secret", base_url=base_url)


def answered(content: str, status: int = 200, **headers: str) -> Callable[[], object]:
    """Reading an answer to the request for an application's token."""
    response = Response(status, headers, content.encode())
    return lambda: protocol().app_token().parse(response, now=NOW)


def refused(status: int, error: str, base_url: str = BASE) -> Callable[[], object]:
    response = Response(status, {}, f'{{"error": "{error}"}}'.encode())
    return lambda: protocol(base_url).app_token().parse(response, now=NOW)


def hinted(error: str) -> Callable[[], object]:
    return answered(dumps({"error": error, "hint": "Invalid redirect URI"}), 400)


def refreshed(status: int, body: str = "") -> Callable[[], object]:
    return lambda: protocol().refresh("refresh-token").parse(Response(status, {}, body.encode()), now=NOW)


def exchanged(response: Response) -> Callable[[], object]:
    """Reading an answer to a code."""
    return lambda: protocol().user_token("code-1").parse(response, now=NOW)


def called_back(query: str) -> Callable[[], object]:
    return lambda: parse_callback(query, state="st-123", issuer=BASE)


DEMO = "This is a demo host: EXBO publishes its tokens, a real application's credentials do not work here."
COPIED = "was it copied with more than itself?"
SPENT = (
    "POST /token (authorization_code) was answered 200 with something unusable: JSON that is not an object @ $. The "
    "grant is probably spent: the user may have to sign in again."
)
UNUSABLE = (
    "POST /token (client_credentials) was answered {} with something unusable: {}. Check base_url and any proxy in "
    "between."
)
UNSAID = "POST /token (refresh_token) was answered {}: no reason given."
WHOLE = "a callback is the address that the browser ended on, or its query string"
UNREADABLE = "the callback's query string cannot be read"
FULL = 64 * 1024  # characters that a callback may have

SAID: dict[str, tuple[Callable[[], object], str]] = {
    "a base URL that is none": (
        lambda: protocol("https://exbo.net:port/oauth"),
        "base_url 'https://exbo.net:port/oauth' (Port could not be cast to integer value as 'port') is not a URL",
    ),
    "a base URL in Cyrillic": (
        lambda: protocol("https://эксбо.net/oauth"),
        "base_url must be a URL of visible ASCII characters",
    ),
    "a base URL with a password": (
        lambda: protocol("https://u:p@exbo.net/oauth"),
        "base_url must not carry a user name or password",
    ),
    "a redirect URI with a space": (
        lambda: protocol().authorize_url("s", "https://app.test/ "),
        f"redirect_uri must be a URL without spaces, backslashes and invisible characters: {COPIED}",
    ),
    "a redirect URI that is none": (
        lambda: protocol().authorize_url("s", "https://app.test:port/"),
        "redirect_uri 'https://app.test:port/' (Port could not be cast to integer value as 'port') is not a URL",
    ),
    "half a character for an id": (
        lambda: OAuthProtocol(client_id="\ud800", client_secret="x"),
        "client_id contains half of a character (a lone surrogate), which cannot be encoded",
    ),
    "an id of thousands of digits": (
        lambda: OAuthProtocol(client_id=10**5000, client_secret="x"),
        "client_id is too long",
    ),
    "an id with a space": (
        lambda: OAuthProtocol(client_id=" 59", client_secret="x"),
        "client_id is empty or has a space or a line break in it: was it copied whole?",
    ),
    "a secret with a line end": (
        lambda: OAuthProtocol(client_id=59, client_secret="a-secret\n"),
        "client_secret has a space or a line break around or in it: was a line end copied along?",
    ),
    "an answer that is no response": (
        lambda: protocol().app_token().json(cast("Any", {})),
        "an answer is a Response(status, headers, content) of exbo_oauth.protocol, not dict",
    ),
    "a moment without a time zone": (
        lambda: protocol().app_token().parse(Response(200), now=datetime(2026, 1, 1)),  # noqa: DTZ001
        "now must be an aware datetime, as from datetime.now(timezone.utc)",
    ),
    "headers of which some are bytes": (
        lambda: Request("GET", BASE, cast("Any", [("a", b"b")])),
        "headers are a mapping or pairs of str: decode bytes as latin-1",
    ),
    "a code in place of a refresh token": (
        refreshed(500),
        f"{UNSAID.format(500)} EXBO fails like this if what was sent is a code and no refresh token.",
    ),
    "a refresh token that a server is too busy for": (refreshed(502), UNSAID.format(502)),
    "a whole number with a fraction": (
        lambda: UserInfo.from_dict(USER | {"id": 1.5}),
        "this is not a valid UserInfo: expected a whole number, got a fraction @ $.id",
    ),
    "an id that is none": (
        lambda: UserInfo.from_dict(USER | {"uuid": "59"}),
        "this is not a valid UserInfo: expected a UUID @ $.uuid",
    ),
    "a saved moment that is text": (
        lambda: AppToken.from_dict(APP | {"expires_at": "soon"}),
        "this is not a valid AppToken: expected an ISO 8601 moment or epoch seconds @ $.expires_at",
    ),
    "a callback without a code": (
        called_back("state=st-123"),
        "the callback carries no code: is it the whole address that the browser ended on?",
    ),
    "a callback without a state": (
        called_back("code=abc"),
        "the callback carries no state: it is not whole, or does not belong to this sign-in",
    ),
    "another sign-in's callback": (
        called_back("code=abc&state=other"),
        "the callback's state is another one: it does not belong to this sign-in",
    ),
    "a callback of 65 parameters": (called_back("&".join(["a=1"] * 65)), UNREADABLE),
    "a callback that is too long": (called_back("x" * (FULL + 1)), WHOLE),
    "a refusal without words": (
        called_back("error=invalid_scope&state=st-123"),
        "the server ended the sign-in: invalid_scope: EXBO defines no scope, leave it empty",
    ),
    "a refusal with words": (
        called_back("error=server_error&error_description=oh+no&state=st-123"),
        "the server ended the sign-in: server_error (oh no)",
    ),
    "a token with something around it": (
        lambda: protocol().user_info("“abc”"),
        "the token must be visible ASCII: was it copied with something around it?",
    ),
    "an answer that is no JSON": (answered("nonsense"), UNUSABLE.format(200, "a body that is not JSON")),
    "an answer that is a list": (answered("[]"), UNUSABLE.format(200, "JSON that is not an object @ $")),
    "an answer that is empty": (answered(""), UNUSABLE.format(200, "an empty body")),
    "an answer that is nested": (
        answered('{"a":' * 900 + "1" + "}" * 900),
        UNUSABLE.format(200, "JSON nested too deep @ $"),
    ),
    "a redirect": (
        answered("", 302, location="https://exbo.example/?code=secret"),
        UNUSABLE.format(302, "a redirect to https://exbo.example/"),
    ),
    "a code that is spent": (
        exchanged(Response(200, {}, b"[]")),
        SPENT,
    ),
    "too many requests, and no word on when": (
        answered("{}", 429),
        "POST /token (client_credentials) was answered 429: no reason given.",
    ),
    "a body that is text": (
        lambda: Request("POST", BASE, (), cast("Any", "a=1")),
        "content is the body in bytes, not str",
    ),
    "headers that are a number": (
        lambda: Request("GET", BASE, cast("Any", 5)),
        "headers are a mapping or pairs of str: decode bytes as latin-1",
    ),
    "a status that is text": (lambda: Response(cast("Any", "200")), "status must be an int, not str"),
    "a status that is a truth": (lambda: Response(True), "status must be an int, not bool"),
    "a demo host": (
        refused(401, "invalid_client", "https://demo.exbo.example/oauth"),
        f"POST /token (client_credentials) was answered 401: invalid_client. {DEMO}",
    ),
    "a demo host of the API": (
        refused(401, "invalid_client", "https://dapi.exbo.example/oauth"),
        f"POST /token (client_credentials) was answered 401: invalid_client. {DEMO}",
    ),
    "credentials that are refused where no redirect URI is sent": (
        refused(401, "invalid_client"),
        (
            "POST /token (client_credentials) was answered 401: invalid_client. Check client_id and client_secret; "
            "EXBO says the same of an application that is revoked or not approved yet, although the bot shows its "
            "credentials."
        ),
    ),
    "credentials that are refused while a token is renewed": (
        refreshed(401, '{"error": "invalid_client"}'),
        (
            "POST /token (refresh_token) was answered 401: invalid_client. Check client_id and client_secret; "
            "EXBO says the same of an application that is revoked or not approved yet, although the bot shows its "
            "credentials."
        ),
    ),
    "credentials that a sandbox refuses": (
        refused(401, "invalid_client", "http://127.0.0.1:8765/oauth"),
        (
            "POST /token (client_credentials) was answered 401: invalid_client. Compare client_id, client_secret and "
            "any redirect URI with those on the sandbox's page, http://127.0.0.1:8765/"
        ),
    ),
    "words that end a sentence": (
        answered('{"error": "unauthorized_client", "error_description": "No.", "hint": "Look."}', 401),
        "POST /token (client_credentials) was answered 401: unauthorized_client, No, hint: Look.",
    ),
    "an unknown error where nothing is": (
        refused(404, "strange"),
        "POST /token (client_credentials) was answered 404: strange. Check base_url: EXBO's is https://exbo.net/oauth.",
    ),
}


@pytest.mark.parametrize(("action", "text"), SAID.values(), ids=SAID)
def test_an_error_says_exactly_this(action: Callable[[], object], text: str) -> None:
    with pytest.raises(OAuthError) as caught:
        action()
    assert str(caught.value) == text


CODED: dict[str, tuple[Callable[[], object], str]] = {
    "plain HTTP": (lambda: protocol("http://exbo.net/oauth"), f"{ConfigurationError.code}.plain-http"),
    "a secret with a line end": (
        lambda: OAuthProtocol(client_id=59, client_secret="a-secret\n"),
        f"{ConfigurationError.code}.copied-along",
    ),
    "a demo host": (
        refused(401, "invalid_client", "https://demo.exbo.example/oauth"),
        "exbo-oauth.invalid-client.demo",
    ),
    "a callback without a state": (called_back("code=abc"), "exbo-oauth.callback.state-mismatch.missing"),
    "a callback with an error": (called_back("error=server_error&state=st-123"), "exbo-oauth.callback.refused"),
    "a callback that cannot be read": (called_back("x" * (FULL + 1)), "exbo-oauth.callback.unreadable"),
    "a redirect": (answered("", 302), "exbo-oauth.malformed-response.redirect"),
    "a web page": (answered("<html>"), "exbo-oauth.malformed-response.web-page"),
    "what calls itself a web page": (
        answered("Hello", **{"Content-Type": "text/HTML"}),
        "exbo-oauth.malformed-response.web-page",
    ),
    "what is neither JSON nor a web page": (answered("Hello"), "exbo-oauth.malformed-response"),
    "the hint of an invalid request": (hinted("invalid_request"), "exbo-oauth.invalid-request.redirect-uri"),
    "the hint of an invalid grant": (hinted("invalid_grant"), "exbo-oauth.invalid-grant.dead.redirect-uri"),
    "the hint of something else": (hinted("invalid_scope"), "exbo-oauth.invalid-scope"),
}


@pytest.mark.parametrize(("action", "code"), CODED.values(), ids=CODED)
def test_an_error_has_exactly_this_code(action: Callable[[], object], code: str) -> None:
    with pytest.raises(OAuthError) as caught:
        action()
    assert caught.value.code == code


def test_only_a_demo_host_is_called_one() -> None:
    with pytest.raises(OAuthError) as caught:
        refused(401, "invalid_client")()
    assert "demo" not in str(caught.value)


def test_a_callback_may_have_so_many_characters_and_parameters() -> None:
    enough = "&".join(["a=1"] * 62 + ["code=abc", "state=st-123"])
    assert parse_callback(enough, state="st-123") == "abc"
    long = "code=abc&state=st-123&a="
    assert parse_callback(long + "x" * (FULL - len(long)), state="st-123") == "abc"


def test_a_question_mark_in_a_query_begins_no_other_one() -> None:
    assert parse_callback("http://localhost/?why=who?&code=abc&state=st-123", state="st-123") == "abc"
    assert parse_callback("http://localhost/?code=abc&state=st-123&why=who?", state="st-123") == "abc"


def test_an_address_in_a_query_makes_no_address_of_it() -> None:
    """What people copy along is taken out of an address; a space in a query that a program passes on belongs to it."""
    assert parse_callback("/?code=a b&next=https://x.test/?y&state=st-123", state="st-123") == "a b"


def test_the_issuer_may_end_in_a_slash() -> None:
    for issuer in (f"{BASE}/", "https://exbo.net/", "https://exbo.net"):
        assert parse_callback(f"code=abc&state=st-123&iss={issuer}", state="st-123", issuer=BASE) == "abc"


SHOWN: dict[str, tuple[Any, str]] = {
    "a request": (Request("GET", "https://a.test/b"), "<Request GET https://a.test/b [] 0 bytes>"),
    "a request with a query": (
        Request("POST", "https://a.test/b?c=secret", {"Accept": "x", "Cookie": "secret"}, b"1234"),
        "<Request POST https://a.test/b?… [Accept, Cookie] 4 bytes>",
    ),
    "headers": (Headers({"Set-Cookie": "secret", "Accept": "x"}), "Headers({'set-cookie': '***', 'accept': 'x'})"),
    "a response": (Response(418, {"Set-Cookie": "secret"}, b"12"), "<Response 418 2 bytes>"),
}


@pytest.mark.parametrize(("thing", "text"), SHOWN.values(), ids=SHOWN)
def test_a_message_shows_as_this(thing: object, text: str) -> None:
    assert repr(thing) == text


WORDS: dict[str, tuple[str, str]] = {
    "300 characters": ("x" * 300, "x" * 300),
    "301 characters": ("x" * 301, "x" * 300 + "…"),
    "control characters": ("a\tb\r\n\x1bc", "a b c"),
    "two spaces": ("a  b", "a  b"),
    "an X between": ("a\x00XX", "a XX"),
    "nothing to be seen for 600 characters": ("\x00" * 599 + "ab", "a"),
}


@pytest.mark.parametrize(("sent", "quoted"), WORDS.values(), ids=WORDS)
def test_the_servers_words_fit_into_one_line(sent: str, quoted: str) -> None:
    with pytest.raises(TokenRequestError) as caught:
        answered(dumps({"error": "strange", "error_description": sent}), 400)()
    assert caught.value.description == quoted


def test_a_protocol_that_was_not_made_to_its_end_shows_what_there_is() -> None:
    assert repr(OAuthProtocol.__new__(OAuthProtocol)) == "OAuthProtocol(base_url=None, client_id=None)"


def test_a_header_that_is_missing_is_empty_unless_said_otherwise() -> None:
    request = Request("GET", BASE, {"Accept": "x"})
    assert (request.header("accept"), request.header("nope"), request.header("nope", "-")) == ("x", "", "-")


def test_a_response_that_is_made_from_another_keeps_its_content() -> None:
    response = Response(200, {}, b"text")
    assert evolve(response, status=201) == Response(201, {}, b"text")


def test_equal_headers_hash_alike_and_others_do_not() -> None:
    first, same, other = (Response(200, {name: "1"}).headers for name in ("A", "a", "b"))
    assert hash(first) == hash(same)
    assert hash(first) != hash(other)


def test_a_table_has_its_rows_one_after_the_other() -> None:
    assert RateLimit(limit=1, remaining=2)._repr_html_() == (
        "<table><caption>RateLimit</caption><tr><th>limit</th><td>1</td></tr><tr><th>remaining</th><td>2</td></tr>"
        "<tr><th>used</th><td>None</td></tr><tr><th>reset</th><td>None</td></tr></table>"
    )


@pytest.mark.parametrize(
    ("sent", "moment"),
    [
        pytest.param(100_000_000_000, datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC), id="the first milliseconds"),
        pytest.param(99_999_999_999, datetime(5138, 11, 16, 9, 46, 39, tzinfo=UTC), id="the last seconds"),
    ],
)
def test_a_reset_is_in_seconds_up_to_the_year_5138(sent: int, moment: datetime) -> None:
    assert RateLimit(reset=sent).reset == moment


def test_a_number_in_a_header_has_fifteen_digits_at_most() -> None:
    for digits, expected in (("9" * 15, 999_999_999_999_999), ("9" * 16, None)):
        limits = RateLimit.from_headers({"x-ratelimit-limit": digits})
        assert limits is not None
        assert limits.limit == expected


def test_without_leeway_a_token_lasts_to_its_very_end() -> None:
    token = AppToken.from_dict(APP | {"expires_in": 10}, now=NOW)
    assert not token.is_expired(now=NOW.replace(second=9, microsecond=500_000))
    assert token.is_expired(now=NOW.replace(second=10))


def test_a_server_that_failed_may_say_until_when() -> None:
    for given in ("9", "Thu, 01 Jan 2026 00:00:09 GMT"):
        with pytest.raises(ServerError) as caught:
            answered("{}", 503, **{"retry-after": given})()
        assert caught.value.retry_after == 9.0


def test_half_a_character_in_an_answer_is_passed_on() -> None:
    sent = b'{"access_token": "abc", "note": "\xed\xa0\x80"}'
    assert protocol().app_token().json(Response(200, {}, sent))["note"] == "\ud800"


def test_a_retry_after_that_is_absurd_is_cut() -> None:
    with pytest.raises(OAuthError, match=r"It asks for 1e\+12 s of patience\.") as caught:
        answered("{}", 429, **{"retry-after": "9" * 20})()
    assert caught.value.retry_after == 999_999_999_999.0
