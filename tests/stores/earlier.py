"""What earlier versions left in a keyring and beside it, as it was recorded then.

``whole`` is of a keyring that takes secrets of any size, and one of its writers was killed before it could tidy up and
let its lease go; ``in pieces`` is of one that takes as much as Windows does.
"""

import json
from pathlib import Path
from typing import Any

import keyring.backend

from exbo_oauth import StoreKey

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("earlier_keyring.json").read_text(encoding="utf-8"))
SERVICE = "exbo-oauth"

BASE_URL = "https://exbo.net/oauth"
APP = StoreKey(BASE_URL, "59")
IVAN = StoreKey(BASE_URL, "59", "ivan")
STALKER = StoreKey(BASE_URL, "59", "Сталкер ☢")

# Revision and access token of each account.
HELD: dict[str, dict[StoreKey, tuple[int, str]]] = {
    "whole": {
        APP: (1780000000000001, "old-app-token-2"),
        IVAN: (1780000000000004, "old-ivan-token-2-" + "x" * 700),
        STALKER: (1780000000000003, "old-stalker-token-" + "x" * 20),
    },
    "in pieces": {
        APP: (1780000000000001, "old-app-token-2"),
        IVAN: (1780000000000002, "old-ivan-token-" + "x" * 700),
        STALKER: (1780000000000003, "old-stalker-token-" + "x" * 20),
    },
}


def restore(name: str, root: Path, backend: keyring.backend.KeyringBackend) -> None:
    """Put it back as it was, with `backend` in the place of the keyring that it was recorded with."""
    recorded, ours = RECORDED[name], f"{type(backend).__module__}.{type(backend).__name__}"
    for path, text in recorded["files"].items():
        note = json.loads(text)
        for pieces in filter(None, (note["entry"], *note["waste"])):
            pieces["backend"] = ours
        (root / path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        (root / path).write_text(json.dumps(note), encoding="utf-8")
    for username, secret in recorded["secrets"].items():
        backend.set_password(SERVICE, username, secret)
