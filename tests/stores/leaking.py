"""Where a report with locals would show a secret."""

import traceback
from pathlib import Path

import exbo_oauth

PACKAGE = Path(exbo_oauth.__file__).parent

# The plain parameters of public functions: the caller's own frame shows the same.
GIVEN = {("store_from_url", "url"), ("__init__", "text")}


def leaks(error: BaseException, *secrets: str) -> list[str]:
    """The places, in the chain of an error, in its texts and in our frames, that show one of the secrets."""
    return [place for link in _chain(error) for place, shown in _shown(link) if any(each in shown for each in secrets)]


def _chain(error: BaseException | None) -> list[BaseException]:
    if error is None:
        return []
    return [error, *_chain(error.__cause__), *_chain(error.__context__)]


def _shown(link: BaseException) -> list[tuple[str, str]]:
    shown = [("text", f"{link} {link!r} {vars(link)!r}")]
    for frame, _ in traceback.walk_tb(link.__traceback__):
        file = frame.f_code.co_filename
        if PACKAGE in Path(file).parents or "attrs generated" in file:
            name = frame.f_code.co_name
            shown += [
                (f"{name}: {local}", _rendered(value))
                for local, value in frame.f_locals.items()
                if (name, local) not in GIVEN
            ]
        elif "tests" not in file:
            shown += [(f"a foreign frame: {frame.f_code.co_qualname}", _rendered(dict(frame.f_locals)))]
    return shown


def _rendered(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001  # half-made objects in the frames of libraries
        return f"<{type(error).__name__}>"
