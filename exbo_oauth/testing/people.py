"""Who there is: the applications and the users, to be added, looked at, and taken away."""

from collections.abc import Iterable
from threading import Lock
from uuid import UUID

from .beginning import REDIRECT_URIS, with_redirect_uris
from .issuing import Issuer
from .knobs import login as checked_login
from .knobs import number, texts, title
from .state import App, Registry, User, new_secret

__all__ = ["People"]


class People:
    """These methods of `FakeExbo`, which makes what they need; `app` is the default application."""

    app: App
    _lock: Lock
    _issuer: Issuer

    @property
    def _registry(self) -> Registry:
        return self._issuer.registry

    def add_app(
        self,
        name: str = "Application",
        *,
        client_id: int | str | None = None,
        client_secret: str | None = None,
        redirect_uris: Iterable[str] = REDIRECT_URIS,
        public: bool = False,
        first_party: bool = False,
    ) -> App:
        """Register an application, with the next client id and a random secret unless given.

        `public` ones have no secret and must use PKCE; `first_party` ones need no consent.
        """
        with self._lock:
            registry = self._registry
            app = App(
                client_id=str(registry.next_client_id if client_id is None else client_id),
                client_secret="" if public else client_secret or new_secret(),
                redirect_uris=texts("redirect_uris", redirect_uris),
                name=title("name", name),
                first_party=first_party,
            )
            return registry.add_app(app)

    def add_user(
        self,
        login: str,
        *,
        id: int | None = None,  # noqa: A002  # the server's own name for it
        uuid: UUID | str | None = None,
        display_login: str | None = None,
        distributor: str = "exbo",
        distributor_id: str | None = None,
    ) -> User:
        """Make a user, with the next id and a UUID made of it unless given."""
        with self._lock:
            return self._registry.new_user(
                checked_login(login),
                None if id is None else number("id", id, 1),
                uuid,
                display_login=display_login,
                distributor=distributor,
                distributor_id=distributor_id,
            )

    def add_redirect_uri(self, redirect_uri: str, *, app: App | str | int | None = None) -> App:
        """Register one more redirect URI for `app` (the default one); the changed application."""
        with self._lock:
            registry = self._registry
            changed = registry.change_app(
                with_redirect_uris(self.app if app is None else registry.app(app), [redirect_uri])
            )
            if changed.client_id == self.app.client_id:
                self.app = changed
            return changed

    @property
    def apps(self) -> list[App]:
        """The registered applications, as they are now."""
        with self._lock:
            return list(self._registry.apps.values())

    @property
    def users(self) -> list[User]:
        """The users, as they are now."""
        with self._lock:
            return list(self._registry.users.values())

    def remove_user(self, user: User | str | int) -> None:
        """Delete an account. Its refresh tokens still refresh; nothing they give opens anything (cases E10, E11)."""
        with self._lock:
            self._registry.remove_user(self._registry.user(user))

    def revoke_app(self, app: App | str | int | None = None) -> None:
        """Withdraw an application (the default one): its grants are refused, its app tokens live on (E12 to E17)."""
        with self._lock:
            self._registry.revoke_app(self.app if app is None else self._registry.app(app))
