"""The pages in a real Chromium: a person signs in, consents, and watches the timeline.

Needs the package playwright and a Chromium on the PATH; skipped without them. Photographs go to the directory in
``EXBO_PHOTOS`` if it is set.
"""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from exbo_oauth import InvalidGrantError, SyncOAuthClient, UnauthenticatedError
from exbo_oauth.testing import FakeExbo

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium")

LOOKS = [pytest.param(("light", "en-GB"), id="light-english"), pytest.param(("dark", "ru-RU"), id="dark-russian")]


@contextmanager
def listening(leads_to: str = "") -> Iterator[str]:
    """The origin of a site that shows "done" whatever is asked for, or sends the browser on to an address."""

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(303 if leads_to else 200)
            self.send_header("location", leads_to)
            self.send_header("content-length", "4")
            self.end_headers()
            self.wfile.write(b"done")

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def callback() -> Iterator[str]:
    """The application's own redirect URI, with somebody listening."""
    with listening() as origin:
        yield f"{origin}/callback"


@pytest.fixture
def site_with_a_front_end() -> Iterator[tuple[str, str]]:
    """A redirect URI whose callback leads to another origin, and where it leads."""
    with listening() as front_end, listening(leads_to=f"{front_end}/chat") as origin:
        yield f"{origin}/callback", f"{front_end}/chat"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=LOOKS)
