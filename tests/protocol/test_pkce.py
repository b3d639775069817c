"""PKCE (RFC 7636): the vector of appendix B, and the bounds of section 4."""

from base64 import urlsafe_b64decode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exbo_oauth import ConfigurationError
from exbo_oauth.protocol import OAuthProtocol, challenge_of, unguessable

from .given import form, query

# RFC 7636, appendix B
OCTETS = bytes.fromhex("7418dfb49799e0254ffa607dd8adbbba16d4254d69d6bff05b58055853848d79")
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

PROTOCOL = OAuthProtocol(client_id=59, client_secret="secret")


def test_the_vector_of_the_rfc() -> None:
    assert unguessable(OCTETS) == VERIFIER
    assert challenge_of(VERIFIER) == CHALLENGE


def test_only_padding_is_taken_off_the_end() -> None:
    assert unguessable(urlsafe_b64decode("X" * 44)) == "X" * 44


@given(entropy=st.binary(min_size=32, max_size=96))
def test_32_to_96_random_bytes_make_a_verifier_that_loses_none_of_them(entropy: bytes) -> None:
    verifier = unguessable(entropy)
    assert urlsafe_b64decode(verifier + "=" * (-len(verifier) % 4)) == entropy
    assert len(challenge_of(verifier)) == 43


@pytest.mark.parametrize("entropy", [b"", bytes(31), None, "x" * 40, 32], ids=repr)
def test_too_little_entropy_is_refused(entropy: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        unguessable(entropy)
    assert str(caught.value) == "at least 32 random bytes are needed, as from secrets.token_bytes(32)"


GOOD = ["a" * 43, "a" * 128, "AZaz09-._~" * 5]
BAD: dict[str, Any] = {
    "empty": "",
    "42 characters": "a" * 42,
    "129 characters": "a" * 129,
    "a plus sign": "a" * 43 + "+",
    "an equals sign": "a" * 43 + "=",
    "a line end": "a" * 43 + "\n",
    "a space": "a" * 43 + " a",
    "other letters": "я" * 50,
    "half a character": "a" * 43 + "\ud800",
    "bytes": b"a" * 50,
}


@pytest.mark.parametrize("verifier", GOOD, ids=len)
def test_a_verifier_of_unreserved_characters_is_taken(verifier: str) -> None:
    assert form(PROTOCOL.user_token("code", code_verifier=verifier).request)["code_verifier"] == verifier
    assert form(PROTOCOL.user_token("code", code_verifier=verifier).request)["code_verifier"] == verifier
    assert query(PROTOCOL.authorize_url("s", code_challenge=verifier))["code_challenge"] == verifier
    assert challenge_of(verifier)


@pytest.mark.parametrize("verifier", BAD.values(), ids=BAD)
def test_any_other_verifier_or_challenge_is_refused(verifier: Any) -> None:
    with pytest.raises(ConfigurationError, match="code_verifier"):
        PROTOCOL.user_token("code", code_verifier=verifier)
    with pytest.raises(ConfigurationError, match="code_verifier"):
        challenge_of(verifier)
    with pytest.raises(ConfigurationError, match="code_challenge"):
        PROTOCOL.authorize_url("s", code_challenge=verifier)
