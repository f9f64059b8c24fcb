"""The one exception a user is meant to read."""


class HeadfitError(Exception):
    """A problem with the user's input. The message names the file, camera or frame, and says what to do.

    The command line prints it on one line, without a traceback (`--debug` shows the traceback).
    """
