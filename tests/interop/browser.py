"""A person at a browser: opens a page, fills in a form, presses a button by its label. Runs no script."""

from html.parser import HTMLParser
from types import TracebackType
from typing import Self
from urllib.parse import urljoin

import httpx
from attrs import define, field


@define
class Form:
    """A form of a page: where it goes, what it holds, and what its buttons say."""

    action: str
    fields: dict[str, str] = field(factory=dict)
    buttons: dict[str, tuple[str, str]] = field(factory=dict)  # label: what pressing it adds


class _Forms(HTMLParser):
    """Collects the forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._button: dict[str, str] | None = None
        self._label = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("action", "")))
        elif tag == "button":
            self._button, self._label = given, ""
        elif tag == "input" and given.get("type") == "submit":
            self.forms[-1].buttons[given["value"]] = (given.get("name", ""), given["value"])
        elif tag == "input" and "name" in given:
            self.forms[-1].fields[given["name"]] = given.get("value", "")

    def handle_data(self, data: str) -> None:
        self._label += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "button" and self._button is not None:
            pressed = (self._button.get("name", ""), self._button.get("value", ""))
            self.forms[-1].buttons[self._label.strip()] = pressed
            self._button = None


class Browser:
    """One window with one cookie jar. It follows redirects until one leaves the site."""

    def __init__(self, site: str) -> None:
        self._client = httpx.Client(headers={"accept": "text/html", "accept-language": "en"}, trust_env=False)
        self._site = httpx.URL(site)
        self._page: httpx.Response
        self._forms: list[Form] = []
        self.left_for: str | None = None

    def open(self, url: str) -> None:
        self._show(self._client.get(url))

    def shows(self, label: str) -> bool:
        """Whether the page has a button that says so."""
        return any(label in form.buttons for form in self._forms)

    def press(self, label: str, **typed: str) -> None:
        """Fill in what was `typed`, then press the button; a form without it is passed over."""
        form = next(form for form in self._forms if label in form.buttons and typed.keys() <= form.fields.keys())
        name, value = form.buttons[label]
        data = form.fields | typed | ({name: value} if name else {})
        origin = str(self._site.copy_with(path="/")).rstrip("/")
        action = urljoin(str(self._page.url), form.action)
        self._show(self._client.post(action, data=data, headers={"origin": origin, "referer": str(self._page.url)}))

    def _show(self, page: httpx.Response) -> None:
        while page.is_redirect:
            target = urljoin(str(page.url), page.headers["location"])
            if httpx.URL(target).netloc != self._site.netloc:
                self.left_for = target
                return
            page = self._client.get(target)
        assert page.status_code == 200, (page.status_code, page.text)
        self._page = page
        parser = _Forms()
        parser.feed(page.text)
        self._forms = parser.forms

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()
