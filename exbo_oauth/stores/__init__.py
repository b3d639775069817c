"""Token stores."""

from .base import Entry, StoreKey, TokenStore

__all__ = ["Entry", "StoreKey", "TokenStore"]
