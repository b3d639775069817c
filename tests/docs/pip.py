#!PYTHON
"""Stands in for pip where there is no network: what is asked for is checked, and taken from the tests' environment."""

import re
import sys
import sysconfig
import tomllib
from importlib.metadata import metadata
from pathlib import Path

OURS = ("exbo-oauth", "../exbo-oauth", ".")
OTHERS = ("aiogram", "python-dotenv")
SCRIPT = "#!{python}\nimport sys\nfrom exbo_oauth.__main__ import main\nsys.exit(main())\n"


def check(requirement: str) -> None:
    found = re.fullmatch(r"([^\[]+)(?:\[(.+)\])?", requirement)
    assert found is not None, requirement
    name, extras = found[1], set((found[2] or "").split(",")) - {""}
    assert name in OURS + OTHERS, requirement
    if "." in name:
        project = tomllib.loads(Path(name, "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert project["name"] == "exbo-oauth", requirement
    if name in OURS:
        assert extras <= set(metadata("exbo-oauth").get_all("Provides-Extra") or ()), requirement


if __name__ == "__main__":
    command, *requirements = sys.argv[1:]
    assert command == "install", sys.argv
    for requirement in requirements:
        check(requirement)
    environment = Path(__file__).absolute().parent.parent
    [packages] = environment.glob("lib/python*/site-packages")
    theirs = sysconfig.get_path("purelib")
    (packages / "tests.pth").write_text(f"import site; site.addsitedir({theirs!r})\n", encoding="utf-8")
    script = environment / "bin" / "exbo-oauth"
    script.write_text(SCRIPT.format(python=environment / "bin" / "python"), encoding="utf-8")
    script.chmod(0o755)
