"""Proof Key for Code Exchange (RFC 7636), method S256, without a source of randomness.

A verifier is 43 to 128 characters of ``[A-Za-z0-9-._~]`` (section 4.1), and so is fit for ``state``, too.
"""

import re
from base64 import urlsafe_b64encode
from hashlib import sha256

from ..boundary import bounded
from ..errors import ConfigurationError
from .text import sendable

__all__ = ["challenge_of", "checked_challenge", "checked_verifier", "unguessable"]

_UNRESERVED = re.compile(r"[A-Za-z0-9\-._~]{43,128}")


def unguessable(entropy: bytes) -> str:
    """A verifier or a state from at least 32 random bytes (RFC 7636, section 4.1; RFC 6749, section 10.10).

    ::

        verifier = unguessable(secrets.token_bytes(32))
    """
    if not isinstance(entropy, bytes) or len(entropy) < 32:
        raise ConfigurationError("at least 32 random bytes are needed, as from secrets.token_bytes(32)")
    return urlsafe_b64encode(entropy).replace(b"=", b"").decode()


@bounded
def challenge_of(verifier: str) -> str:
    """The S256 challenge that goes into the authorize URL (RFC 7636, section 4.2).

    ::

        challenge = challenge_of(unguessable(secrets.token_bytes(32)))
        url = oauth_protocol.authorize_url("state", code_challenge=challenge)
    """
    return urlsafe_b64encode(sha256(checked_verifier(verifier).encode()).digest()).replace(b"=", b"").decode()


def checked_verifier(verifier: str) -> str:
    """`verifier`, or a `ConfigurationError`: the server refuses a malformed one, too (recorded cases P03, P03b)."""
    return _checked("code_verifier", verifier)


def checked_challenge(challenge: str) -> str:
    """`challenge`, or a `ConfigurationError` (recorded case P07)."""
    return _checked("code_challenge", challenge)


def _checked(name: str, value: str) -> str:
    if not _UNRESERVED.fullmatch(sendable(name, value)):
        raise ConfigurationError(f"{name} must be 43 to 128 characters of A-Z a-z 0-9 - . _ ~ (RFC 7636, section 4)")
    return value
