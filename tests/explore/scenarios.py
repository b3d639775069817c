"""What is walked, at every change and in the long session.

A fault is put at every place where it makes a difference. Walking each kind of fault, and each pair of kinds, by itself
walks the same schedules as all together, and takes less memory.
"""

from itertools import product

from .house import Scenario

__all__ = ["ALL", "LONG", "SHORT"]

KINDS = ("user", "app")
STARTS = ("expired", "fresh", "dead", "nothing")
ENDS = ("all", "access", None)
BRIEF = ("crash", "answer lost before", "answer lost after", "store error before", "store error after", "wrong 401")


def _makes_sense(kind: str, starts: str, invalidate: str | None) -> bool:
    """A user who never signed in has nothing to lose, and an application has no pairs."""
    return (kind, starts) != ("user", "nothing") and (kind, invalidate) != ("app", "access")


CASES = [case for case in product(KINDS, STARTS, ENDS) if _makes_sense(*case)]
PAIRS = [(one, other) for one in BRIEF for other in ("suspension", *BRIEF[: BRIEF.index(one)])]
PAIRS += [("crash", other) for other in ("store emptied", "store gone back", "outside supersession", "clock forward")]

SHORT = [
    *(Scenario(*case, callers=(1, 1)) for case in CASES if case[1] != "dead"),
    *(Scenario(*case, callers=(1, 1), by_hand=True) for case in CASES if case[1] == "fresh"),
    Scenario(
        "user", "expired", "all", callers=(1, 1), fine=True, among=("crash", "store error after", "store emptied")
    ),
    Scenario("user", "fresh", "all", callers=(2, 2), among=(*BRIEF, "suspension", "store emptied", "store gone back")),
]

LONG = [
    *(Scenario(*case, callers=(1, 1)) for case in CASES if case[1] == "dead"),
    *(Scenario("user", "expired", "all", callers=(1, 1), faults=2, among=pair) for pair in PAIRS),
    *(Scenario(*case, callers=(1, 1), by_hand=True) for case in CASES if case[1] in ("expired", "dead")),
    Scenario("user", "expired", "all", callers=(2, 1), faults=0, fine=True),
    *(Scenario("user", "expired", "all", callers=(2, 2), among=(fault,)) for fault in ("crash", "answer lost after")),
]

ALL = [*SHORT, *LONG]
