"""What a test can have the server do instead of answering: lose answers, fail, say something else, or wait."""

from threading import Lock

from ..protocol.messages import Request, Response
from . import knobs
from .faults import Faults, Gate, Scripted
from .routing import Router

__all__ = ["Scripting"]


class Scripting:
    """These methods of `FakeExbo`, which makes what they need."""

    _lock: Lock
    _faults: Faults
    _router: Router

    def lose_next_answer(
        self, *, processed: bool = True, partial: bool = False, times: int = 1, path: str | None = None
    ) -> None:
        """Drop the connection under the next answer, after the request was processed or before.

        `partial` lets half of the answer's body through first. `path` (``/oauth/token``) picks the endpoint; without it
        the next request to any endpoint that programs call is meant.
        """
        self._script(Scripted(times=times, path=path, processed=processed, partial=partial))

    def fail_next(
        self, status: int, retry_after: float | None = None, times: int = 1, *, path: str | None = None
    ) -> None:
        """Answer the next `times` requests with this status, unprocessed, and with Retry-After only if given."""
        knobs.status(status)
        if retry_after is not None:
            knobs.seconds("retry_after", retry_after, 0)

        def answer(request: Request, address: str) -> Response:
            return self._router.failure(request, status, retry_after, address)

        self._script(Scripted(times=times, path=path, answer=answer))

    def answer_next(self, response: Response, times: int = 1, *, path: str | None = None) -> None:
        """Answer the next `times` requests with `response` as it is, unprocessed."""
        self._script(Scripted(times=times, path=path, answer=lambda *_: response))

    def hold(self, path: str = "/oauth/token", *, times: int | None = None) -> Gate:
        """Hold back the answers to `path` until the gate is released; what they answer has happened already."""
        gate = Gate(path, times)
        with self._lock:
            self._faults.add_gate(gate)
        return gate

    def _script(self, scripted: Scripted) -> None:
        knobs.number("times", scripted.times, 1)
        with self._lock:
            self._faults.add(scripted)
