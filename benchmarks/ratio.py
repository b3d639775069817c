"""Two ways to do one thing, measured in turns, and how often one thing can be done."""

from collections.abc import Callable
from statistics import median

from attrs import frozen

__all__ = ["Rate", "Ratio", "in_turns", "shown"]


@frozen(kw_only=True)
class Ratio:
    """How long ours took and how long the other one did, in seconds, one entry a round."""

    ours: str
    theirs: str
    our_times: list[float]
    their_times: list[float]
    aim: float | None = None

    def __str__(self) -> str:
        best, usual = (pick(self.our_times) / pick(self.their_times) for pick in (min, median))
        aim = f", aim {self.aim:.2f}" if self.aim is not None else ""
        return "\n".join(
            [
                _line(self.ours, self.our_times),
                _line(self.theirs, self.their_times),
                f"  ratio: {best:.2f} of the best rounds, {usual:.2f} of the medians{aim}",
            ]
        )


def _line(name: str, times: list[float]) -> str:
    return f"  {shown(min(times)):>10} best {shown(median(times)):>10} median   {name}"


def shown(seconds: float) -> str:
    """So many seconds in a unit that they are easily read in."""
    return f"{seconds * 1e3:.1f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.1f} µs"


def in_turns(ours: Callable[[], float], theirs: Callable[[], float], rounds: int) -> tuple[list[float], list[float]]:
    """The seconds that both report, taking turns, so that whatever slows the machine down slows both."""
    taken = [(ours(), theirs()) for _ in range(rounds)]
    return [our for our, _ in taken], [their for _, their in taken]


@frozen(kw_only=True)
class Rate:
    """How many of something were done in a second of processor time, one entry a round."""

    what: str
    rates: list[float]
    aim: float

    def __str__(self) -> str:
        best, usual = max(self.rates), median(self.rates)
        return f"  {best:10,.0f} /s best {usual:10,.0f} /s median   {self.what}, aim {self.aim:,.0f}"
