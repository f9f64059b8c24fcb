"""Fit the default head to a capture from Python: settings, fit, meshes and a comparison picture.

The capture is a small one rendered here; `headfit check` says what one of your own holds. Settings are those of
`make demo`, cut short so that this page runs in seconds: it shows how, not how well.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from headfit.assets import asset_path
from headfit.capture import open_capture
from headfit.export import export_meshes
from headfit.fitting.config import FitConfig, RunArgs
from headfit.fitting.run import fit
from headfit.fitting.run_folder import load_run
from headfit.fitting.settings import load_config
from headfit.synth import synthesize

STEPS = 12  # per stage


def main(folder: Path) -> float:
    """Write capture, run, meshes and `compare.png` to `folder`; returns the mean colour error on the head, 0 to 255."""
    synthesize(folder / "capture", cameras=3, frames=2, width=96, height=128, seed=0)
    fit(short(load_config(asset_path("configs/demo.yaml"))), RunArgs(str(folder / "capture"), str(folder / "run")))

    # A run opens without its capture: it knows cameras and frames.
    head = load_run(folder / "run").model
    print(f"frames {head.capture.frames}, vertices of the first {tuple(head.vertices(0).shape)}, metres")
    export_meshes(head, folder / "meshes", ["npz", "glb"])

    capture = open_capture(folder / "capture")
    rows, errors = [], []
    for camera in range(len(capture.cameras)):
        image = capture.image(camera, 0)
        layers = head.render(head.capture.cameras[camera], 0)
        shows_head = layers["alpha"] > 0
        errors.append(np.abs(image.astype(int) - layers["rgb"])[shows_head].mean())
        rows.append(np.hstack([image, layers["rgb"]]))
    Image.fromarray(np.vstack(rows)).save(folder / "compare.png")
    return float(np.mean(errors))


def short(config: FitConfig) -> FitConfig:
    """`config` with few steps in each stage, and a coarse texture."""
    stages = {
        name: replace(stage, steps=min(stage.steps, STEPS)) for name, stage in config.stages.items() if stage.steps
    }
    return replace(config, stages=stages, texture_size=256)


if __name__ == "__main__":
    print(f"mean colour error {main(Path(sys.argv[1] if len(sys.argv) > 1 else 'fit')):.1f} of 255")
