"""Time per step and memory of a fit with 12, 100, 1,000 and 10,000 frames.

    python tests/benchmarks/bench_scale.py

The frames of one small synthetic capture are repeated (as links), and each length is fitted in its own process
with a decode cache for about 12 frames, so that longer captures are decoded continuously.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

LENGTHS = (12, 100, 1000, 10000)
CAMERAS, WIDTH, HEIGHT = 4, 144, 192
CACHE_GIB = 0.02
STAGES = """
texture_size: 256
stages:
  shape:
    steps: 24
    resolution: 96
    views_per_frame: 2
    rates: {rotation: 0.004, translation: 0.0008, identity: 0.08, expression: 0.03, joints: 0.02}
    weights: {mask: 1, landmark: 500, identity: 2.0e-3, expression: 1.0e-3, joints: 1.0e-2}
  photo:
    steps: 24
    resolution: 192
    views_per_frame: 2
    rates: {translation: 0.0002, expression: 0.01, detail: 0.01, offsets: 0.0003, texture: 0.01, light: 0.005,
            gloss: 0.005, gain: 0.002}
    weights: {mask: 1, photometric: 3, landmark: 50, expression: 1.0e-3, offsets: 1.0e+3}
"""


def repeat(source: Path, out: Path, frames: int) -> None:
    """Write a capture of `frames` frames that are links to those of `source`, repeated."""
    manifest = json.loads((source / "capture.json").read_text())
    names = [f"{frame:06d}" for frame in range(frames)]
    for kind in ("images", "masks", "landmarks"):
        for camera in manifest["cameras"]:
            (out / kind / camera["id"]).mkdir(parents=True)
            for frame, name in enumerate(names):
                original = manifest["frames"][frame % len(manifest["frames"])]
                for file in (source / kind / camera["id"]).glob(f"{original}.*"):
                    (out / kind / camera["id"] / f"{name}{file.suffix}").symlink_to(file)
    (out / "capture.json").write_text(json.dumps({**manifest, "frames": names}))


def measure(capture: Path, folder: Path) -> dict[str, float]:
    """Run one fit. Returns the median CPU milliseconds per step of both stages, peak memory (MB), that
    without files after any step, and total seconds."""
    import pytorch_lightning as pl

    from headfit.fitting.config import RunArgs
    from headfit.fitting.run import fit
    from headfit.fitting.settings import load_config

    times: dict[str, list[float]] = {}
    anonymous = [0.0]

    class Stamp(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, fit: Any, *_: Any) -> None:
            times.setdefault(fit.chunk.stage, []).append(time.thread_time())
            anonymous.append(anonymous_memory())

    (folder / "stages.yaml").write_text(STAGES)
    args = RunArgs(
        capture=str(capture), out=str(folder / f"run{capture.name}"), cache_gib=CACHE_GIB, steps_per_picture=1000
    )
    start = time.perf_counter()
    fit(load_config(folder / "stages.yaml"), args, callbacks=[Stamp()])
    whole = time.perf_counter() - start
    steps = {name: 1e3 * median(b - a for a, b in pairwise(stamps)) for name, stamps in times.items()}
    return {
        **steps,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "own": max(anonymous),
        "whole": whole,
    }


def anonymous_memory() -> float:
    """Memory of this process (MB) without files of which the system keeps pages while it has room."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def main() -> None:
    from headfit.synth import synthesize

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        synthesize(folder / "source", cameras=CAMERAS, frames=12, width=WIDTH, height=HEIGHT, seed=0)
        print(f"{'frames':>8}{'shape ms':>10}{'photo ms':>10}{'peak MB':>9}{'own MB':>9}{'whole s':>9}")
        for frames in LENGTHS:
            repeat(folder / "source", folder / str(frames), frames)
            words = [sys.executable, __file__, str(folder / str(frames)), str(folder)]
            done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
            row = json.loads(done.stdout.splitlines()[-1])
            print(
                f"{frames:>8}{row['shape']:>10.0f}{row['photo']:>10.0f}{row['memory']:>9.0f}{row['own']:>9.0f}{row['whole']:>9.0f}"
            )


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(measure(Path(sys.argv[1]), Path(sys.argv[2]))))
    else:
        main()
