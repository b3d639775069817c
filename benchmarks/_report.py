"""The report that the docs show: ``python -m benchmarks report``, or with the names of some after it."""

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from exbo_oauth import __version__

from .ratio import Rate, Ratio, Share, shown

__all__ = ["write"]

Result = Ratio | Rate | Share | str
Found = Mapping[str, Sequence[Result]]

_HEAD = ("| what | median | beside | median | ratio | aim |", "|---|---|---|---|---|---|")
DOCS = Path(__file__).parents[1] / "docs"
PAGE, CHART = DOCS / "benchmarks.md", DOCS / "_static" / "benchmarks.svg"
BEGIN, END = "<!-- written by benchmarks/_report.py, down to its end -->", "<!-- the end of it -->"


def write(found: Found, titles: Mapping[str, str], load: float, seconds: float) -> list[Path]:
    """Write what was found into its place on the page, and draw it; where."""
    names = "".join(f" {name}" for name in found) if found.keys() != titles.keys() else ""
    parts = [f"`nox -s bench -- report{names}`: {_circumstances(load)} It took {seconds / 60:.0f} minutes."]
    parts += list(_missed(found))
    for name, results in found.items():
        parts += [f"**{name}**: {titles[name]}", *_tables(results)]
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + "\n\n".join([BEGIN, *parts, END]) + after, encoding="utf-8")
    _draw([one for results in found.values() for one in results if isinstance(one, Ratio) and one.aims_at_ratio])
    return [PAGE, CHART]


def _missed(found: Found) -> Iterator[str]:
    missed = [
        text for results in found.values() for one in results if not isinstance(one, str) and (text := one.missed)
    ]
    if missed:
        yield "**Aims that were not met** (medians; what stands in the way is said below):"
        yield "\n".join(f"- {text}" for text in missed)
    else:
        yield "All aims were met."


def _circumstances(load: float) -> str:
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"
    python = f"Python {platform.python_version()}"
    busy = f"for which {load:.0f} programs were waiting when it began" if load > 1 else "otherwise idle"
    return f"exbo-oauth {__version__}, {python}, {system}, {busy}, {datetime.now(UTC):%Y-%m-%d}."


def _tables(results: Sequence[Result]) -> Iterator[str]:
    ratios = [one for one in results if isinstance(one, Ratio)]
    if ratios:
        yield "\n".join([*_HEAD, *map(_row, ratios)])
    others = [str(one).strip() for one in results if not isinstance(one, Ratio)]
    if others:
        yield "\n".join(f"- {' '.join(line.split())}" for line in others)


def _row(one: Ratio) -> str:
    ours, theirs = median(one.our_times), median(one.their_times)
    beside = one.theirs.rpartition(": ")[2]
    return f"| {one.ours} | {shown(ours)} | {beside} | {shown(theirs)} | {ours / theirs:.2f} | {one.shown_aim} |"


def _draw(ratios: Sequence[Ratio]) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    mpl.rcParams.update(
        {"svg.hashsalt": "exbo-oauth", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9}
    )
    rows = list(reversed(ratios))
    figure, axes = pyplot.subplots(figsize=(4, 0.6 + 0.3 * len(rows)))  # no wider than a phone, or its text shrinks
    values = [median(one.our_times) / median(one.their_times) for one in rows]
    axes.barh(range(len(rows)), values, color="#2f7d4f", height=0.35)
    for number, one in enumerate(rows):
        axes.text(0.01, number + 0.5, one.ours, transform=axes.get_yaxis_transform(), va="center")
        axes.plot([one.aim] * 2, [number - 0.25, number + 0.25], color="#b3261e", linewidth=2)
    axes.axvline(1, color="#999999", linewidth=0.8, zorder=0)
    axes.set_xscale("log")
    axes.set_xticks([1, 2, 4], ["1", "2", "4"])
    axes.set_xticks([], minor=True)
    axes.set_yticks([])
    axes.set_ylim(-0.5, len(rows))
    axes.set_xlabel("times what it is beside (log scale); red: our aim")
    figure.savefig(CHART, bbox_inches="tight", metadata={"Date": None})
