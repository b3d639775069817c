"""`tests/mutants.md` speaks of the code as it is: a reason outlives the line that it was given for only until here."""

from pathlib import Path

import pytest

import exbo_oauth

from .listed import explanations

PACKAGE = Path(exbo_oauth.__file__).parent


@pytest.mark.parametrize("line", sorted(explanations()))
def test_a_mutant_that_is_explained_is_one_of_code_that_stands(line: str) -> None:
    place, _, change = line.partition(": ")
    file, function = place.split()
    original, arrow, mutant = change.partition(" -> ")
    source = " ".join((PACKAGE / file).read_text(encoding="utf-8").split())
    assert " ".join(original.split()) in source, f"this is not in {file} any more: nox -s mutants -- {file}"
    assert f"def {function.rpartition('.')[2]}(" in source
    assert arrow
    assert original != mutant
