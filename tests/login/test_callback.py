"""Requests as bytes: what is understood, what is refused, and that nothing breaks the reader."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exbo_oauth.login.callback import Callback, Refusal, language_in, read
from exbo_oauth.login.endpoint import endpoint_of
from exbo_oauth.masking import Secret

ENDPOINT = endpoint_of("http://localhost:8080/callback")
HEAD = b"GET /callback?code=1&state=2 HTTP/1.1\r\nHost: localhost:8080"


@pytest.mark.parametrize(
    "host",
    ["localhost:8080", "LOCALHOST:8080", "127.0.0.1:8080", "[::1]:8080", "localhost.:8080"],
)
def test_every_name_of_this_machine_will_do(host: str) -> None:
    assert read(HEAD.replace(b"localhost:8080", host.encode()), ENDPOINT) == Callback(Secret("code=1&state=2"))


@pytest.mark.parametrize(
    "host", ["", "localhost", "localhost:80", "localhost:8080:8080", "evil.example:8080", "::1:8080"]
)
def test_any_other_name_will_not(host: str) -> None:
    assert read(HEAD.replace(b"localhost:8080", host.encode()), ENDPOINT) == Refusal(403)


@pytest.mark.parametrize("host", ["localhost", "localhost:80", "127.0.0.1", "[::1]:80"])
def test_port_80_may_go_without_saying(host: str) -> None:
    head = f"GET /?code=1 HTTP/1.1\r\nHost: {host}".encode()
    assert read(head, endpoint_of("http://localhost")) == Callback(Secret("code=1"))


def test_the_query_is_not_shown() -> None:
    assert "code" not in repr(read(HEAD, ENDPOINT))


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("ru", "ru"),
        ("ru-RU,ru;q=0.9,en-US;q=0.8,en;q=0.7", "ru"),
        ("en-US,en;q=0.9,ru;q=0.8", "en"),
        ("en;q=0.5, RU-by;q=0.9", "ru"),
        ("de,ru;q=0.5,en;q=0.5", "ru"),
        ("de,en;q=0.5,ru;q=0.5", "en"),
        ("de, *", "en"),
        ("rue, en;q=0.1", "en"),
        ("ru;q=0", "en"),
        ("ru;q=nonsense, en;q=0.1", "en"),
        ("ru;q=7, en;q=0.1", "en"),
        ("ru;level=1", "ru"),
    ],
)
def test_the_language_that_comes_first(accepted: str, language: str) -> None:
    assert language_in(accepted) == language


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(head: bytes) -> None:
    assert isinstance(read(head, ENDPOINT), Callback | Refusal)


@given(st.binary(max_size=60), st.integers(0, len(HEAD)))
def test_no_bytes_within_a_callback_break_the_reader(noise: bytes, at: int) -> None:
    assert isinstance(read(HEAD[:at] + noise + HEAD[at:], ENDPOINT), Callback | Refusal)


@given(st.text(max_size=100))
def test_no_text_breaks_the_choice_of_language(accepted: str) -> None:
    assert language_in(accepted) in ("en", "ru")
