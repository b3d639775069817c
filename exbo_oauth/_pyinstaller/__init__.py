"""For PyInstaller: where the hook for this package lies (entry point ``pyinstaller40``)."""

from pathlib import Path

__all__ = ["hook_dirs"]


def hook_dirs() -> list[str]:
    """The folders that PyInstaller looks for hooks in."""
    return [str(Path(__file__).parent)]
