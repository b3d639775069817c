"""The pages a person sees."""

from collections.abc import Iterable, Mapping
from html import escape

from attrs import frozen

from ..protocol.messages import Request
from .state import App, User

__all__ = ["Page", "consent_page", "language_of", "login_page"]


@frozen
class Page:
    """A page and the headers that belong to it."""

    html: str
    headers: Mapping[str, str]


def language_of(request: Request) -> str:
    """``ru`` if the browser prefers it to English, else ``en``."""
    return "ru" if request.header("accept-language").lower().startswith("ru") else "en"


def _page(title: str, body: str) -> Page:
    return Page(f'<!DOCTYPE html><html lang="en"><head><title>{title}</title></head><body>{body}</body></html>', {})


def login_page(users: Iterable[User], *, csrf: str, language: str, unknown: str | None = None) -> Page:
    buttons = "".join(
        f'<button name="login" value="{escape(user.login)}">{escape(user.login)}</button>' for user in users
    )
    return _page(
        "Sign in", f'<form method="post"><input type="hidden" name="_token" value="{escape(csrf)}">{buttons}</form>'
    )


def consent_page(app: App, user: User, scopes: Iterable[str], *, csrf: str, auth_token: str, language: str) -> Page:
    hidden = f'<input type="hidden" name="_token" value="{escape(csrf)}"><input type="hidden" name="auth_token" value="{escape(auth_token)}">'
    deny = '<input type="hidden" name="_method" value="DELETE">'
    return _page(
        "Authorize",
        f'<form method="post" action="/oauth/authorize">{hidden}<button>Authorize</button></form>'
        f'<form method="post" action="/oauth/authorize">{hidden}{deny}<button>Cancel</button></form>',
    )
