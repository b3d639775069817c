"""What the programs have to know of their client."""

from attrs import frozen

from ..protocol.exchange import OAuthProtocol
from ..stores.base import StoreKey

__all__ = ["Config"]


@frozen
class Config:
    """`lease` is how long a holder may be dead, and `patience` how long one may be silent, before others take over.

    Both in seconds. A client that does not issue only reads.
    """

    protocol: OAuthProtocol
    lease: float
    patience: float
    max_retries: int
    issues: bool

    def key(self, account: str | None = None) -> StoreKey:
        """Where a token of this application is stored."""
        return StoreKey(self.protocol.base_url, self.protocol.client_id, account)
