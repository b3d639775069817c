"""``python -m tests.explore`` lists the scenarios; with the name of one it walks it, and with a way, too, goes that."""

import sys

from .moves import Moves
from .promises import Broken
from .scenarios import ALL
from .walk import Walk, replay


def main(name: str = "", word: str = "") -> None:
    found = [scenario for scenario in ALL if str(scenario) == name]
    if not found:
        print("\n".join(map(str, ALL)))
    for scenario in found:
        try:
            if word:
                for line in replay(Moves(scenario), word):
                    print(line)
            else:
                print(Walk(scenario).run())
        except Broken as broken:
            sys.exit(str(broken))


if __name__ == "__main__":
    main(*sys.argv[1:])
