"""Ablation study: one short fit per variant and capture, scored, as a table in Markdown.

    python tests/benchmarks/ablation.py --out FOLDER CAPTURE [CAPTURE ...] [--variants NAME ...]

A capture is `PATH[:CAMERA]`; the camera is held out. Existing fits are only scored.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import released_rule
import torch
from torch import Tensor

from headfit.fitting.config import Stage
from headfit.fitting.model import FittedHead
from headfit.fitting.observation import Observation
from headfit.fitting.terms import TERMS, Term, photometric
from headfit.fitting.terms.mask import blurred_mask_loss
from headfit.fitting.terms.term import mean_share_of_head
from headfit.raster import loss_of_pixels
from headfit.render import COLOUR_LOSS, Fragments, HeadRenderer

STAGES = ("rigid", "shape", "fine", "photo", "refine", "polish")
SHORT = {"shape": 40, "fine": 60, "photo": 60, "refine": 40, "polish": 1}
REGULARISERS = ("identity", "expression", "joints", "placement", "offsets", "detail", "appearance", "contact")
INNER = ("teeth", "upper_teeth", "lower_teeth", "mouth", "tongue")


def weight(term: str, value: float, stages: tuple[str, ...] = STAGES) -> list[str]:
    return [f"stages.{stage}.weights.{term}={value}" for stage in stages]


#: Variants by name: (edge gradients; settings that differ from the default configuration).
VARIANTS: dict[str, tuple[str, list[str]]] = {
    "photometric only": ("ours", weight("mask", 0)),
    "masks only": ("ours", weight("photometric", 0)),
    "masks + photometric, no edge gradients": ("none", []),
    "masks + photometric, released edge rule": ("released", []),
    "masks + photometric, our edges, mouth not compared": ("ours", [f"class_weights.{c}=0" for c in INNER]),
    "the default": ("ours", []),
    "no fine offsets": ("ours", [f"stages.{stage}.rates.fine_offsets=0" for stage in STAGES]),
    "no camera correction": ("ours", [f"stages.{stage}.rates.cameras=0" for stage in STAGES]),
    "without gloss": ("ours", [f"stages.{stage}.rates.gloss=0" for stage in STAGES]),
    "no landmarks": ("ours", ["use_landmarks=false"]),
    **{f"without the {term} prior": ("ours", weight(term, 0)) for term in REGULARISERS},
}
COLUMNS = ("face", "95 %", "teeth", "sliding", "head", "lips", "teeth", "mouth", "tongue", "eyes", "PSNR")


def run_one(variant: str, capture: str, out: Path) -> None:
    """Run and score one fit in this process."""
    from headfit.capture import open_capture
    from headfit.evaluate import evaluate
    from headfit.fitting.config import RunArgs
    from headfit.fitting.run import fit
    from headfit.fitting.settings import load_config

    edges, overrides = VARIANTS[variant]
    path, _, camera = capture.partition(":")
    short = [f"stages.{name}.steps={steps}" for name, steps in SHORT.items()]
    config = load_config("configs/fit.yaml", [*short, *overrides, f"hold_out=[{camera}]"])
    run = fit(config, RunArgs(capture=str(Path(path).resolve()), out=str(out)), terms=terms_with(edges))
    evaluate(run, open_capture(path), ["face=0:6706"])


def terms_with(edges: str) -> dict[str, Term]:
    """The loss terms with our edge gradients, those of the released rule, or none."""
    if edges == "ours":
        return dict(TERMS)
    edge_grad = released_rule.edge_grad if edges == "released" else lambda image, *_: image

    def with_edges(renderer: HeadRenderer, image: Tensor, f: Fragments) -> Tensor:
        return edge_grad(image, f.v_pix, renderer.faces, f.index_img)

    def mask_loss(o: Observation, model: FittedHead, stage: Stage) -> Tensor:
        one_hot = torch.eye(len(model.classes))
        image, _ = model.renderer.class_image(o.fragments, model.class_of_label, one_hot)
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


def row(metrics: dict) -> list[str]:
    distance, iou = metrics["distances"], metrics["iou"]
    pictures = metrics["pictures"].get("held_out", metrics["pictures"]["training"])
    millimetres = (
        distance["face"]["median_mm"],
        distance["face"]["p95_mm"],
        distance["teeth"]["median_mm"],
        distance["face"].get("sliding_median_mm", float("nan")),
    )
    labels = [iou[name] for name in ("head", "lips", "teeth", "mouth", "tongue", "eyes")]
    return [*(f"{mm:.2f}" for mm in millimetres), *(f"{x:.3f}" for x in labels), f"{pictures['psnr_db']:.1f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", nargs="+", metavar="CAPTURE[:CAMERA]")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS))
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)  # each fit runs in its own process
    args = parser.parse_args()
    if args.one:
        run_one(args.variants[0], args.captures[0], args.out)
        return
    for capture in args.captures:
        print(f"\n{Path(capture.partition(':')[0]).name}\n\n| variant | {' | '.join(COLUMNS)} |")
        print("|---" * (len(COLUMNS) + 1) + "|")
        for variant in args.variants:
            out = args.out / Path(capture.partition(":")[0]).name / variant.replace(" ", "_")
            if not (out / "metrics.json").exists():
                command = [sys.executable, __file__, capture, "--out", str(out), "--variants", variant, "--one"]
                with open(args.out / "log.txt", "a") as log:
                    subprocess.run(command, stdout=log, stderr=log, check=False)
            scores = (
                row(json.loads((out / "metrics.json").read_text())) if (out / "metrics.json").exists() else ["failed"]
            )
            print(f"| {variant} | {' | '.join(scores)} |", flush=True)


if __name__ == "__main__":
    main()
