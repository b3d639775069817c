"""Two ways to do one thing, measured in turns, and how often one thing can be done."""

from collections.abc import Callable
from statistics import median

from attrs import frozen

__all__ = ["Rate", "Ratio", "Share", "in_turns", "shown"]


@frozen(kw_only=True)
class Ratio:
    """How long ours took and how long the other one did, in seconds, one entry a round.

    An `aim` is a ratio, or with `aims_at_seconds` so many seconds for ours, whatever the other one takes.
    """

    ours: str
    theirs: str
    our_times: list[float]
    their_times: list[float]
    aim: float | None = None
    aims_at_seconds: bool = False

    @property
    def aims_at_ratio(self) -> bool:
        return self.aim is not None and not self.aims_at_seconds

    @property
    def shown_aim(self) -> str:
        if self.aim is None:
            return ""
        return shown(self.aim) if self.aims_at_seconds else f"{self.aim:.2f}"

    @property
    def missed(self) -> str | None:
        """How far from its aim this is, None if it is met, to two digits as it is shown."""
        ours, ratio = median(self.our_times), median(self.our_times) / median(self.their_times)
        if self.aim is None or (ours if self.aims_at_seconds else round(ratio, 2)) <= self.aim:
            return None
        return f"{self.ours}: {shown(ours) if self.aims_at_seconds else f'{ratio:.2f}'}, aim {self.shown_aim}"

    def __str__(self) -> str:
        best, usual = (pick(self.our_times) / pick(self.their_times) for pick in (min, median))
        aim = f", aim {self.shown_aim}" if self.aim is not None else ""
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

    @property
    def missed(self) -> str | None:
        usual = median(self.rates)
        return None if usual >= self.aim else f"{self.what}: {usual:,.0f} a second, aim {self.aim:,.0f}"

    def __str__(self) -> str:
        best, usual = max(self.rates), median(self.rates)
        return f"  {best:10,.0f} /s best {usual:10,.0f} /s median   {self.what}, aim {self.aim:,.0f}"


@frozen(kw_only=True)
class Share:
    """Which part of something was reached, and what else happened, of which there should be none if there is an aim."""

    what: str
    share: float
    told: str
    aim: float | None = None
    faults: int = 0

    @property
    def missed(self) -> str | None:
        if self.aim is None or (self.share >= self.aim and not self.faults):
            return None
        return f"{self.what}: {self.share:.2f} with {self.faults} faults, aim {self.aim:.2f} with none"

    def __str__(self) -> str:
        aim = "" if self.aim is None else f", aim {self.aim:.2f}"
        return f"  {self.what}: {self.share:.2f}{aim}; {self.told}"
