"""A scripted browser: signs a user in on the sandbox's pages, as a person would, over the socket.

Written once for both colours of HTTP client: it yields what the client's methods return, a response or an awaitable
of one, and is given the response back (see `exbo_oauth.cli.colours`).
"""

from collections.abc import Generator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

from attrs import define, field

from ..language import tr

__all__ = ["Form", "LostBrowser", "forms_of", "sign_in"]

_MOST_PAGES = 8


class LostBrowser(Exception):
    """The pages lead nowhere."""


@define
class Form:
    """A form of a page: where it goes, its hidden fields, and the buttons that carry a value."""

    action: str
    fields: dict[str, str] = field(factory=dict)
    buttons: dict[str, list[str]] = field(factory=dict)


class _FormReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("action", "")))
        elif self.forms and tag == "input" and given.get("type") == "hidden":
            self.forms[-1].fields[given.get("name", "")] = given.get("value", "")
        elif self.forms and tag == "button" and given.get("name"):
            self.forms[-1].buttons.setdefault(given["name"], []).append(given.get("value", ""))


def forms_of(html: str) -> list[Form]:
    """The forms of a page, in their order."""
    reader = _FormReader()
    reader.feed(html)
    return reader.forms


def sign_in(http: Any, url: str, login: str, redirect_uri: str) -> Generator[Any, Any, str]:
    """Open an authorize URL, sign in as `login`, approve: the address that the browser is sent back to.

    Raises `LostBrowser` if that is not below `redirect_uri`.
    """
    response = yield http.get(url)
    for _ in range(_MOST_PAGES):
        here = str(response.url)
        if response.status_code in (302, 303):
            target: str = urljoin(here, response.headers["location"])
            if target.startswith(redirect_uri):
                return target
            response = yield http.get(target)
        else:
            form = _form_to_send(response, login)
            response = yield http.post(urljoin(here, form.action), data=form.fields)
    path = response.url.path
    raise LostBrowser(tr("after {count} pages the browser is at {path}", count=_MOST_PAGES, path=path))


def _form_to_send(response: Any, login: str) -> Form:
    """The sign-in form filled in, or the consent page's form that approves."""
    forms = forms_of(response.text) if response.status_code == 200 else []
    for form in forms:
        if login in form.buttons.get("login", ()):
            form.fields["login"] = login
            return form
    approving = [form for form in forms if "_method" not in form.fields and "auth_token" in form.fields]
    if not approving:
        path, status = response.url.path, response.status_code
        raise LostBrowser(tr("{path} answered {status} without a form to send", path=path, status=status))
    return approving[0]
