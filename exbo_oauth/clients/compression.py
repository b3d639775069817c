"""Bodies as proxies compress them, unasked: what `Content-Encoding` names is undone, within bounds.

The HTTP libraries would do it, too, but a body may swell to gigabytes in their hands before anybody can look at it.
"""

import zlib
from collections.abc import Iterator

__all__ = ["decompressed"]

_EITHER_HEADER, _NO_HEADER = 47, -15  # zlib's wbits: gzip's or zlib's; many servers mean the bare data by "deflate"
_CODINGS = {"gzip": (_EITHER_HEADER,), "x-gzip": (_EITHER_HEADER,), "deflate": (_EITHER_HEADER, _NO_HEADER)}


def decompressed(body: bytes, codings: str, limit: int) -> bytes:
    """`body` with the `codings` of the header undone, the last that was applied first (RFC 9110, section 8.4).

    More than `limit` bytes are cut one byte above it. What is not compressed after all, or in another way, stays as it
    is; what breaks off is read as far as it goes.
    """
    for coding in reversed(codings.lower().split(",")):
        body = next(_inflated(body, _CODINGS.get(coding.strip(), ()), limit), body)
    return body


def _inflated(body: bytes, ways: tuple[int, ...], limit: int) -> Iterator[bytes]:
    for wbits in ways:
        inflater = zlib.decompressobj(wbits=wbits)
        try:
            inflated = inflater.decompress(body, limit + 1)
        except zlib.error:
            continue
        # Without a header nearly anything begins like compressed data; only the end tells.
        if wbits != _NO_HEADER or inflater.eof or len(inflated) > limit:
            yield inflated