def page(request: pytest.FixtureRequest, chromium: Any) -> Iterator[Any]:
    scheme, locale = request.param
    look = {"color_scheme": scheme, "locale": locale, "timezone_id": "Asia/Kathmandu"}  # 5:45 ahead of UTC
    context = chromium.new_context(**look, viewport={"width": 800, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    # A refused login and a sandbox that is gone are failed loads; policy violations and script errors are not.
    assert [text for text in complaints if not text.startswith("Failed to load resource")] == []


def photograph(page: Any, name: str) -> None:
    folder = os.environ.get("EXBO_PHOTOS")
    if folder:
        scheme = "dark" if page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") else "light"
        page.screenshot(path=str(Path(folder) / f"{name}-{scheme}.png"), full_page=True)


def live_url(base_url: str) -> str:
    return base_url.removesuffix("oauth")


def test_a_person_signs_in_consents_and_comes_back(page: Any, callback: str) -> None:
    fake = FakeExbo(scopes=("read",))
    with (
        fake.serve() as base_url,
        SyncOAuthClient(
            client_id=1, client_secret=fake.app.client_secret, base_url=base_url, redirect_uri=callback
        ) as client,
    ):
        attempt = client.begin_login(scope="read")
        page.goto(attempt.url)
        page.locator("#login").fill("nobody")
        page.locator("#login").press("Enter")
        page.locator("#error").wait_for()
        photograph(page, "sign-in")
        page.locator("#login").press("Enter")  # now that makes the user
        page.locator("button.main:not([name])").wait_for()
        assert fake.users[-1].login == "nobody"
        page.locator("a[href='/login']").click()
        page.locator("button[value=steam-guest]").click()
        page.locator("button.main").wait_for()
        photograph(page, "consent")
        page.locator("button.main").click()
        page.wait_for_url(f"{callback}*")
        token = client.finish_login(attempt, page.url)
        assert client.validate_user_token(token).name == "Guest"
        page.goto(client.begin_login(scope="read").url)  # a live token for the same scopes: no second consent
        page.wait_for_url(f"{callback}*")


def test_a_person_says_no(page: Any, callback: str) -> None:
    fake = FakeExbo()
    with (
        fake.serve() as base_url,
        SyncOAuthClient(
            client_id=1, client_secret=fake.app.client_secret, base_url=base_url, redirect_uri=callback
        ) as client,
    ):
        page.goto(client.begin_login().url)
        page.locator("button[value=ivan]").click()
        page.locator("form:has([name=_method]) button").click()
        page.wait_for_url(f"{callback}*")
        assert "error=access_denied" in page.url


def test_the_callback_may_lead_on_to_another_origin(page: Any, site_with_a_front_end: tuple[str, str]) -> None:
    fake = FakeExbo()
    redirect_uri, front_end = site_with_a_front_end
    app = fake.add_app(redirect_uris=(redirect_uri,))
    query = urlencode({"response_type": "code", "client_id": app.client_id, "redirect_uri": redirect_uri})
    with fake.serve() as base_url:
        page.goto(f"{base_url}/authorize?{query}")
        page.locator("button[value=ivan]").click()
        page.locator("form:has([name=_method]) button").click()  # turned down
        page.wait_for_url(front_end)
        page.goto(f"{base_url}/authorize?{query}")
        page.locator("button.main").click()
        page.wait_for_url(front_end)
        fake.supersede(app=app, user="ivan")  # a live token: whoever signs in now is asked for no consent
        page.goto(f"{base_url}/authorize?{query}&prompt=login")
        page.locator("button[value=ivan]").click()
        page.wait_for_url(front_end)


def test_the_sign_in_page_works_by_keyboard_alone(page: Any, callback: str) -> None:
    fake = FakeExbo()
    fake.add_app(client_id=7, redirect_uris=(callback,))
    with fake.serve() as base_url:
        page.goto(f"{base_url}/authorize?response_type=code&client_id=7&state=x")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.locator("button.main").wait_for()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url(f"{callback}?code=*")


# Playwright's own waiting does not wait for what a promise comes to.
UNTIL_COPIED = """async () => {
    let text = "";
    while (!text.includes("EXBO_CLIENT_SECRET")) text = await navigator.clipboard.readText();
    return text;
}"""


def test_the_settings_can_be_copied_and_the_secret_is_behind_a_click(page: Any) -> None:
    fake = FakeExbo()
    fake.add_app("Another")
    with fake.serve() as base_url:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.goto(live_url(base_url))
        assert fake.app.client_secret not in page.content()
        photograph(page, "front")
        page.locator("[data-copy]").first.click()
        copied = page.evaluate(UNTIL_COPIED)
        assert f"EXBO_OAUTH_URL={base_url}" in copied.replace("'", "")
        assert fake.app.client_secret in copied
        assert fake.app.client_secret not in page.content()
        page.locator("[data-show]").first.press("Enter")
        page.get_by_text(fake.app.client_secret).wait_for()
        assert page.evaluate("document.activeElement.tagName") == "PRE"  # and not lost with the button
        page.locator("summary").click()
        assert fake.apps[1].client_secret not in page.content()


def test_the_settings_are_saved_under_the_name_that_is_promised(page: Any) -> None:
    fake = FakeExbo()
    with fake.serve() as base_url:
        page.goto(base_url.removesuffix("/oauth"))
        link = page.locator("[download]")
        with page.expect_download() as download:
            link.click()
        assert link.inner_text().endswith(download.value.suggested_filename)
        assert fake.app.client_secret in Path(download.value.path()).read_text("utf-8")


def test_the_secret_is_shown_where_there_is_no_clipboard(page: Any) -> None:
    fake = FakeExbo()
    with fake.serve() as base_url:
        page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
        page.goto(live_url(base_url))
        page.locator("[data-copy]").click()
        page.get_by_text(fake.app.client_secret).wait_for()
        assert fake.app.client_secret in page.evaluate("getSelection().toString()")


def test_a_page_without_scripts_leads_to_the_settings(chromium: Any) -> None:
    fake = FakeExbo()
    context = chromium.new_context(java_script_enabled=False)
    with fake.serve() as base_url:
        page = context.new_page()
        page.goto(live_url(base_url))
        assert page.locator("[data-copy]").is_hidden()
        page.locator("[data-show]").click()
        assert fake.app.client_secret in page.content()
    context.close()


@pytest.mark.parametrize("width", [375, 1280])
def test_no_page_is_wider_than_its_window(chromium: Any, callback: str, width: int) -> None:
    fake = FakeExbo()
    app = fake.add_app("A " + "very" * 20 + " long name", redirect_uris=(callback, "https://site.example/" + "x" * 200))
    fake.add_user("l" * 64)
    query = urlencode({"response_type": "code", "client_id": app.client_id, "redirect_uri": callback})
    page = chromium.new_page(viewport={"width": width, "height": 800})
    with fake.serve() as base_url:
        page.goto(f"{base_url}/authorize?{query}{'x' * 300}")  # a redirect URI that is not registered
        page.goto(f"{base_url}/authorize?{query}")
        for step in ("button[value=ivan]", "form:has([name=_method]) button"):
            # A page begins before it is told how wide its window is. What stays too wide ends this after half a minute.
            page.wait_for_function(f"innerWidth === {width} && document.documentElement.scrollWidth <= {width}")
            page.locator(step).click()
        page.wait_for_url(f"{callback}*")
        page.goto(live_url(base_url))
        page.locator("summary").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_the_timeline_follows_what_happens(page: Any) -> None:
    fake = FakeExbo()
    with (
        fake.serve() as base_url,
        SyncOAuthClient(client_id=1, client_secret=fake.app.client_secret, base_url=base_url) as client,
    ):
        page.goto(live_url(base_url))
        assert page.locator(".events li").count() == 0
        first = client.get_app_token()
        page.locator("rect.live").first.wait_for()
        client.get_app_token()
        page.locator(".chart rect.superseded").wait_for()
        there = fake.issued[0].issued_at + timedelta(hours=5, minutes=45)
        assert page.locator(".events time").last.inner_text() == f"{there:%H:%M:%S}"
        attempt = client.begin_login()
        token = client.finish_login(attempt, fake.authorize(attempt.url))
        client.refresh_user_token(token)
        for refused in (first.access_token, token):
            with pytest.raises(UnauthenticatedError):
                client.validate_user_token(refused)
        with pytest.raises(InvalidGrantError):
            client.refresh_user_token(token)
        page.locator(".chart .mark").nth(2).wait_for()
        assert page.locator(".chart rect.refreshed").count() == 1
        assert fake.app.client_secret not in page.content()
        photograph(page, "live")


def test_the_page_says_when_the_sandbox_is_gone(page: Any) -> None:
    with FakeExbo().serve() as base_url:
        page.goto(live_url(base_url))
        assert page.locator("#paused").is_hidden()
    page.locator("#paused").wait_for(state="visible")
