"""A full step of ours and of the method's authors' library (DRTK) in one run.

    python tests/benchmarks/bench_step.py [--other FOLDER] [--sizes 256 512 1024 2048]

A step is rasterize, interpolate, composite over a picture, edge gradient, squared loss, and backward to vertices and
colours; each library in its own layout of images. One thread; processor time, since other programs disturb it least.
The two alternate, so a ratio holds although the machine's speed drifts; never divide figures of different runs.

The other library is not on PyPI and is no dependency. Build github.com/facebookresearch/DRTK for the CPU (in a clone of
it: `pip wheel . --no-deps --no-build-isolation`, or `python setup.py build_ext --inplace`), for this very version of
torch, and install it, or point at the folder that contains the package `drtk` by --other or PYTHONPATH. Without it,
only our times are printed.
"""

import argparse
import importlib
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from bench_raster import SIZES, Case, make_scene
from torch import Tensor

from headfit.raster import Topology, edge_grad, interpolate, rasterize


@dataclass
class Step:
    """The inputs of a step: the default head, `v_pix [1,V,3]`, colours `[V,3]`, and two pictures `[1,H,W,3]`."""

    v_pix: Tensor
    faces: Tensor
    colours: Tensor
    topology: Topology
    background: Tensor
    target: Tensor

    def ours(self) -> Tensor:
        index_img, bary, _ = rasterize(self.v_pix, self.faces, tuple(self.target.shape[1:3]))
        image = interpolate(self.colours, self.faces, index_img, bary, self.background)
        return edge_grad(image, self.v_pix, self.faces, index_img, topology=self.topology)

    def theirs(self, drtk: ModuleType) -> Tensor:
        """The same image `[1,3,H,W]`; their pixel centres are at integers."""
        v = self.v_pix - torch.tensor([0.5, 0.5, 0.0])
        index_img = drtk.rasterize(v, self.faces, *self.target.shape[2:])
        _, bary = drtk.render(v, self.faces, index_img)
        image = drtk.interpolate(self.colours[None], self.faces, index_img, bary)
        image = torch.where(index_img[:, None] >= 0, image, self.background)
        return drtk.edge_grad_estimator(v_pix=v, vi=self.faces, bary_img=bary, img=image, index_img=index_img)

    def backward(self, image: Tensor) -> None:
        torch.autograd.grad((image - self.target).square().sum(), [self.v_pix, self.colours])

    def channels_first(self) -> "Step":
        pictures = (x.movedim(-1, 1).contiguous() for x in (self.background, self.target))
        return Step(self.v_pix, self.faces, self.colours, self.topology, *pictures)


def make_step(size: int) -> Step:
    scene, g = make_scene(Case("head", size)), torch.Generator().manual_seed(1)
    pictures = (torch.rand(1, size, size, 3, generator=g) for _ in range(2))
    return Step(scene.vertices, scene.faces, scene.attributes, scene.topology, *pictures)


def milliseconds(run: Callable[[], object], repeats: int) -> float:
    """Least processor time of some runs."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return 1e3 * min(times)


def load_other(folder: Path | None) -> ModuleType | None:
    if folder is not None:
        sys.path.insert(0, str(folder))
    try:
        return importlib.import_module("drtk")
    except ImportError as error:
        print(f"without the other library ({error}); --help says how to build it")
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--other", type=Path, help="the folder that contains the package drtk")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    drtk = load_other(arguments.other)
    print(f"{'size':>6}  {'what':8}{'ours, ms':>10}{'theirs, ms':>12}{'median ratio':>14}")
    for size in arguments.sizes:
        step = make_step(size)
        first = step.channels_first()
        ways: dict[str, list[Callable[[], object]]] = {
            "forward": [step.ours],
            "full": [lambda step=step: step.backward(step.ours())],
        }
        if drtk is not None:
            ways["forward"].append(lambda first=first: first.theirs(drtk))
            ways["full"].append(lambda first=first: first.backward(first.theirs(drtk)))
        for what, runs in ways.items():
            for run in runs:
                run()
            rounds = [[milliseconds(run, max(1, 2048 // size)) for run in runs] for _ in range(arguments.rounds)]
            best = [min(times) for times in zip(*rounds, strict=True)]
            other = f"{best[1]:12.2f}{statistics.median(b / a for a, b in rounds):14.1f}" if len(best) > 1 else ""
            print(f"{size:6}  {what:8}{best[0]:10.2f}{other}", flush=True)


if __name__ == "__main__":
    main()
