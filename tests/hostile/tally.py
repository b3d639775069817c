"""How many inputs were tried, and what became of them."""

from collections import Counter

_counted: Counter[str] = Counter()


def count(what: str) -> None:
    """One more of these."""
    _counted[what] += 1


def summary() -> str:
    """The figures in one line; nothing if nothing was tried."""
    tried = _counted["understood"] + _counted["told"]
    shares = ", ".join(f"{_counted[name]} {name}" for name in ("sync", "asyncio", "trio"))
    ends = f"{_counted['understood']} understood, {_counted['told']} told of in words of ours"
    return f"hostile input: {tried} tried: {ends}; by client: {shares}" if tried else ""
