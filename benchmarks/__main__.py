"""Run the benchmarks that are named, or all."""

import platform
import sys
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from exbo_oauth import __version__

from . import __path__ as path


def benchmarks() -> dict[str, Any]:
    modules = {
        found.name: import_module(f".{found.name}", __package__) for found in iter_modules(path) if found.name[0] != "_"
    }
    return {name: module for name, module in modules.items() if hasattr(module, "measure")}


def main(asked: list[str]) -> int:
    known = benchmarks()
    unknown = [name for name in asked if name not in known]
    if unknown:
        print(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    print(f"exbo-oauth {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    for name in asked or known:
        title, _, _ = known[name].__doc__.partition("\n")
        print(f"\n{name}: {title}")
        for ratio in known[name].measure():
            print(ratio, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
