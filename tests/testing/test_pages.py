"""The pages as they are sent: what they contain and allow, and that nothing in them can be forged or injected."""

import json
import os
import re
from html import unescape
from html.parser import HTMLParser
from string import Formatter
from urllib.parse import urlencode

import pytest

from exbo_oauth.protocol.messages import Request, Response
from exbo_oauth.testing import App
from exbo_oauth.testing.texts import TEXTS

from .scenario import ANY, CALLBACK, JSON, OTHER, Scenario, field

RUSSIAN = {"accept": "text/html", "accept-language": "ru-RU,ru;q=0.9,en;q=0.8"}


class Outline(HTMLParser):
    """Every element with its attributes, in order."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(response.content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


def text_of(response: Response) -> str:
    return re.sub(r"<[^>]+>", "", response.content.decode())


def pages(s: Scenario) -> dict[str, Response]:
    login = s.send("GET", "/login", ANY)
    s.sign_in()
    s.pair("steam-guest")
    return {"login": login, "consent": s.visit(), "live": s.send("GET", "/", ANY)}


@pytest.mark.parametrize("name", ["login", "consent", "live"])
def test_a_page_loads_and_runs_only_what_this_server_sends(name: str) -> None:
    page = pages(Scenario(invalidate="all"))[name]
    policy = dict([*part.strip().split(" ", 1), ""][:2] for part in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert {policy[f"{kind}-src"] for kind in ("script", "style", "connect", "img")} == {"'self'"}
    assert "form-action" not in policy  # it would be applied to wherever the application's callback leads
    outline = Outline(page)
    for tag, attrs in outline.elements:
        assert not [attr for attr in attrs if attr.startswith("on") or attr == "style"], tag
        for address in (attrs.get("src"), attrs.get("href"), attrs.get("action")):
            assert address is None or re.match(r"/(?!/)", address)
    assert not outline.all("style")
    assert all(script.get("src") for script in outline.all("script"))


@pytest.mark.parametrize("name", ["login", "consent", "live"])
def test_a_page_can_be_read_by_everybody(name: str) -> None:
    outline = Outline(pages(Scenario())[name])
    assert outline.all("html")[0]["lang"] == "en"
    assert [len(outline.all(tag)) for tag in ("h1", "main", "title")] == [1, 1, 1]
    labelled = {label.get("for") for label in outline.all("label")}
    assert all(one.get("type") == "hidden" or one.get("id") in labelled for one in outline.all("input"))
    ids = [attrs["id"] for _, attrs in outline.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in outline.all("meta")
    assert {"name": "color-scheme", "content": "light dark"} in outline.all("meta")


def test_titles_are_the_recorded_ones() -> None:
    s = Scenario()
    assert b"<title>Sign in</title>" in s.send("GET", "/login", ANY).content
    s.sign_in()
    assert b"<title>Authorize</title>" in s.visit().content


def test_the_pages_speak_the_browsers_language() -> None:
    s = Scenario()
    login = s.send("GET", "/login", RUSSIAN)
    s.sign_in()
    for page in (login, s.visit(headers=RUSSIAN), s.send("GET", "/", RUSSIAN)):
        assert (page.headers["content-language"], page.headers["vary"]) == ("ru", "Accept-Language")
        assert Outline(page).all("html")[0]["lang"] == "ru"
    assert "В песочнице нет паролей" in text_of(login)


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("ru", "ru"),
        ("RU-ru", "ru"),
        ("de, en;q=0.5, ru;q=0.7", "ru"),
        ("en, ru", "en"),
        ("de", "en"),
        ("ru;q=x, en", "en"),
    ],
)
def test_the_preferred_language_wins(accepted: str, language: str) -> None:
    page = Scenario().send("GET", "/login", ANY | {"accept-language": accepted})
    assert page.headers["content-language"] == language


def test_both_languages_say_the_same_things() -> None:
    def holes(text: str) -> set[str | None]:
        return {name for _, name, _, _ in Formatter().parse(text)} - {None}

    assert {key: holes(text) for key, text in TEXTS["en"].items()} == {
        key: holes(text) for key, text in TEXTS["ru"].items()
    }


# Signing in


def test_somebody_who_is_not_listed_can_sign_in_by_login() -> None:
    s = Scenario()
    s.fake.add_user("anna")
    assert s.sign_in("anna").status == 302
    assert "anna" in text_of(s.visit())


def test_an_unknown_login_is_said_to_be_one_and_stays_in_the_field() -> None:
    s = Scenario()
    page = s.sign_in('<b>"nobody"')
    assert page.status == 422
    field = next(one for one in Outline(page).all("input") if one.get("id") == "login")
    assert (field["value"], field["aria-invalid"], field["aria-describedby"]) == ('<b>"nobody"', "true", "error")
    assert b"<b>" not in page.content
    assert s.visit(headers=JSON).status == 401


def test_a_user_who_does_not_exist_can_be_made_on_the_page() -> None:
    s = Scenario()
    page = s.sign_in("petr")
    for way in ("--add-user", "fake.add_user"):
        assert way in text_of(page)
    assert {"class": "main", "name": "make", "value": "1"} in Outline(page).all("button")
    assert s.post("/login", {"_token": field(page, "_token"), "login": "petr", "make": "1"}, ANY).status == 302
    assert [(user.id, user.login) for user in s.fake.users][2:] == [(3, "petr")]
    assert "petr" in text_of(s.visit())
    assert "petr was added on the sign-in page." in text_of(s.send("GET", "/sandbox/timeline", ANY))


@pytest.mark.parametrize("login", ["", " ", "a" * 65, "a\nb", "\x1b[2J", "\u202eabc"], ids=ascii)
def test_nobody_is_made_whose_login_cannot_be_shown(login: str) -> None:
    s = Scenario()
    token = field(s.send("GET", "/login", ANY), "_token")
    page = s.post("/login", {"_token": token, "login": login, "make": "1"}, ANY)
    assert page.status == 422
    assert "1 to 64 visible characters" in text_of(page)
    assert not [button for button in Outline(page).all("button") if button.get("name") == "make"]
    assert len(s.fake.users) == 2


def test_who_exists_already_is_signed_in_and_not_made() -> None:
    s = Scenario()
    token = field(s.send("GET", "/login", ANY), "_token")
    assert s.post("/login", {"_token": token, "login": "ivan", "make": "1"}, ANY).status == 302
    assert len(s.fake.users) == 2


def test_two_sandboxes_of_one_host_keep_their_sessions_apart() -> None:
    one, other = (Request("GET", f"http://127.0.0.1:{port}/login", ANY) for port in (8765, 8766))
    fake = Scenario().fake
    names = [fake.handle(request).headers["set-cookie"].partition("=")[0] for request in (one, other)]
    assert names == ["exbo_sandbox_8765", "exbo_sandbox_8766"]


def test_the_sign_in_form_needs_its_csrf_token() -> None:
    s = Scenario()
    s.send("GET", "/login", ANY)
    assert s.post("/login", {"login": "ivan"}).status == 419
    assert s.post("/login", {"login": "ivan", "_token": "x"}, ANY).headers["content-type"].startswith("text/html")


def test_another_browsers_csrf_token_does_not_do() -> None:
    s = Scenario()
    foreign = field(s.send("GET", "/login", ANY), "_token")
    s.cookie = ""
    s.send("GET", "/login", ANY)
    assert s.post("/login", {"login": "ivan", "_token": foreign}).status == 419


def test_signing_in_changes_the_session() -> None:
    s = Scenario()
    s.send("GET", "/login", ANY)
    before = s.cookie
    s.sign_in()
    signed_in, s.cookie = s.cookie, before
    assert signed_in != before
    assert s.visit(headers=JSON).status == 401


def test_sessions_do_not_pile_up() -> None:
    s = Scenario()
    s.sign_in()
    mine = s.cookie
    for _ in range(10_000):
        s.cookie = ""
        s.visit()
    s.cookie = mine
    assert s.visit(headers=JSON).status == 401


def test_the_cookie_is_kept_from_scripts() -> None:
    cookie = Scenario().send("GET", "/login", ANY).headers["set-cookie"]
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Lax")


def test_signing_in_with_nowhere_to_go_leads_to_the_front_page() -> None:
    assert Scenario().sign_in().headers["location"] == "http://server.test/"


def test_a_prompt_for_login_asks_again_once() -> None:
    s = Scenario()
    s.sign_in()
    assert s.visit(prompt="login").headers["location"].endswith("/login")
    assert (
        b"<title>Authorize</title>"
        in s.send("GET", s.sign_in().headers["location"].removeprefix("http://server.test"), ANY).content
    )


def test_a_prompt_for_login_signs_out_and_makes_open_forms_worthless() -> None:
    s = Scenario()
    app = s.fake.add_app(redirect_uris=(OTHER,))
    s.sign_in()
    page = s.visit(app, redirect_uri=OTHER)
    s.visit(app, redirect_uri=OTHER, prompt="login")
    assert s.approve(page).status == 419


# Consent


def test_the_consent_page_says_who_wants_what() -> None:
    s = Scenario(scopes=("read", "write"))
    app = s.fake.add_app("Auction <watcher>", redirect_uris=(OTHER,))
    s.sign_in("steam-guest")
    text = text_of(s.visit(app, redirect_uri=OTHER, scope="read write"))
    for part in ("Auction &lt;watcher&gt; wants to use your account Guest", "read", "write", "http://127.0.0.1:9999"):
        assert part in text


@pytest.mark.parametrize(
    ("redirect_uri", "shown"),
    [
        ("myapp:/callback", "back to myapp:."),
        ("https://user:pw@site.example/x", "back to https://site.example."),
        ("https://a;script-src *", "back to https://a;script-src *."),
        ("nowhere", "back to nowhere."),
        ("https://[<b>", "back to https://[&lt;b&gt;."),
    ],
)
def test_the_consent_page_says_who_gets_the_browser_back(redirect_uri: str, shown: str) -> None:
    s = Scenario()
    app = s.fake.add_app(redirect_uris=(redirect_uri,))
    s.sign_in()
    page = s.visit(app, redirect_uri=redirect_uri)
    assert shown in text_of(page)
    assert page.headers["content-security-policy"].endswith("frame-ancestors 'none'")


def test_denying_and_approving_are_two_forms_of_one_page() -> None:
    s = Scenario()
    s.sign_in()
    page = s.visit()
    assert "error=access_denied" in s.deny(page).headers["location"]
    assert "code=def50200" in s.approve(s.visit()).headers["location"]


def test_the_method_itself_may_say_no() -> None:
    s = Scenario()
    s.sign_in()
    page = s.visit()
    kind = {"content-type": "application/x-www-form-urlencoded", "x-csrf-token": field(page, "_token")}
    assert "error=access_denied" in s.send("DELETE", "/oauth/authorize", ANY | kind).headers["location"]


@pytest.mark.parametrize("dialect", ["league-8", "league-9"])
def test_a_consent_form_of_an_older_page_is_refused(dialect: str) -> None:
    s = Scenario(dialect)
    s.sign_in()
    old = s.visit()
    s.visit()
    assert s.approve(old, JSON).status == 403


def test_consent_without_a_request_is_a_failure() -> None:
    s = Scenario()
    token = field(s.send("GET", "/login", ANY), "_token")
    assert s.post("/oauth/authorize", {"_token": token}).status == 401
    s.sign_in()
    token = field(s.send("GET", "/login", ANY), "_token")
    assert s.post("/oauth/authorize", {"_token": token}).status == 500


def test_malformed_json_is_no_consent() -> None:
    s = Scenario()
    s.sign_in()
    s.visit()
    assert s.send("POST", "/oauth/authorize", JSON | {"content-type": "application/json"}, b"{").status == 419


def test_a_first_party_application_needs_no_consent() -> None:
    s = Scenario()
    app = s.fake.add_app(redirect_uris=(OTHER,), first_party=True)
    s.sign_in()
    assert "code=" in s.visit(app, redirect_uri=OTHER).headers["location"]
    assert s.visit(app, redirect_uri=OTHER, prompt="consent").status == 200


# The live page


def settings(s: Scenario, **query: str) -> str:
    return s.send("GET", "/sandbox/settings?" + urlencode(query), ANY).content.decode()


def test_the_front_page_tells_how_to_connect_and_keeps_the_secret() -> None:
    s = Scenario("league-9", invalidate="access")
    page = s.send("GET", "/", ANY)
    text = unescape(text_of(page))
    base_url = s.fake.base_url
    for part in (f"EXBO_OAUTH_URL={base_url}", s.fake.api_url, CALLBACK, "league-9", "earlier access tokens", "ivan"):
        assert part in text
    assert [app.client_id in text for app in s.fake.apps] == [True] * 4
    assert not [app for app in s.fake.apps if app.client_secret and app.client_secret in page.content.decode()]
    assert "Nothing yet" in text


@pytest.mark.skipif(os.name == "nt", reason="these lines are for other shells")
def test_settings_are_given_out_for_the_shell_and_as_a_file() -> None:
    s = Scenario()
    lines = [
        "EXBO_OAUTH_URL=https://exbo.test/oauth",
        "EXBO_API_URL=https://exbo.test/api",
        "EXBO_CLIENT_ID=1",
        f"EXBO_CLIENT_SECRET={s.first.client_secret}",
        "EXBO_REDIRECT_URI=http://localhost",
    ]
    assert settings(s, form="dotenv").splitlines() == lines
    assert settings(s).splitlines() == [f"export {line}" for line in lines]
    assert (
        settings(s, client_id=s.odd.client_id).splitlines()[3] == f"export EXBO_CLIENT_SECRET='{s.odd.client_secret}'"
    )
    assert "SECRET" not in settings(s, client_id=s.public.client_id)
    assert "REDIRECT_URI" not in settings(s, client_id=s.fake.add_app(redirect_uris=()).client_id)


def test_no_website_can_read_the_settings() -> None:
    answer = Scenario().send("GET", "/sandbox/settings", ANY)
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in answer.headers
    assert Scenario().send("GET", "/sandbox/settings?client_id=999", JSON).status == 404


def test_an_application_of_ones_own_is_the_first() -> None:
    app = App(client_id="59", client_secret="s" * 40, redirect_uris=(OTHER,), name="My <b>bot</b>")
    s = Scenario(app=app)
    assert s.fake.app is app
    assert "EXBO_CLIENT_ID=59" in settings(s)
    assert "My &lt;b&gt;bot&lt;/b&gt;" in s.send("GET", "/", ANY).content.decode()


def story(s: Scenario) -> str:
    """Something of everything; returns the timeline."""
    first = s.app_pair()
    s.app_pair()
    s.resource(first.access_token)
    s.user("garbage")
    pair = s.pair()
    s.refresh(pair.refresh_token or "")
    s.refresh(pair.refresh_token or "")
    s.fake.revoke(s.fake.issued[-1])
    s.app_token(client_secret="wrong")
    s.visit(client_id="999")
    s.fake.fail_next(503)
    s.app_token()
    s.fake.lose_next_answer()
    with pytest.raises(ConnectionError):
        s.app_token()
    s.walk()
    s.sign_in()
    s.fake.authorize("http://server.test" + s.authorize_path(), approve=False)
    return text_of(s.send("GET", "/sandbox/timeline", ANY))


def test_the_timeline_tells_the_whole_story() -> None:
    text = story(Scenario(invalidate="all"))
    for sentence in (
        "Token #1 was issued to application 1 (client_credentials).",
        "Token #1 of application 1 died: #2 took its place.",
        "Token #1 of application 1 was refused: #2 had taken its place.",
        "A token that was never issued here was refused.",
        "ivan authorized application 1.",
        "Token #3 of ivan in application 1 is used up: it was refreshed into #4.",
        (
            "A request (refresh_token) by application 1 was refused with 401: "
            "the refresh token of #3 is spent: it was refreshed into #4."
        ),
        "Token #4 of ivan in application 1 was revoked.",
        (
            "A request (client_credentials) by application 1 was refused with 401: the secret is not that of "
            "application 1."
        ),
        (
            "A request (authorize) by application 999 was refused with 401: there is no application 999 here; "
            "those that there are: 1, "
        ),
        "A request (client_credentials) got the scripted answer 503.",
        "The answer to a request (client_credentials) was lost: the server had processed it.",
        "ivan signed in.",
        "ivan turned application 1 down.",
    ):
        assert sentence in text


def test_the_timeline_tells_it_in_russian_too() -> None:
    s = Scenario(invalidate="all")
    story(s)
    text = text_of(s.send("GET", "/sandbox/timeline", RUSSIAN))
    assert "Токен #1 приложения 1 погас: его заменил #2." in text
    assert not re.search(r"\b(Token|refused by|was)\b(?! has been revoked)", text)


def test_no_secret_is_on_the_page() -> None:
    s = Scenario(invalidate="all")
    story(s)
    page = s.send("GET", "/", ANY).content.decode()
    secrets = [s.first.client_secret, "def50200", *(token.access_token for token in s.fake.issued)]
    assert not [secret for secret in secrets if secret in page]


def test_a_token_that_expires_changes_the_picture() -> None:
    s = Scenario(token_ttl=60)
    s.app_pair()
    before = s.send("GET", "/sandbox/timeline", ANY)
    assert 'class="bar live"' in before.content.decode()
    seen = f"/sandbox/timeline?seen={before.headers['x-version']}"
    assert s.send("GET", seen, ANY).status == 204
    s.fake.advance(60)
    after = s.send("GET", seen, ANY)
    assert after.status == 200
    assert 'class="bar expired"' in after.content.decode()


def test_a_long_story_is_cut_and_still_drawn() -> None:
    s = Scenario(invalidate="all")
    pair = s.pair("steam-guest")
    s.pair("steam-guest")
    for _ in range(80):
        s.app_pair()
    s.user(pair.access_token)
    page = s.send("GET", "/sandbox/timeline", ANY).content.decode()
    assert len(re.findall("<li[^>]*><time", page)) == 60
    assert 'class="bar superseded" x="2"' in page


def test_looking_leaves_no_trace() -> None:
    s = Scenario()
    for path in ("/", "/sandbox/timeline", "/sandbox/settings", "/sandbox/live.js", "/favicon.ico"):
        s.send("GET", path, ANY)
    assert (s.fake.requests, s.fake.events) == ([], [])


@pytest.mark.parametrize(
    ("name", "kind"), [("sandbox.css", "text/css"), ("live.js", "text/javascript"), ("icon.svg", "image/svg+xml")]
)
def test_the_pages_files_are_served(name: str, kind: str) -> None:
    answer = Scenario().send("GET", f"/sandbox/{name}", ANY)
    assert (answer.status, answer.headers["content-type"].partition(";")[0]) == (200, kind)
    assert b"http://" not in answer.content.replace(b"http://www.w3.org/2000/svg", b"")


def test_other_files_are_not() -> None:
    answer = Scenario().send("GET", "/sandbox/../server.py", JSON)
    assert answer.status == 404
    assert "could not be found" in json.loads(answer.content)["message"]
