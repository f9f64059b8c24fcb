"""The one exception a user is meant to read, and how its messages list names."""

from __future__ import annotations

from collections.abc import Sequence


class HeadfitError(Exception):
    """A problem with the user's input. The message names the file, camera or frame, and says what to do.

    The command line prints it on one line, without a traceback (`--debug` shows the traceback).
    """


def some_of(names: Sequence[str], shown: int = 5) -> str:
    """The first names of a list, and how many more there are."""
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more} more" if more > 0 else "")
