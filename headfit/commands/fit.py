"""`headfit fit`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headfit.commands.command import HEAD_HELP, Command, add_selection
from headfit.errors import HeadfitError

#: Exit status of a fit that ran to its end, but does not explain the capture.
EXIT_FAILED = 3


class _PrintConfigHelp(argparse.Action):
    """`--help-config`: like `--help`, for the settings."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from headfit.fitting.config_help import config_help

        print(config_help())
        parser.exit()


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Settings can also be given as group.key=value or --group.key value."
    parser.add_argument("--capture", type=Path, required=True, help="folder with capture.json")
    add_selection(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="run folder to write")
    parser.add_argument("--head", metavar="HEAD", help=f"{HEAD_HELP} (default: the configuration's)")
    parser.add_argument(
        "--config",
        type=Path,
        metavar="YAML",
        help="configuration (default: the packaged configs/fit.yaml; where the capture has no masks, "
        "configs/no-masks.yaml; with --init-from, configs/track.yaml; with --resume, the run's own)",
    )
    parser.add_argument(
        "--set",
        dest="settings",
        nargs="+",
        action="extend",
        metavar="KEY=VALUE",
        default=[],
        help="settings that replace the configuration's, such as stages.photo.steps=300 (default: none)",
    )
    parser.add_argument(
        "--help-config",
        nargs=0,
        action=_PrintConfigHelp,
        help="explain every setting, parameter group and loss term, and exit (default: off)",
    )
    parser.add_argument(
        "--hold-out",
        nargs="+",
        action="extend",
        metavar="CAMERA",
        default=[],
        help="camera ids kept from the fit, to score it (default: none)",
    )
    parser.add_argument("--no-landmarks", action="store_true", help="do not use the capture's landmarks (default: off)")
    parser.add_argument(
        "--init-from",
        type=Path,
        metavar="RUN",
        help="run of the same person: its head, texture and light are kept, new frames are fitted (default: none)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="share a long take between N processes; the default configuration is then configs/take.yaml, with "
        "--init-from configs/take-known.yaml (default: 0)",
    )
    parser.add_argument("--cluster", choices=["slurm"], help="where the workers run (default: on this machine)")
    parser.add_argument("--resume", action="store_true", help="continue from the last checkpoint in RUN (default: off)")


def _run(args: argparse.Namespace) -> int | None:
    from headfit.assets import asset_path
    from headfit.fitting.run import fit
    from headfit.fitting.settings import CONFIG, load_settings
    from headfit.fitting.take import fit_take
    from headfit.head import resolve

    # `--hold-out cam02 seed=1`: argparse takes the setting for one more camera.
    hold_out = [word for word in args.hold_out if "=" not in word]
    words = [word for word in args.hold_out if "=" in word] + args.settings + args.unparsed
    saved = args.out / CONFIG
    resumed = saved if args.resume and saved.exists() else None
    base = args.config or resumed or asset_path(_packaged(args))
    config, run_args = load_settings(base, settings_as_dotlist(words), args.out if args.resume else None)
    # Absolute, so that the run folder can be read from anywhere.
    run_args.capture, run_args.out, run_args.resume = str(args.capture.resolve()), str(args.out), args.resume
    run_args.frames, run_args.cameras = args.frames or run_args.frames, args.cameras or run_args.cameras
    run_args.workers = run_args.workers if args.workers is None else args.workers
    run_args.cluster = args.cluster or run_args.cluster
    config.head = resolve(args.head or config.head)
    config.hold_out = hold_out or config.hold_out
    config.init_from = str(args.init_from.resolve()) if args.init_from else config.init_from
    config.use_landmarks = config.use_landmarks and not args.no_landmarks
    return _judge(fit_take(config, run_args) if run_args.workers or run_args.cluster else fit(config, run_args))


def _packaged(args: argparse.Namespace) -> str:
    """The packaged configuration that suits the arguments."""
    from headfit.capture import open_capture
    from headfit.capture.selection import Selection
    from headfit.capture.source import shows_outline

    if args.workers:
        return "configs/take-known.yaml" if args.init_from else "configs/take.yaml"
    if args.init_from:
        return "configs/track.yaml"
    if shows_outline(open_capture(args.capture, Selection(args.frames, args.cameras))):
        return "configs/fit.yaml"
    print(f"{args.capture}: no masks of the background; using configs/no-masks.yaml")
    return "configs/no-masks.yaml"


def _judge(run: Any) -> int | None:
    """Say how good the fit is, where a person should look, and which files could not be used; 3 when it failed."""
    from pytorch_lightning.utilities import rank_zero_only

    if getattr(rank_zero_only, "rank", 0):
        return None  # one of several processes; the first one reports
    from headfit.evaluate.health import report_health
    from headfit.evaluate.verdict import FAILED

    verdict = report_health(run)
    print(f"fitted: {run.path}")
    if verdict.startswith(FAILED):
        print(f"headfit: the fit {verdict}", file=sys.stderr)
        return EXIT_FAILED
    return None


def settings_as_dotlist(words: Sequence[str]) -> list[str]:
    """`a.b=1`, `--a.b=1` and `--a.b 1` alike as OmegaConf's `a.b=1`. Raises HeadfitError for anything else."""
    pairs: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        key = word.removeprefix("--")
        if "=" in key:
            pairs.append(key)
        elif word.startswith("--") and rest and not rest[0].startswith("--"):
            pairs.append(f"{key}={rest.pop(0)}")
        else:
            raise HeadfitError(f"{word}: not an option, and not a setting of the form group.key=value")
    return pairs


COMMAND = Command(
    "fit",
    "Fit the head to a capture: meshes, texture, light and a TensorBoard log in one run folder.",
    _add_arguments,
    _run,
    usage="headfit fit --capture CAPTURE --out RUN [--head HEAD] [--config YAML] [--hold-out CAMERA ...] "
    "[--no-landmarks] [--init-from RUN] [--workers N] [--cluster slurm] [--resume] [--help-config] [--debug] "
    "[--set KEY=VALUE ...]",
    takes_settings=True,
)
