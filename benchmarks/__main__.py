"""Run the benchmarks that are named, or all; after the word ``report``, write what they find into the docs."""

import os
import platform
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from exbo_oauth import __version__

from . import __path__ as path
from . import _report


def benchmarks() -> dict[str, Any]:
    modules = {
        found.name: import_module(f".{found.name}", __package__) for found in iter_modules(path) if found.name[0] != "_"
    }
    return {name: module for name, module in modules.items() if hasattr(module, "measure")}


def main(asked: list[str]) -> int:
    known = benchmarks()
    report, asked = asked[:1] == ["report"], asked[1:] if asked[:1] == ["report"] else asked
    unknown = [name for name in asked if name not in known]
    if unknown:
        print(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    print(f"exbo-oauth {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    titles = {name: module.__doc__.partition("\n")[0] for name, module in known.items()}
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    start = time.monotonic()
    found = {name: list(told(f"{name}: {titles[name]}", known[name])) for name in asked or known}
    if report:
        print("\nwritten:", *_report.write(found, titles, load, time.monotonic() - start))
    return 0


def told(title: str, module: Any) -> Iterator[Any]:
    """What a benchmark finds, told as it comes."""
    print(f"\n{title}")
    start = time.monotonic()
    for result in module.measure():
        print(result, flush=True)
        yield result
    print(f"  in {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
