"""Words for the person at the terminal."""

import sys

import pytest

from exbo_oauth.login.console import say


def test_where_nobody_can_read_them_they_are_not_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as windowed:  # as pythonw and services of Windows have it
        windowed.setattr(sys, "stderr", None)
        say("to sign in, open")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")


def test_a_reader_who_has_left_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Left:
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Left())
    say("to sign in, open")
