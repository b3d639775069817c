"""A browser without a window: opens the address it is given, signs in, approves, and ends on the last page.

Also a program, for ``BROWSER``: ``python robot.py ADDRESS`` does that, as a user's browser would. The address may be a
file's, of a page that leads on.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import httpx

__all__ = ["browse", "led_to"]


class _Forms(HTMLParser):
    """The forms of a page: where each goes, and what it sends if its first button is pressed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append((given.get("action", ""), {}))
        elif self.forms and "name" in given and tag in ("input", "button"):
            self.forms[-1][1].setdefault(given["name"], given.get("value", ""))


class _Refresh(HTMLParser):
    """Where a page goes on to by itself."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.target = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "meta" and given.get("http-equiv") == "refresh":
            self.target = given["content"].partition("url=")[2]


def led_to(address: str) -> str:
    """Where a browser ends up that opens `address`: the page of a file goes on by itself."""
    parts = urlsplit(address)
    if parts.scheme != "file":
        return address
    return _Refresh(Path(url2pathname(parts.path)).read_text(encoding="utf-8")).target


def browse(http: httpx.Client, address: str, *, login: str = "ivan", approve: bool = True) -> httpx.Response:
    """The last page on the way from `address`; forms of the sandbox are sent off as `login`."""
    page = http.get(address, follow_redirects=True)
    while (sent := _form_to_send(page, login, approve)) is not None:
        action, fields = sent
        page = http.post(page.url.join(action), data=fields, follow_redirects=True)
    return page


def _form_to_send(page: httpx.Response, login: str, approve: bool) -> tuple[str, dict[str, Any]] | None:
    forms = _Forms(page.text).forms if "/oauth/" in page.url.path or page.url.path == "/login" else []
    for action, fields in forms:
        if "login" in fields:
            return action, {**fields, "login": login}
        if "auth_token" in fields and ("_method" not in fields) == approve:
            return action, fields
    return None


if __name__ == "__main__":
    with httpx.Client(trust_env=False) as http:
        browse(http, led_to(sys.argv[1])).raise_for_status()
