"""The network beneath an asynchronous HTTP client of ours: the head of a request and its body leave together."""

# ruff: noqa: ASYNC109  # httpcore gives them limits

from collections.abc import Iterable
from contextlib import suppress
from ssl import SSLContext, SSLError, SSLWantReadError
from typing import Any

import httpcore

from .http import UNSENT
from .wire import is_ready

__all__ = ["AsyncNetwork"]


class AsyncNetwork(httpcore.AsyncNetworkBackend):
    """Opens connections as `inner` does."""

    def __init__(self, inner: httpcore.AsyncNetworkBackend) -> None:
        self._inner = inner

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Line(await self._inner.connect_tcp(host, port, timeout, local_address, socket_options))


class _Line(httpcore.AsyncNetworkStream):
    """A connection on which what is written waits until an answer is asked for: one packet, one turn of the loop."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self._socket = inner.get_extra_info("socket")
        self._written: list[bytes] = []

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._written.append(buffer)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._written:
            with suppress(httpcore.WriteError):  # whoever hangs up early may have answered before
                await self._leave(timeout)
        return await self._inner.read(max_bytes, timeout)

    async def _leave(self, timeout: float | None) -> None:
        written, self._written = b"".join(self._written), []
        await self._inner.write(written, timeout)

    async def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return _Line(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _was_left(self) -> bool:
        """Whether TLS has a farewell that came along with the last answer, or something else that nobody asked for."""
        tls = self._inner.get_extra_info("ssl_object")
        try:
            return tls is not None and tls.read(1) is not None
        except SSLWantReadError:
            return False
        except SSLError:
            return True

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":  # asked before each request
            return self._socket.fileno() < 0 or is_ready(self._socket.fileno(), 0) or self._was_left()
        return bool(self._written) if info == UNSENT else self._inner.get_extra_info(info)
