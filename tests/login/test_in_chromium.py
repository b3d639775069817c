"""A person at a real Chromium signs in at the sandbox, or does not, and ends on our page."""

from collections.abc import Iterator
from typing import Any

import pytest

from exbo_oauth import AccessDeniedError, CallbackError, InvalidGrantError, MemoryTokenStore
from exbo_oauth.testing import FakeExbo

from ..free_ports import free_port
from .chromium import chromium, photograph
from .conftest import Program, is_free

LOOKS = [
    pytest.param(("light", "en-GB"), id="light-en"),
    pytest.param(("dark", "en-GB"), id="dark-en"),
    pytest.param(("light", "ru-RU"), id="light-ru"),
    pytest.param(("dark", "ru-RU"), id="dark-ru"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


class Tab:
    """A browser's tab that writes down what Chromium complains about, and what it loads."""

    def __init__(self, page: Any, look: tuple[str, str]) -> None:
        self.page = page
        self.look = look
        self.complaints: list[str] = []
        self.loaded: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.loaded.append(request.url))

    @property
    def is_russian(self) -> bool:
        return self.look[1].startswith("ru")

    def decide(self, address: str, *, approve: bool) -> None:
        self.page.goto(address)
        self.page.locator("button[value=ivan]").click()
        self.page.locator("button.main" if approve else "form:has([name=_method]) button").click()

    def ends_on(self, english: str, russian: str, name: str) -> None:
        """The last page is here: complete, accessible, and with nothing from elsewhere."""
        title = russian if self.is_russian else english
        self.page.get_by_role("heading", name=title, exact=True).wait_for()
        photograph(self.page, f"login-{name}-{'-'.join(self.look)}")
        assert self.page.title() == title
        assert self.page.locator("html").get_attribute("lang") == ("ru" if self.is_russian else "en")
        assert self.page.evaluate("performance.getEntriesByType('resource').length") == 0
        assert self.page.evaluate("getComputedStyle(document.querySelector('main')).borderRadius") != "0px"  # our style


@pytest.fixture(params=LOOKS)
def tab(request: pytest.FixtureRequest, browser: Any) -> Iterator[Tab]:
    scheme, locale = request.param
    context = browser.new_context(color_scheme=scheme, locale=locale, viewport={"width": 900, "height": 640})
    tab = Tab(context.new_page(), request.param)
    yield tab
    context.close()
    # Our refusals are failed loads; violated policies and scripts that fail are not.
    assert [text for text in tab.complaints if not text.startswith("Failed to load resource")] == []


@pytest.fixture
def served_program(fake: FakeExbo, capsys: pytest.CaptureFixture[str]) -> Iterator[Program]:
    """A program whose server is the sandbox on a socket of its own."""
    port, store = free_port(), MemoryTokenStore()
    app = fake.add_app("STALCRAFT auction watcher", redirect_uris=(f"http://localhost:{port}/callback",))

    class Storing(Program):
        def options(self) -> dict[str, Any]:
            return {**super().options(), "store": store}

    with fake.serve():
        program = Storing("sync", fake, app, port, lambda: capsys.readouterr().err)
        yield program
        program.join()
    assert is_free(port)
    accounts = [key.account for key in store.keys()]  # noqa: SIM118  # a store is not a dict
    assert accounts == (["ivan"] if program.result.exception() is None else [])


def test_a_person_signs_in(tab: Tab, served_program: Program) -> None:
    served_program.start()
    tab.decide(served_program.url, approve=True)
    tab.ends_on("You are signed in", "Вход выполнен", "done")
    served_program.token()
    assert tab.page.url == served_program.redirect_uri  # nothing of the code is left in the address bar,
    history = tab.page.context.new_cdp_session(tab.page).send("Page.getNavigationHistory")
    assert not any("code=" in entry["url"] for entry in history["entries"])  # nor in the history
    assert not any(address.endswith("favicon.ico") for address in tab.loaded)


def test_a_person_says_no(tab: Tab, served_program: Program) -> None:
    served_program.start()
    tab.decide(served_program.url, approve=False)
    tab.ends_on("Access was not granted", "Доступ не предоставлен", "denied")
    assert isinstance(served_program.error(), AccessDeniedError)
    assert tab.page.url == served_program.redirect_uri


def test_the_code_is_dead(tab: Tab, served_program: Program) -> None:
    with served_program.fake.hold(times=1) as gate:
        served_program.start()
        served_program.fake.fail_next(400, path="/oauth/token")
        gate.release()
        tab.decide(served_program.url, approve=True)
    tab.ends_on("The sign-in did not work", "Войти не удалось", "failed")
    assert served_program.error() is not None
    assert not isinstance(served_program.error(), CallbackError | InvalidGrantError)


@pytest.mark.parametrize(
    ("query", "english", "russian", "name"),
    [
        pytest.param(
            "?code=def50200&state=other",
            "The program waits for another sign-in",
            "Программа ждёт другой вход",
            "strange",
            id="strange",
        ),
        pytest.param(
            "?error=invalid_scope",
            "EXBO reported a problem",
            "EXBO сообщает об ошибке",
            "reported",
            id="reported",
        ),
    ],
)
def test_a_callback_that_is_not_ours(
    tab: Tab, served_program: Program, query: str, english: str, russian: str, name: str
) -> None:
    served_program.start()
    assert served_program.url
    tab.page.goto(served_program.redirect_uri + query)
    tab.ends_on(english, russian, name)
    assert served_program.is_waiting()
    tab.decide(served_program.url, approve=True)
    tab.ends_on("You are signed in", "Вход выполнен", "done-after-all")
    served_program.token()


def test_the_pages_fit_a_telephone(browser: Any, served_program: Program) -> None:
    served_program.start()
    assert served_program.url
    look = ("dark", "ru-RU")
    context = browser.new_context(color_scheme=look[0], locale=look[1], viewport={"width": 320, "height": 568})
    tab = Tab(context.new_page(), look)
    tab.page.goto(f"{served_program.redirect_uri}?error=invalid_scope")
    tab.ends_on("", "EXBO сообщает об ошибке", "telephone")
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 320
    context.close()
    served_program.browse(served_program.callback())
    served_program.token()


def test_every_text_stands_out_from_its_ground(browser: Any, served_program: Program) -> None:
    """WCAG 2.2, 1.4.3: a contrast of 4.5 to 1 at least, in light and in dark."""
    served_program.start()
    assert served_program.url
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        page = context.new_page()
        page.goto(f"{served_program.redirect_uri}?error=invalid_scope")
        for selector in ("h1", "main > p:not(.detail)", ".detail"):
            assert contrast(page.evaluate(COLOURS, selector)) >= 4.5, (scheme, selector)
        context.close()
    served_program.browse(served_program.callback())
    served_program.token()


COLOURS = """selector => {
    let element = document.querySelector(selector);
    const ink = getComputedStyle(element).color;
    while (getComputedStyle(element).backgroundColor === "rgba(0, 0, 0, 0)") element = element.parentElement;
    return [ink, getComputedStyle(element).backgroundColor].map(text => text.match(/[0-9]+/g).slice(0, 3).map(Number));
}"""


def contrast(colours: list[list[int]]) -> float:
    """The contrast of two colours (WCAG 2.2, relative luminance)."""

    def linear(value: int) -> float:
        part = value / 255
        return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)

    def weighed(rgb: list[int]) -> float:
        return sum(weight * linear(value) for weight, value in zip((0.2126, 0.7152, 0.0722), rgb, strict=True))

    dark, light = sorted(map(weighed, colours))
    return (light + 0.05) / (dark + 0.05)
