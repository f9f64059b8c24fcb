"""What each part of a fit brings: one short fit per variant and capture, scored, as a table in Markdown.

    python tests/benchmarks/ablation.py --out FOLDER CAPTURE [CAPTURE ...] [--variants NAME ...]

A capture is `PATH[:CAMERA]`, the camera held out. Fits that are there already are only scored.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

STAGES = ("rigid", "shape", "fine", "photo", "polish")
SHORT = {"shape": 40, "fine": 60, "photo": 100, "polish": 1}
REGULARISERS = ("identity", "expression", "joints", "placement", "offsets", "detail")
INNER = ("teeth", "upper_teeth", "lower_teeth", "mouth", "tongue")


def weight(term: str, value: float, stages: tuple[str, ...] = STAGES) -> list[str]:
    return [f"stages.{stage}.weights.{term}={value}" for stage in stages]


#: Name: (which edge gradients, or matte: ours without gloss; overrides of the default configuration).
VARIANTS: dict[str, tuple[str, list[str]]] = {
    "photometric only": ("ours", weight("mask", 0)),
    "masks only": ("ours", weight("photometric", 0)),
    "masks + photometric, no edge gradients": ("none", []),
    "masks + photometric, released edge rule": ("released", []),
    "masks + photometric, our edges, mouth not compared": ("ours", [f"class_weights.{c}=0" for c in INNER]),
    "the default": ("ours", []),
    "without gloss": ("matte", []),
    "no landmarks": ("ours", ["use_landmarks=false"]),
    **{f"without the {term} prior": ("ours", weight(term, 0)) for term in REGULARISERS},
}
COLUMNS = ("face", "95 %", "teeth", "sliding", "head", "lips", "teeth", "mouth", "tongue", "eyes", "PSNR")


def run_one(variant: str, capture: str, out: Path) -> None:
    """One fit and its scores, in this process."""
    from headfit.evaluate import evaluate
    from headfit.fitting.config import load_config
    from headfit.fitting.run import fit
    from headfit.render import appearance, renderer

    edges, overrides = VARIANTS[variant]
    if edges == "matte":
        appearance.GLOSSY = renderer.GLOSSY = ()
    elif edges != "ours":
        import released_rule

        renderer.edge_grad = released_rule.edge_grad if edges == "released" else lambda image, *_, **__: image
        renderer.pixel_loss = released_rule.pixel_loss if edges == "released" else _loss_without_edges
    path, _, camera = capture.partition(":")
    short = [f"stages.{name}.steps={steps}" for name, steps in SHORT.items()]
    config = load_config("configs/fit.yaml", [*short, *overrides])
    config.capture, config.out, config.hold_out = str(Path(path).resolve()), str(out), [camera] if camera else []
    evaluate(fit(config), ["face=0:6706"])


def _loss_without_edges(image, target, v_pix, faces, index_img, *, kind, scale=None, **_):  # type: ignore[no-untyped-def]
    from headfit.raster import loss_of_pixels

    return loss_of_pixels(image, target, kind, scale or 0.0)


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
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)  # a process of its own for each fit
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
