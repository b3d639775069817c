"""EXBO in memory, for your tests and for trying things out before EXBO has approved your application.

`FakeExbo` answers like the real OAuth service, in both server generations that are known. Put it behind your HTTP
client with `transport()`, behind a loopback port with `serve()`, or use the pytest fixtures ``fake_exbo``,
``exbo_client`` and ``async_exbo_client``, which come with the package. `StoreContract` is a test suite for token
stores of your own. Needs the extra ``testing``; every name is loaded when it is first asked for.
"""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .dialect import DialectName as DialectName
    from .faults import AnswerLost as AnswerLost
    from .faults import Gate as Gate
    from .issuing import Invalidate as Invalidate
    from .journal import Event as Event
    from .journal import Received as Received
    from .server import FakeExbo as FakeExbo
    from .state import App as App
    from .state import IssuedToken as IssuedToken
    from .state import User as User
    from .store_suite import StoreContract as StoreContract

_HOME_OF = {
    "AnswerLost": "faults",
    "App": "state",
    "DialectName": "dialect",
    "Event": "journal",
    "FakeExbo": "server",
    "Gate": "faults",
    "Invalidate": "issuing",
    "IssuedToken": "state",
    "Received": "journal",
    "StoreContract": "store_suite",
    "User": "state",
}

__all__ = sorted(_HOME_OF)  # pyright: ignore[reportUnsupportedDunderAll]  # one list, not two

if not TYPE_CHECKING:  # pragma: no branch  # with a __getattr__, every name would be one to type checkers
    __getattr__, __dir__ = lazily(globals(), _HOME_OF)
