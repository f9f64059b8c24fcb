"""The command `headfit`: parses the command line, runs one subcommand, and turns errors into one line."""

from __future__ import annotations

import argparse
import io
import sys
import traceback
from collections.abc import Sequence
from typing import Any

from headfit import __version__
from headfit.commands import COMMANDS, MODEL_COMMANDS, Command
from headfit.errors import HeadfitError
from headfit.files import describe
from headfit.interruption import Interrupted, signals_raise


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Prints the default of every option that has one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        has_default = isinstance(action.default, str | int) and not isinstance(action.default, bool)
        return super()._get_help_string(action) if has_default and not action.required else action.help


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        "headfit", description="Fit a deformable head with a mouth interior to calibrated multi-view video."
    )
    top.add_argument("--version", action="version", version=f"headfit {__version__}")
    verbs = top.add_subparsers(title="verbs", metavar="VERB", required=True)
    for command in COMMANDS:
        _add(verbs, command)
    models = verbs.add_parser("models", help="List, show and build head models.", description="Head models.")
    on_models = models.add_subparsers(title="verbs", metavar="VERB", required=True, help="what to do with them")
    for command in MODEL_COMMANDS:
        _add(on_models, command)
    return top


def _add(verbs: Any, command: Command) -> None:
    sub = verbs.add_parser(
        command.name,
        help=command.help,
        description=command.help,
        usage=command.usage,
        formatter_class=_Help,
        allow_abbrev=False,
    )
    command.add_arguments(sub)
    sub.add_argument("--debug", action="store_true", help="print the traceback of an error (default: off)")
    sub.set_defaults(command=command)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    Returns:
    The exit code: 0, 2 for the user's errors and for files that cannot be read or written, 1 for ours (and for a
    capture in which `check` finds files that cannot be used), 3 for a fit that failed by its own verdict, 130 after
    Ctrl-C, 143 after SIGTERM.
    """
    top = parser()
    args, unparsed = top.parse_known_args(sys.argv[1:] if argv is None else list(argv))
    args.unparsed = unparsed
    if unparsed and not args.command.takes_settings:
        top.error(f"unrecognized arguments: {' '.join(unparsed)}")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names that the locale's encoding lacks, as on stderr
    try:
        with signals_raise():
            return args.command.run(args) or 0
    except HeadfitError as error:
        return _fail(str(error), 2, args.debug)
    except OSError as error:
        return _fail(describe(error), 2, args.debug)
    except Interrupted as stop:
        return _fail(stop.message, stop.status, False)
    except KeyboardInterrupt:
        return _fail("interrupted", 130, False)
    except Exception as error:  # the last line of defence: one line for the user, the rest behind --debug
        summary = " ".join(f"{type(error).__name__}: {error}".split())
        return _fail(f"{summary} (unexpected: run with --debug for the traceback)", 1, args.debug)


def _fail(message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    if message:  # one of several processes reports
        print(f"headfit: error: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
