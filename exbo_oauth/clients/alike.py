"""What an HTTP client of httpx2 has in common with one of httpx, for type checkers.

Named by its own class, it would be Unknown where httpx2 is not installed, and anything would do for an `http_client`.
"""

from typing import Any, Protocol

__all__ = ["AsyncClientAlike", "ClientAlike"]


class _Alike(Protocol):
    """Both colours of it."""

    @property
    def is_closed(self) -> bool: ...
    @property
    def trust_env(self) -> bool: ...
    def build_request(self, method: str, url: str) -> Any: ...


class ClientAlike(_Alike, Protocol):
    """An ``httpx2.Client``."""

    def send(self, request: Any) -> Any: ...
    def close(self) -> None: ...


class AsyncClientAlike(_Alike, Protocol):
    """An ``httpx2.AsyncClient``."""

    async def send(self, request: Any) -> Any: ...
    async def aclose(self) -> None: ...
