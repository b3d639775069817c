"""A server that misbehaves at a byte: whatever it does, an error of ours, nothing spent twice, nothing lost or left."""

from collections.abc import Iterator

import pytest

from exbo_oauth.testing import FakeExbo

from ..surfaces.conftest import Surface, surface
from .misbehaving import WAYS, Fault, Way
from .trials import CALLS, sizes, tried

__all__ = ["surface"]


def marks(size: int, *, few: bool) -> Iterator[int]:
    """Bytes at which something begins or ends: the first line, the head, the body, all of it."""
    yield from {size // 2, size - 1} if few else {0, 1, 12, size // 4, size // 2, size - 40, size - 1, size}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("call", CALLS)
def test_whatever_a_server_does_ends_well(surface: Surface, call: str, way: Way) -> None:
    request, answer = sizes(FakeExbo(), surface, call)
    faults = [Fault("request", after, way) for after in marks(request, few=way == "stall")]
    faults += [Fault("answer", after, way) for after in marks(answer, few=way == "stall")]
    assert len(list(tried(surface, call, faults))) == len(faults)
