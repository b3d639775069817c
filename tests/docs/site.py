"""Looks over the built site as its readers get it: ``python tests/docs/site.py build/site``.

Links and anchors lead somewhere; in Chromium, on a phone and on a desk, in the light and in the dark, axe-core finds
nothing to complain of (contrast, order of headings, names of links and pictures), and no page is wider than the screen.
The switch between the languages leads to the same place of the page, and a search finds something in both.
With ``EXBO_PHOTOS`` naming a directory, each page is photographed.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urldefrag

from attrs import define, field

LOOKS = {f"{width}-{scheme}": (width, scheme) for width in (375, 1280) for scheme in ("light", "dark")}
# Of what the theme writes and we do not: its captions have no level, its search no title, its panels no landmark.
LEFT_ALONE = ["aria-required-attr", "landmark-unique", "page-has-heading-one", "region", "scrollable-region-focusable"]
# Contrast takes most of the time, and depends on the width of a page hardly at all: each scheme has it once.
CONTRAST = ("375-light", "1280-dark")
SAME_PLACES = [
    ("en/stores.html#encryption", "ru/stores.html#encryption"),
    ("en/tokens.html", "ru/tokens.html"),
    ("en/errors.html#exbo-oauth-invalid-grant-dead-code", "ru/errors.html#exbo-oauth-invalid-grant-dead-code"),
    ("en/reference.html#exbo_oauth.SyncOAuthClient", "ru/reference.html#exbo_oauth.SyncOAuthClient"),
]
SEARCHES = {"en": "superseded", "ru": "песочница"}
WIDER = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@define
class Page(HTMLParser):
    """What a page links to, and what of it can be linked to."""

    path: Path
    links: list[str] = field(factory=list)
    anchors: set[str] = field(factory=set)

    def __attrs_post_init__(self) -> None:
        super().__init__()
        self.feed(self.path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors.add(given.get("id") or "")
        self.links += [link for name in ("href", "src") if (link := given.get(name))]


def dead_links(site: Path) -> Iterator[str]:
    """Links within the site to a page, a file or an anchor that is not there."""
    pages = {path: Page(path) for path in sorted(site.rglob("*.html")) if "_static" not in path.parts}
    for path, page in pages.items():
        for link in page.links:
            if "://" in link or link.startswith(("mailto:", "data:", "#!")):
                continue
            target, anchor = urldefrag(link)
            there = (path.parent / unquote(target.partition("?")[0])).resolve() if target else path
            if not there.exists():
                yield f"{path.relative_to(site)}: {link} is not there"
            elif anchor and there in pages and unquote(anchor) not in pages[there].anchors:
                yield f"{path.relative_to(site)}: {link} has no such anchor"


def complaints(site: Path) -> Iterator[str]:
    """What axe-core says, and what is wider than the screen."""
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    axe = Axe()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("needs a Chromium: apt-get install chromium")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for look, (width, scheme) in LOOKS.items():
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
            tab = context.new_page()
            left_alone = LEFT_ALONE if look in CONTRAST else [*LEFT_ALONE, "color-contrast"]
            options = {"resultTypes": ["violations"], "rules": {name: {"enabled": False} for name in left_alone}}
            for path in sorted(site.glob("*/*.html")):
                tab.goto(path.as_uri())
                where = f"{path.relative_to(site)} ({look})"
                if tab.evaluate(WIDER):
                    yield f"{where}: wider than the screen"
                yield from (f"{where}: {told}" for told in found(axe.run(tab, options=options).response))
                photograph(tab, f"{path.parent.name}-{path.stem}-{look}")
            context.close()
        yield from lost_places(browser.new_page(viewport={"width": 1280, "height": 900}), site)
        yield from vain_searches(browser.new_page(), site)
        browser.close()


def lost_places(tab: Any, site: Path) -> Iterator[str]:
    """Places of a page that the switch between the languages does not lead to: a heading, an error, a name."""
    for here, there in SAME_PLACES:
        for address, target in ((here, there), (there, here)):
            tab.goto(f"{site.as_uri()}/{address}")
            tab.click(".sidebar-drawer nav.languages a")
            tab.wait_for_load_state()
            if unquote(tab.url) != f"{site.as_uri()}/{target}":
                yield f"{address}: the other language opens at {unquote(tab.url)}, not {target}"


class Quiet(SimpleHTTPRequestHandler):
    """Serves the site and tells of no request."""

    def log_message(self, *arguments: Any) -> None:
        """Nothing."""


def vain_searches(tab: Any, site: Path) -> Iterator[str]:
    """Languages in which a search finds no page, or does not say that it is over."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        for language, word in SEARCHES.items():
            tab.goto(f"http://127.0.0.1:{server.server_port}/{language}/search.html?q={word}")
            try:
                tab.wait_for_function("/[1-9]/.test(document.querySelector('.search-summary')?.innerText)")
            except Exception:  # noqa: BLE001  # playwright's own TimeoutError
                yield f"{language}: a search for {word} comes to {tab.inner_text('#search-results')!r}"
        server.shutdown()


def found(answer: dict[str, Any]) -> Iterator[str]:
    """What axe-core has found, each with the first place."""
    for violation in answer["violations"]:
        nodes = violation["nodes"]
        yield f"{violation['id']}, {len(nodes)} times: {nodes[0]['html'][:160]} {nodes[0].get('failureSummary', '')}"


def photograph(tab: Any, name: str) -> None:
    folder = os.environ.get("EXBO_PHOTOS")
    if folder:
        tab.screenshot(path=str(Path(folder) / f"{name}.png"))


if __name__ == "__main__":
    site = Path(sys.argv[1]).resolve()
    failed = False
    for text in chain(dead_links(site), complaints(site)):
        print(text, flush=True)  # now: the whole takes minutes, and somebody may not wait for its end
        failed = True
    sys.exit(1 if failed else 0)
