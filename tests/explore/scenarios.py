"""What is walked, at every change and in the long session."""

from itertools import product

from .house import Scenario

__all__ = ["ALL", "SHORT"]

KINDS = ("user", "app")
STARTS = ("expired", "fresh", "dead", "nothing")
ENDS = ("all", "access", None)


def _makes_sense(kind: str, starts: str, invalidate: str | None) -> bool:
    """A user who never signed in has nothing to lose, and an application has no pairs."""
    return (kind, starts) != ("user", "nothing") and (kind, invalidate) != ("app", "access")


CASES = [case for case in product(KINDS, STARTS, ENDS) if _makes_sense(*case)]

SHORT = [Scenario(*case, callers=(1, 1)) for case in CASES if case[1] != "dead"]

LONG = [Scenario(*case, callers=(1, 1)) for case in CASES if case[1] == "dead"]

ALL = [*SHORT, *LONG]
