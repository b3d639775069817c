"""Taking the port: what the system says no with, and what the user reads."""

import errno
import socket
import sys

import pytest

from exbo_oauth import ConfigurationError
from exbo_oauth.login.endpoint import endpoint_of
from exbo_oauth.login.ports import bound

from ..free_ports import free_port
from .conftest import has_ipv6, is_free


def test_both_addresses_of_localhost_are_taken() -> None:
    sockets = bound(endpoint_of(f"http://localhost:{free_port()}/"))
    try:
        families = [sock.family for sock in sockets]
        assert families == [socket.AF_INET, *[socket.AF_INET6] * has_ipv6()]
        assert not any(sock.getblocking() for sock in sockets)
    finally:
        for sock in sockets:
            sock.close()


def test_a_machine_without_ipv6_listens_on_ipv4_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    make, port = socket.socket, free_port()

    def without_ipv6(family: int, kind: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return make(family, kind)

    monkeypatch.setattr(socket, "socket", without_ipv6)
    [sock] = bound(endpoint_of(f"http://localhost:{port}/"))
    with sock:
        assert sock.family == socket.AF_INET


def test_an_address_that_this_machine_does_not_have_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_any(family: int, kind: int) -> socket.socket:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", without_any)
    with pytest.raises(ConfigurationError, match="not supported"):
        bound(endpoint_of("http://localhost:8080/"))


def test_a_port_that_is_busy_on_the_second_address_leaves_the_first_one_free() -> None:
    if not has_ipv6():
        pytest.skip("needs IPv6")
    with socket.socket(socket.AF_INET6) as other:
        other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        other.bind(("::1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError, match="another program"):
            bound(endpoint_of(f"http://localhost:{port}/"))
    assert is_free(port)


def test_a_port_for_administrators_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may run as root, who may have any port: the system's refusal is its own, raised where it would be."""

    def refusing(self: socket.socket, address: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refusing)
    with pytest.raises(ConfigurationError) as caught:
        bound(endpoint_of("http://localhost"))
    assert "127.0.0.1:80" in str(caught.value)
    assert "administrators" in str(caught.value)
    assert "http://localhost:8080/callback" in str(caught.value)
    assert "/myapps" in str(caught.value)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has the whole of 127.0.0.0/8")
def test_any_other_loopback_address_is_listened_on_alone() -> None:
    [sock] = bound(endpoint_of(f"http://127.0.0.2:{free_port()}/"))
    with sock:
        assert sock.getsockname()[0] == "127.0.0.2"
