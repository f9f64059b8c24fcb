"""What a subcommand is, and the argument types that several of them share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headfit.errors import HeadfitError

if TYPE_CHECKING:
    from headfit.capture import CaptureSource
    from headfit.fitting.run_folder import Run

HEAD_HELP = "head model: a name, an npz, an ICT-FaceKit folder, a FLAME or GNM file, a YAML that names a mesh"


@dataclass(frozen=True)
class Command:
    """A subcommand of `headfit`.

    Args:
        name: the verb.
        help: one sentence.
        add_arguments: declares its arguments.
        run: does the work; returns the exit code, None for 0. It imports what it needs, so that `--help` is instant.
        usage: replaces argparse's own usage line.
        takes_settings: whether arguments that are not options are settings of the form group.key=value.
    """

    name: str
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int | None]
    usage: str | None = None
    takes_settings: bool = False


def add_run(parser: argparse.ArgumentParser, what_for: str) -> None:
    """Declare the run folder, and the capture that it was fitted to."""
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder of `headfit fit`")
    parser.add_argument("--capture", type=Path, metavar="CAPTURE", help=f"the capture, {what_for}")


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Declare which frames and cameras of a capture are used."""
    parser.add_argument(
        "--frames",
        metavar="A:B:STEP",
        default="",
        help="use the frames at these positions of capture.json's list, B excluded, like 0:100:3 (default: all)",
    )
    parser.add_argument(
        "--cameras", metavar="ID,ID", default="", help="use these cameras, in this order (default: all)"
    )


def open_run(path: Path) -> Run:
    """`load_run`; says so where the run is not finished."""
    from headfit.fitting.run_folder import load_run

    run = load_run(path)
    if run.unfinished:
        again = "headfit fit --resume continues it"
        print(f"headfit: warning: {path} is not finished ({run.unfinished}); {again}", file=sys.stderr)
    return run


def capture_of(run: Run, given: Path | None, any_size: bool = False) -> CaptureSource:
    """The capture of a run. `given`: where it is now; None: where it was when it was fitted. any_size: its pictures may
    have another size than those that were fitted.

    Raises:
        HeadfitError: it is not there, cannot be read, or has pictures of another size.
    """
    from headfit.capture import open_capture

    if given is None and not Path(run.args.capture).is_dir():
        raise HeadfitError(f"{run.args.capture}: the capture of {run.path} is not there any more; name it by --capture")
    capture = open_capture(given or run.args.capture, run.args.selection)
    if not any_size:
        run.model.capture.require_same_sizes(capture.cameras, run.path)
    return capture


def size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT in pixels."""
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) > 0 and int(height) > 0):
        raise argparse.ArgumentTypeError(f"{text}: expected WIDTHxHEIGHT in pixels, like 192x256")
    return int(width), int(height)


def whole_number(minimum: int) -> Callable[[str], int]:
    """The argument type of whole numbers of at least `minimum`."""

    def parse(text: str) -> int:
        if not (text.isdigit() and int(text) >= minimum):
            raise argparse.ArgumentTypeError(f"{text}: expected a whole number of at least {minimum}")
        return int(text)

    return parse
