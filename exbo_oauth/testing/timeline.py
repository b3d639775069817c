"""The picture that explains why tokens die: a lane for each owner, a bar for each token, and the events in words.

Every event takes one step to the right, however long ago it was. A bar begins where its token was issued and ends
where something ended it; crosses are attempts that were refused; a dashed line leads from a dead token to its
successor. A pure function of the journal: no secret is known here.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from math import inf

from attrs import define, field, frozen

from .journal import Event
from .narration import Narrator
from .state import App, IssuedToken, User
from .texts import TEXTS

__all__ = ["Story", "timeline"]

_STEP, _LEFT, _ROW, _BAR, _CROSSES = 42, 44, 26, 20, 18  # pixels
_ENDINGS = ("superseded", "refreshed", "revoked")
_BAD = ("declined", "lost", "refused", "unreadable", "unregistered")


@frozen(kw_only=True)
class Story:
    """What is to be told: events oldest first, the tokens, users and applications in them, and the server's time."""

    events: tuple[Event, ...]
    tokens: Mapping[int, IssuedToken]
    users: Mapping[int, User]
    apps: Mapping[str, App]
    now: float

    @property
    def version(self) -> str:
        """Changes whenever the picture does: with every event, and when a token expires."""
        expired = sum(token.expires <= self.now for token in self.tokens.values())
        return f"{self.events[-1].number if self.events else 0}.{expired}"

    def narrator(self, language: str) -> Narrator:
        """Who tells it."""
        return Narrator(language, self.users, self.apps)


@define
class _Bar:
    """A token from step `start` to step `end`; it begins before the picture at -1, and None is its right edge."""

    token: IssuedToken
    start: int
    end: int | None = None
    row: int = 0

    def state(self, now: float) -> str:
        return self.token.ended or ("expired" if self.token.expires <= now else "live")


@define
class _Lane:
    """The tokens of one owner; `crosses` are the steps of refusals, `links` lead from a dead token to its successor."""

    owner: str
    bars: dict[int, _Bar] = field(factory=dict)
    crosses: list[int] = field(factory=list)
    links: list[tuple[_Bar, _Bar]] = field(factory=list)

    def add(self, event: Event, token: IssuedToken, step: int) -> None:
        bar = self.bars.setdefault(token.number, _Bar(token, step if event.kind == "issued" else -1))
        if event.kind in ("refused", "declined"):
            self.crosses.append(step)
        elif event.kind in _ENDINGS and bar.end is None:
            bar.end = step
            if event.by in self.bars:
                self.links.append((bar, self.bars[event.by]))

    def settle(self) -> int:
        """Give every bar the first row that is free where it begins; how many rows that takes."""
        free: list[float] = []
        for bar in self.bars.values():
            if bar.end is None and bar.token.ended:
                bar.end = 0  # it ended before the picture begins
            bar.row = next((row for row, step in enumerate(free) if step <= bar.start), len(free))
            free[bar.row : bar.row + 1] = [inf if bar.end is None else bar.end]
        return len(free)


def timeline(story: Story, language: str) -> str:
    """The picture and the list as a fragment of HTML."""
    text = TEXTS[language]
    if not story.events:
        return f'<p class="card">{text["live_nothing"]}</p>'
    narrator = story.narrator(language)
    items = "".join(_item(event, narrator, _label(event, narrator, story)) for event in reversed(story.events))
    return (
        f'<div class="card"><div class="chart" tabindex="0" role="group" aria-label="{text["live_chart"]}">'
        f"{_chart(story, narrator)}</div>{_legend(text)}</div>"
        f'<section class="card"><h3>{text["live_events"]}</h3><ol class="events" reversed>{items}</ol></section>'
    )


def _label(event: Event, narrator: Narrator, story: Story) -> str:
    """Whose request it was, and what others call the token that came of it."""
    token = story.tokens.get(event.token or 0) if event.kind == "issued" else None
    parts = [f"SHA-256 {token.fingerprint}…"] if token else []
    return " · ".join(filter(None, [*parts, narrator.asker(event)]))


def _item(event: Event, narrator: Narrator, label: str) -> str:
    moment = datetime.fromtimestamp(event.at, UTC)
    colour = "refused" if event.kind in _BAD else {"issued": "live"}.get(event.kind, event.kind)
    listed = "".join(f"<li><code>{escape(text)}</code></li>" for text in narrator.listed(event))
    return (
        f'<li class="{colour}"><time datetime="{moment.isoformat()}">{moment:%H:%M:%S}</time>'
        f"<div><span>{escape(narrator.sentence(event))}</span>"
        f"{f'<small>{escape(label)}</small>' if label else ''}{f'<ul>{listed}</ul>' if listed else ''}</div></li>"
    )


def _lanes(story: Story, narrator: Narrator) -> list[_Lane]:
    lanes: dict[tuple[str, int | None], _Lane] = {}
    for step, event in enumerate(story.events):
        token = story.tokens.get(event.token or 0)
        if token is not None:
            lanes.setdefault(token.key, _Lane(narrator.owner(*token.key))).add(event, token, step)
    return list(lanes.values())


def _x(step: int) -> int:
    return _LEFT + step * _STEP


def _chart(story: Story, narrator: Narrator) -> str:
    width = _x(len(story.events)) + _LEFT
    return "".join(_lane(lane, story, width) for lane in _lanes(story, narrator))


def _lane(lane: _Lane, story: Story, width: int) -> str:
    height = lane.settle() * _ROW + (_CROSSES if lane.crosses else 0)
    parts = [_link(old, new) for old, new in lane.links]
    parts += [_bar(bar, bar.state(story.now), len(story.events)) for bar in lane.bars.values()]
    parts += [_cross(_x(step) + _STEP // 2, height - _CROSSES // 2) for step in lane.crosses]
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return f'<p class="owner">{escape(lane.owner)}</p><svg {size} aria-hidden="true">{"".join(parts)}</svg>'


def _y(bar: _Bar) -> int:
    return bar.row * _ROW


def _bar(bar: _Bar, state: str, steps: int) -> str:
    start = _x(bar.start) if bar.start >= 0 else 2
    width = _x(steps if bar.end is None else bar.end) - start - 3
    return (
        f'<rect class="bar {state}" x="{start}" y="{_y(bar)}" width="{width}" height="{_BAR}" rx="4"/>'
        f'<text class="number" x="{start + 5}" y="{_y(bar) + 14}">#{bar.token.number}</text>'
    )


def _link(old: _Bar, new: _Bar) -> str:
    x = _x(old.end or 0) - 6
    return f'<path class="link" d="M{x} {_y(old) + _BAR // 2}V{_y(new) + _BAR // 2}"/>'


def _cross(x: int, y: int) -> str:
    return f'<path class="mark" d="M{x - 4} {y - 4}l8 8m0 -8l-8 8"/>'


def _legend(text: Mapping[str, str]) -> str:
    swatches = [
        (f'<rect class="bar {state}" width="14" height="14" rx="4"/>', text[f"legend_{state}"])
        for state in ("live", *_ENDINGS, "expired")
    ]
    swatches.append((_cross(7, 7), text["legend_refused"]))
    items = "".join(
        f'<li><svg width="14" height="14" aria-hidden="true">{drawing}</svg>{label}</li>' for drawing, label in swatches
    )
    return f'<ul class="legend">{items}</ul>'
