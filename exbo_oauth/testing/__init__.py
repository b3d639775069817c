"""EXBO in memory, for your tests and for trying things out before EXBO has approved your application.

`FakeExbo` answers like the real OAuth service, in both server generations that are known. Put it behind your HTTP
client with `transport()`, behind a loopback port with `serve()`, or use the pytest fixtures ``fake_exbo``,
``exbo_client`` and ``async_exbo_client``, which come with the package. Needs the extra ``testing``.
"""

from .dialect import DialectName
from .faults import AnswerLost, Gate
from .issuing import Invalidate
from .journal import Event, Received
from .server import FakeExbo
from .state import App, IssuedToken, User

__all__ = [
    "AnswerLost",
    "App",
    "DialectName",
    "Event",
    "FakeExbo",
    "Gate",
    "Invalidate",
    "IssuedToken",
    "Received",
    "User",
]
