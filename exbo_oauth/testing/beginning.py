"""Who is there when a server begins: its default application, and two users."""

from collections.abc import Iterable

from attrs import evolve

from .state import App, Registry, new_secret

__all__ = ["REDIRECT_URIS", "begin", "with_redirect_uris"]

REDIRECT_URIS = (
    "http://localhost",
    "http://localhost:9999/callback",
    "http://127.0.0.1:9999/callback",
    "http://127.0.0.1",
)


def begin(registry: Registry, app: App | None) -> App:
    """Fill an empty registry, or add to one that was kept; the default application, `app` if there is a choice."""
    if not registry.apps:
        registry.new_user("ivan")
        registry.new_user("steam-guest", display_login="Guest", distributor="steam", distributor_id="76561190000000000")
        return registry.add_app(app or _default_app())
    if app is None:
        return next(iter(registry.apps.values()))
    known = registry.apps.get(app.client_id)
    return registry.add_app(app) if known is None else registry.change_app(with_redirect_uris(app, known.redirect_uris))


def _default_app() -> App:
    return App(client_id="1", client_secret=new_secret(), redirect_uris=REDIRECT_URIS, name="Sandbox application")


def with_redirect_uris(app: App, redirect_uris: Iterable[str]) -> App:
    """The application with these registered, too."""
    return evolve(app, redirect_uris=tuple(dict.fromkeys((*app.redirect_uris, *redirect_uris))))
