"""Redirect URIs as addresses to listen on."""

import pytest

from exbo_oauth.login.endpoint import CallbackEndpoint, endpoint_of


@pytest.mark.parametrize(
    ("redirect_uri", "addresses", "port", "path", "clean_url"),
    [
        ("http://localhost", ("127.0.0.1", "::1"), 80, "/", "http://localhost/"),
        ("http://localhost/", ("127.0.0.1", "::1"), 80, "/", "http://localhost/"),
        ("http://LOCALHOST:9999/cb", ("127.0.0.1", "::1"), 9999, "/cb", "http://localhost:9999/cb"),
        ("http://127.0.0.1:8080", ("127.0.0.1",), 8080, "/", "http://127.0.0.1:8080/"),
        ("http://[::1]:8080/cb?x=1", ("::1",), 8080, "/cb", "http://[::1]:8080/cb"),
        ("http://[0:0:0:0:0:0:0:1]:8080/", ("::1",), 8080, "/", "http://[0:0:0:0:0:0:0:1]:8080/"),
        (
            "http://localhost:8080/вход/%d0",
            ("127.0.0.1", "::1"),
            8080,
            "/вход/%d0",
            "http://localhost:8080/%D0%B2%D1%85%D0%BE%D0%B4/%d0",
        ),
        ("http://127.0.0.2:8080/", ("127.0.0.2",), 8080, "/", "http://127.0.0.2:8080/"),
        (
            "http://localhost:8080//evil.example/",
            ("127.0.0.1", "::1"),
            8080,
            "//evil.example/",
            "http://localhost:8080//evil.example/",
        ),
    ],
)
def test_a_place(redirect_uri: str, addresses: tuple[str, ...], port: int, path: str, clean_url: str) -> None:
    endpoint = endpoint_of(redirect_uri)
    assert (endpoint.addresses, endpoint.port, endpoint.path, endpoint.clean_url) == (addresses, port, path, clean_url)


def test_an_address_of_its_own_may_be_said_in_host() -> None:
    assert "127.0.0.2:8080" in endpoint_of("http://127.0.0.2:8080/").hosts
    assert "127.0.0.2:8080" not in endpoint_of("http://127.0.0.1:8080/").hosts


def test_a_place_is_a_value() -> None:
    assert endpoint_of("http://localhost:8080/") == CallbackEndpoint("http://localhost:8080/", "localhost", 8080, "/")
