"""Access tokens are real JWTs: the published key verifies them, and nobody else's."""

import json
from base64 import urlsafe_b64decode

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from exbo_oauth.protocol.messages import Request
from exbo_oauth.testing import FakeExbo

from .scenario import Scenario


def decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def published_key(fake: FakeExbo) -> RSAPublicNumbers:
    answer = fake.handle(Request("GET", fake.jwks_url))
    (key,) = json.loads(answer.content)["keys"]
    assert (key["kty"], key["alg"], key["use"]) == ("RSA", "RS256", "sig")
    return RSAPublicNumbers(*(int.from_bytes(decoded(key[name]), "big") for name in ("e", "n")))


def test_the_published_key_verifies_every_token() -> None:
    s = Scenario()
    key = published_key(s.fake).public_key()
    for token in (s.app_pair(), s.pair()):
        body, _, signature = token.access_token.rpartition(".")
        key.verify(decoded(signature), body.encode(), PKCS1v15(), SHA256())
        with pytest.raises(InvalidSignature):
            key.verify(decoded(signature), body.encode() + b"x", PKCS1v15(), SHA256())


def test_a_token_with_another_signature_is_nobodys() -> None:
    s = Scenario()
    first, second = s.pair(), s.pair("steam-guest")
    mixed = first.access_token.rpartition(".")[0] + "." + second.access_token.rpartition(".")[2]
    assert s.user(mixed).status == 401


def test_the_header_is_as_recorded() -> None:
    head = Scenario().pair().access_token.partition(".")[0]
    assert decoded(head) == b'{"typ":"JWT","alg":"RS256"}'


def test_whole_seconds_are_written_as_such() -> None:
    s = Scenario(clock=lambda: 1_800_000_000.0)
    payload = json.loads(decoded(s.pair().access_token.split(".")[1]))
    assert (payload["iat"], type(payload["iat"])) == (1_800_000_000, int)
