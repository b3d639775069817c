"""Public names that are loaded when they are first asked for (PEP 562)."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["LazyModule", "lazily"]


def lazily(namespace: dict[str, Any], homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """A package's ``__getattr__`` and ``__dir__``: `homes` says which module of it each public name is in."""
    package = namespace["__name__"]

    def loaded(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = namespace[name] = getattr(import_module(f".{homes[name]}", package), name)
        return value

    return loaded, lambda: sorted({*namespace, *homes})


class LazyModule:
    """A module that is imported when somebody uses it, or reads annotations that name it (`typing.get_type_hints`)."""

    def __init__(self, name: str, package: str | None = None) -> None:
        self._name, self._package = name, package

    def __getattr__(self, name: str) -> Any:
        value = getattr(import_module(self._name, self._package), name)
        setattr(self, name, value)  # found without this function from now on
        return value
