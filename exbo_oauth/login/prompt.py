"""The other way back: the callback's address, pasted by the user.

For a browser on another machine (SSH, a container), where the redirect ends on an error page whose address is all that
is needed. It runs beside the listener on a thread of its own, says what is wrong with a paste, and asks again.
"""

import threading
from collections.abc import Callable
from types import BuiltinFunctionType

from attrs import define, field

from ..errors import ConfigurationError
from ..language import mark, tr
from ..masking import detached
from .console import say
from .receiver import CallbackReceiver
from .terminal import Terminal, standard_input, terminal

__all__ = ["Prompt", "prompt_for"]

_QUESTION = mark("Is it on another machine, so that it cannot come back? Paste the address that it ended on: ")
_PAUSE = 0.2  # seconds between two questions: a function that answers by itself must not spin


@define(eq=False, repr=False)
class Prompt:
    """Asks with `ask` until the receiver is content, or somebody else was faster.

    `ask` returns the answer, None if there will be none. `leave` makes it give up, if anything can.
    """

    receiver: CallbackReceiver
    ask: Callable[[str], str | None]
    leave: Callable[[], None]

    def open(self) -> None:
        """Start to ask, until the wait is over. A function of the caller's that waits for its user is left alone."""
        threading.Thread(target=self._run, name="exbo-oauth-prompt", daemon=True).start()
        # By whoever ends the wait, before anybody hears of it: what is typed from then on is for the program.
        self.receiver.arrival.when_settled(self.leave)

    def _run(self) -> None:
        question, arrival = tr(_QUESTION), self.receiver.arrival
        while not arrival.settled:
            answer = self._answer(question)
            if answer is None or arrival.settled:
                return
            problem = self.receiver.pasted(answer)
            question = f"{tr('That will not do: {problem}.', problem=problem)}\n{tr(_QUESTION)}"
            arrival.wait(_PAUSE)

    def _answer(self, question: str) -> str | None:
        try:
            return self.ask(question)
        except (EOFError, KeyboardInterrupt, SystemExit):  # nobody there, or nobody willing
            return None
        except Exception as error:  # noqa: BLE001  # the caller's function, on our thread: its failure is theirs to see
            failure = ConfigurationError(f"the function passed as prompt failed with {type(error).__name__}: {error}")
            failure.__cause__ = detached(error)
        self.receiver.arrival.settle(failure)
        return None


def prompt_for(receiver: CallbackReceiver, ask: Callable[[str], str] | None) -> Prompt | None:
    """A prompt that asks with the caller's function, or else at the terminal, if there is one."""
    found = standard_input() if _is_input(ask) else terminal() if ask is None else None
    if found is not None:
        asker = _AtTerminal(found)
        return Prompt(receiver, asker.ask, asker.leave)
    return None if ask is None else Prompt(receiver, ask, lambda: None)


def _is_input(ask: object) -> bool:
    """Whether this is Python's own ``input``, which we can do better; notebooks put their own in its place."""
    return isinstance(ask, BuiltinFunctionType) and ask.__name__ == "input"


@define(eq=False, repr=False)
class _AtTerminal:
    """Asks on standard error, and ends the line of a question that is left open."""

    terminal: Terminal
    _is_open: list[None] = field(factory=list)

    def ask(self, question: str) -> str | None:
        self._is_open.append(None)
        say(question, end="")
        line = self.terminal.read_line()
        if self._end_question() and line is None:  # nobody typed the end of the line
            say("")
        return line

    def _end_question(self) -> bool:
        try:
            self._is_open.pop()  # atomic: of two threads, one
        except IndexError:
            return False
        return True

    def leave(self) -> None:
        self.terminal.leave()
        if self._end_question():
            say("")
