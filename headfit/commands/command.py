"""What a subcommand is, and the argument types that several of them share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

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
