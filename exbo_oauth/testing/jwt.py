"""Signed access tokens with exactly the claims that Passport writes (RFC 7519, RS256), and the key to verify them.

One 2048-bit key serves the whole process; it is made when the first token is signed. The server itself never
verifies: it looks tokens up, so that validating stays cheap.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec
from json import dumps, loads
from typing import TYPE_CHECKING, Any

from ..environment import install_command
from ..errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

__all__ = ["claims_of", "jwks", "numeric_date", "require_cryptography", "signed"]


def _encoded(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


_HEADER = _encoded(b'{"typ":"JWT","alg":"RS256"}')  # no kid, as recorded


def require_cryptography() -> None:
    """Raise `ConfigurationError` if tokens could not be signed; imports nothing."""
    if find_spec("cryptography") is None:
        raise ConfigurationError(
            f"the sandbox signs its tokens with the package cryptography: {install_command('testing')}"
        )


@cache
def _key() -> "RSAPrivateKey":
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def _signer() -> Callable[[bytes], bytes]:
    key = _key()
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    padding, algorithm = PKCS1v15(), SHA256()
    return lambda data: key.sign(data, padding, algorithm)


def numeric_date(seconds: float) -> float:
    """Epoch seconds as Passport writes them: with microseconds, a whole number only if these are zero."""
    precise = round(seconds, 6)
    return int(precise) if precise == int(precise) else precise


def signed(claims: Mapping[str, Any]) -> str:
    """The claims as a compact JWS."""
    body = _HEADER + b"." + _encoded(dumps(claims, separators=(",", ":")).encode())
    return (body + b"." + _encoded(_signer()(body))).decode()


def claims_of(token: str) -> dict[str, Any]:
    """What a token says of itself, unverified; nothing if it is not a JWT."""
    try:
        _, payload, _ = token.split(".")
        claims = loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def jwks() -> dict[str, Any]:
    """The public key as a JWK set (RFC 7517). Passport has no such route; the sandbox adds it for verifiers."""
    numbers = _key().public_key().public_numbers()
    parts = {
        name: _encoded(value.to_bytes((value.bit_length() + 7) // 8, "big")).decode()
        for name, value in (("n", numbers.n), ("e", numbers.e))
    }
    return {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256"} | parts]}
