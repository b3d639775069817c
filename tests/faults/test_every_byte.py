"""The same at each byte, which takes minutes. EXBO_STRIDE=1 takes all of them, 16 every sixteenth."""

import os
from collections import Counter

import pytest

from exbo_oauth.testing import FakeExbo

from ..surfaces.conftest import Surface, surface
from .misbehaving import Fault, Way
from .trials import CALLS, sizes, tried

__all__ = ["surface"]

STRIDE = int(os.environ.get("EXBO_STRIDE", "16"))


@pytest.mark.parametrize("way", ["close", "reset", "garbage"])
@pytest.mark.parametrize("call", CALLS)
def test_at_whatever_byte_it_ends_well(surface: Surface, call: str, way: Way) -> None:
    request, answer = sizes(FakeExbo(), surface, call)
    faults = [Fault("request", after, way) for after in range(0, request + 1, STRIDE)]
    faults += [Fault("answer", after, way) for after in range(0, answer + 1, STRIDE)]
    print(f"{surface.name}, {call}, {way}: {dict(Counter(tried(surface, call, faults)))}")
