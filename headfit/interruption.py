"""Ctrl-C and SIGTERM as one exception, so that a command ends with a message and the status that the shell expects."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: Seconds after a signal in which another one counts as the same request: `timeout` and some shells send two. One
#: that comes later ends the process at once.
SAME_REQUEST = 2.0

_asked: tuple[int, float] | None = None


class Interrupted(BaseException):
    """The user or the system asked the process to stop.

    message: what the command line prints; the code that was interrupted may replace it by what it knows.
    """

    def __init__(self, signum: int) -> None:
        self.signum = signum
        self.name = "Ctrl-C" if signum == signal.SIGINT else signal.Signals(signum).name
        self.message = f"stopped by {self.name}"
        super().__init__(self.message)

    @property
    def status(self) -> int:
        """The exit status by the convention of shells: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.signum


@contextmanager
def signals_raise() -> Iterator[None]:
    """Have SIGINT and SIGTERM raise `Interrupted` in the main thread. An ignored signal (`nohup`, a background job of a
    script) stays ignored; outside of the main thread nothing changes."""
    global _asked
    _asked = None
    before = {signum: signal.getsignal(signum) for signum in SIGNALS}
    in_main_thread = threading.current_thread() is threading.main_thread()
    for signum, handler in before.items() if in_main_thread else ():
        if handler is not signal.SIG_IGN:
            signal.signal(signum, _handle)
    try:
        yield
    finally:
        _asked = None
        for signum, handler in before.items() if in_main_thread else ():
            signal.signal(signum, handler)


def raise_if_asked() -> None:
    """Raise `Interrupted` where a signal came whose exception was lost, as in a finaliser or a callback from C."""
    if _asked is not None:
        raise Interrupted(_asked[0])


def _handle(signum: int, frame: FrameType | None) -> None:
    global _asked
    now = time.monotonic()
    if _asked is None:
        _asked = signum, now
        raise Interrupted(signum)
    if now - _asked[1] > SAME_REQUEST:
        os._exit(128 + signum)
