"""What the programs have to know of their client."""

from attrs import Factory, field, frozen

from ..protocol.exchange import OAuthProtocol
from ..stores.base import StoreKey

__all__ = ["Config"]


@frozen
class Config:
    """`lease` is how long a holder may be dead, and `patience` how long one may be silent, before others take over.

    Both in seconds. A client that does not issue only reads. `place`, with a space before it, is said of the
    store where nothing is in it.
    """

    protocol: OAuthProtocol
    lease: float
    patience: float
    max_retries: int
    issues: bool
    place: str = field(default="", eq=False)
    _app_key: StoreKey = field(
        init=False, eq=False, default=Factory(lambda self: _key_of(self.protocol, None), takes_self=True)
    )

    def key(self, account: str | None = None) -> StoreKey:
        """Where a token of this application is stored."""
        return self._app_key if account is None else _key_of(self.protocol, account)


def _key_of(protocol: OAuthProtocol, account: str | None) -> StoreKey:
    return StoreKey(protocol.base_url, protocol.client_id, account)
