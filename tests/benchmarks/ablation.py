"""Ablation study: short fits of every variant and capture, scored, as a table in Markdown; the mean over seeds.

    python tests/benchmarks/ablation.py --out FOLDER CAPTURE [CAPTURE ...] [--variants NAME ...] [--seeds N ...]

A capture is `PATH[:CAMERA]`; the camera is held out. Where a capture has exact masks in `gt/masks_true` besides those
that are fitted, these are compared with. Existing fits are not run again. The first column of teeth is in mm, of all of
them or, where the true mesh has two rows, of the upper ones.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import released_rule
from torch import Tensor

from headfit.fitting.config import Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation
from headfit.fitting.terms import TERMS, Term, photometric
from headfit.fitting.terms.mask import blurred_mask_loss
from headfit.fitting.terms.term import mean_share_of_head
from headfit.raster import loss_of_pixels
from headfit.render import COLOUR_LOSS, Fragments, HeadRenderer

STAGES = ("shape", "fine", "photo", "refine", "polish")
SHORT = {"shape": 70, "fine": 60, "photo": 60, "refine": 40, "polish": 1, "hair": 20}
#: First-order steps in place of second-order ones, which know nothing of the variants.
SHAPE = (
    "solver=adam",
    "frames_per_step=12",
    "views_per_frame=2",
    "blur=2.0",
    "decay=0.2",
    "decay_share=0.4",
    "rates={rotation: 0.01, translation: 0.001, scale: 0.002, identity: 0.08, expression: 0.03, joints: 0.02}",
)
REGULARISERS = ("identity", "expression", "joints", "placement", "offsets", "detail", "appearance", "contact")
INNER = ("teeth", "upper_teeth", "lower_teeth", "mouth", "tongue")


def weight(term: str, value: float, stages: tuple[str, ...] = STAGES) -> list[str]:
    return [f"stages.{stage}.weights.{term}={value}" for stage in stages]


def still(group: str) -> list[str]:
    return [f"stages.{stage}.rates.{group}=0" for stage in STAGES]


@dataclass(frozen=True)
class Variant:
    """settings: those that differ from the default configuration; edges: whose edge gradients; without: what is left
    out that no setting turns off."""

    settings: list[str] = field(default_factory=list)
    edges: str = "ours"
    without: str = ""


VARIANTS = {
    "the default": Variant(),
    "photometric only": Variant(weight("mask", 0)),
    "masks only": Variant(weight("photometric", 0)),
    "no edge gradients": Variant(edges="none"),
    "released edge rule": Variant(edges="released"),
    "mouth not compared": Variant([f"class_weights.{c}=0" for c in INNER]),
    "no landmarks": Variant(["use_landmarks=false"]),
    "hair is skin": Variant(without="hair"),
    "no fine offsets": Variant(still("fine_offsets")),
    "no camera correction": Variant(still("cameras")),
    "cameras with one gain": Variant(still("gain")),
    "no gloss": Variant(still("gloss")),
    "no trust in masks": Variant(without="mask trust"),
    "no guard": Variant(without="guard"),
    **{f"no {term} term": Variant(weight(term, 0)) for term in REGULARISERS},
}
COLUMNS = ("face", "95 %", "teeth", "sliding", "head", "lips", "teeth", "mouth", "tongue", "eyes", "PSNR")


def run_one(name: str, capture: str, seed: int, out: Path) -> None:
    """Run and score one fit in this process."""
    from headfit.capture import open_capture
    from headfit.capture.labels import native_name
    from headfit.evaluate import evaluate
    from headfit.fitting.config import RunArgs
    from headfit.fitting.run import fit
    from headfit.fitting.settings import load_config

    variant = VARIANTS[name]
    path, _, camera = capture.partition(":")
    short = [f"stages.{stage}.steps={steps}" for stage, steps in SHORT.items()]
    short += [f"stages.shape.{setting}" for setting in SHAPE]
    config = load_config("configs/fit.yaml", [*short, *variant.settings, f"hold_out=[{camera}]", f"seed={seed}"])
    for stage in ("pose", "settle"):  # they cannot be done by first-order steps
        del config.stages[stage]
    leave_out(variant.without)
    with tempfile.TemporaryDirectory() as folder:
        content = json.loads((Path(path) / "capture.json").read_text())
        if variant.without == "hair":
            content["classes"] = {k: "skin" if native_name(v) == "hair" else v for k, v in content["classes"].items()}
        fitted = _like(Path(path), Path(folder) / "fitted", content)
        run = fit(config, RunArgs(capture=str(fitted), out=str(out)), terms=terms_with(variant.edges))
        if (Path(path) / "gt/masks_true").is_dir():
            content["masks"] = "gt/masks_true/{camera}/{frame}.png"
        evaluate(run, open_capture(_like(Path(path), Path(folder) / "scored", content)), ["face=0:6706"])


def _like(capture: Path, folder: Path, content: dict) -> Path:
    """The same files with another capture.json."""
    folder.mkdir()
    for entry in capture.resolve().iterdir():
        if entry.name != "capture.json":
            (folder / entry.name).symlink_to(entry)
    (folder / "capture.json").write_text(json.dumps(content))
    return folder


def leave_out(what: str) -> None:
    """Turn off a part of the fit in this process."""
    from headfit.fitting.guard import Guard
    from headfit.fitting.module import HeadFit

    if what == "mask trust":
        HeadFit._judge_masks = lambda self: None
    if what == "guard":
        Guard._extent = lambda self, attempt: 0.0


def terms_with(edges: str) -> dict[str, Term]:
    """The loss terms with our edge gradients, those of the released rule, or none."""
    if edges == "ours":
        return dict(TERMS)
    edge_grad = released_rule.edge_grad if edges == "released" else lambda image, *_: image

    def with_edges(renderer: HeadRenderer, image: Tensor, f: Fragments) -> Tensor:
        return edge_grad(image, f.v_pix, renderer.faces, f.index_img)

    def mask_loss(o: Observation, model: FittedHead, stage: Stage) -> Tensor:
        image, _ = model.renderer.class_image(o.fragments, model.class_of_label, len(model.classes))
        image, known = with_edges(model.renderer, image, o.fragments), o.mask_known.float()
        if stage.blur:
            return blurred_mask_loss(image, o.target, known, model.class_weight, o.head_area, stage.blur)
        return mean_share_of_head((image - o.target).square() @ model.class_weight * known, o.head_area)

    def photometric_loss(o: Observation, model: FittedHead, stage: Stage) -> Tensor:
        shown = model.compare_colours(o)
        image = with_edges(model.renderer, photometric.without_edges_to_the_unknown(shown), o.fragments)
        difference = loss_of_pixels(shown.colours, shown.image, *COLOUR_LOSS)
        moving = loss_of_pixels(image, shown.image, *COLOUR_LOSS) * shown.lit
        return mean_share_of_head(moving + difference * shown.texture_only, o.head_area)

    changed = {"mask": mask_loss, "photometric": photometric_loss}
    return {name: replace(term, loss=changed.get(name, term.loss)) for name, term in TERMS.items()}


def numbers(metrics: dict) -> list[float]:
    """The figures of one fit, in the order of `COLUMNS`."""
    distance, iou = metrics["distances"], metrics["iou"]
    pictures = metrics["pictures"].get("held_out", metrics["pictures"]["training"])
    teeth = distance.get("teeth") or distance["upper_teeth"]  # the parts are those of the true mesh
    millimetres = (
        distance["face"]["median_mm"],
        distance["face"]["p95_mm"],
        teeth["median_mm"],
        distance["face"].get("sliding_median_mm", float("nan")),
    )
    labels = [iou[name] for name in ("head", "lips", "teeth", "mouth", "tongue", "eyes")]
    return [*millimetres, *labels, pictures["psnr_db"]]


def row(fits: list[dict]) -> list[str]:
    mean = np.mean([numbers(metrics) for metrics in fits], axis=0)
    return [f"{x:.{digits}f}" for x, digits in zip(mean, [2] * 4 + [3] * 6 + [1], strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", nargs="+", metavar="CAPTURE[:CAMERA]")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)  # each fit runs in its own process
    args = parser.parse_args()
    if args.one:
        run_one(args.variants[0], args.captures[0], args.seeds[0], args.out)
        return
    for capture in args.captures:
        print(f"\n{Path(capture.partition(':')[0]).name}\n\n| variant | {' | '.join(COLUMNS)} |")
        print("|---" * (len(COLUMNS) + 1) + "|")
        for variant in args.variants:
            fits = []
            for seed in args.seeds:
                name = f"{Path(capture.partition(':')[0]).name}/{variant.replace(' ', '_')}-{seed}"
                out = args.out / name
                if not (out / "metrics.json").exists():
                    command = [sys.executable, __file__, capture, "--out", str(out), "--variants", variant]
                    with open(args.out / "log.txt", "a") as log:
                        command += ["--seeds", str(seed), "--one"]
                        subprocess.run(command, stdout=log, stderr=log, check=False)
                if (out / "metrics.json").exists():
                    fits.append(json.loads((out / "metrics.json").read_text()))
            scores = row(fits) if len(fits) == len(args.seeds) else ["failed"]
            print(f"| {variant} | {' | '.join(scores)} |", flush=True)


if __name__ == "__main__":
    main()
