"""The rasterizer's speed and memory, compared with a plain baseline and the limits of the machine. Run: make bench

A forward pass is rasterize, interpolate and edge_grad; a full step adds the gradients of vertices and attributes.
One thread is measured by the minimum processor time of many runs, which other programs on the machine disturb least;
medians of wall-clock time are also shown. Two threads need wall-clock time: short bursts of one and of two threads
alternate, and the ratio is that of the shortest run of each; it is meaningful on an idle machine only. All of one
table is measured in one run: compare ratios, not milliseconds of different days.
"""

import argparse
import ctypes
import math
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # else torch's idle thread spins on a core that a worker needs

import torch
from torch import Tensor

from headfit.head import load
from headfit.raster import Topology, edge_grad, interpolate, rasterize

SIZES = (256, 512, 1024, 2048)
#: Pixels times channels of the largest case: 1 GB for the image, several times that for a step.
MOST_VALUES = 2**28


@dataclass(frozen=True)
class Case:
    mesh: str
    size: int
    batch: int = 1
    channels: int = 3


@dataclass
class Scene:
    """One mesh in front of one camera, repeated over the batch."""

    vertices: Tensor  # `[B,V,3]`
    faces: Tensor
    attributes: Tensor
    topology: Topology
    size: tuple[int, int]

    def forward(self) -> Tensor:
        index_img, bary, _ = rasterize(self.vertices, self.faces, self.size)
        image = interpolate(self.attributes, self.faces, index_img, bary)
        return edge_grad(image, self.vertices, self.faces, index_img, topology=self.topology)

    def full_step(self, gradient: Tensor) -> None:
        torch.autograd.grad(self.forward(), [self.vertices, self.attributes], gradient)


def head_mesh() -> tuple[Tensor, Tensor]:
    """The default head at rest, y down and z away from the camera, in units of its half height."""
    head = load()
    with torch.no_grad():
        v = head.subdivision @ head.mean
    v = v - (v.max(0).values + v.min(0).values) / 2
    return v * torch.tensor([1.0, -1.0, -1.0]) / v[:, 1].abs().max(), head.faces


def sphere(rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """Unit sphere of 2 columns (rows - 1) triangles."""
    theta = torch.linspace(0, math.pi, rows + 1)[1:-1, None]
    phi = torch.arange(columns) * (2 * math.pi / columns)
    ring = torch.stack([theta.sin() * phi.cos(), theta.cos().expand(-1, columns), theta.sin() * phi.sin()], -1)
    vertices = torch.cat([ring.reshape(-1, 3), torch.tensor([[0.0, 1, 0], [0, -1, 0]])])
    corner = torch.arange((rows - 1) * columns, dtype=torch.int32).reshape(rows - 1, columns)
    right = corner.roll(-1, 1)
    a, b, c, d = corner[:-1], right[:-1], right[1:], corner[1:]
    north, south = (torch.full((columns,), len(vertices) - k, dtype=torch.int32) for k in (2, 1))
    quads = [torch.stack([a, b, c], -1).reshape(-1, 3), torch.stack([a, c, d], -1).reshape(-1, 3)]
    caps = [torch.stack([north, right[0], corner[0]], -1), torch.stack([south, corner[-1], right[-1]], -1)]
    return vertices, torch.cat([*quads, *caps])


MESHES: dict[str, Callable[[], tuple[Tensor, Tensor]]] = {
    "head": head_mesh,
    "320": lambda: sphere(9, 20),
    "1,000,000": lambda: sphere(501, 1000),
}


def make_scene(case: Case) -> Scene:
    """The mesh of a case, as tall as the image and rotated a little further in each image of the batch."""
    vertices, faces = MESHES[case.mesh]()
    views = []
    for b in range(case.batch):
        s, c = math.sin(0.1 * b + 0.2), math.cos(0.1 * b + 0.2)
        x, y, z = (vertices @ torch.tensor([[c, 0, s], [0, 1, 0], [-s, 0, c]])).unbind(-1)
        z = z + 5
        views.append(torch.stack([2.35 * case.size * x / z, 2.35 * case.size * y / z, z], -1))
    v_pix = torch.stack(views) + torch.tensor([case.size / 2, case.size / 2, 0])
    attributes = torch.rand(len(vertices), case.channels, generator=torch.Generator().manual_seed(0))
    return Scene(v_pix.requires_grad_(), faces, attributes.requires_grad_(), Topology(faces), (case.size, case.size))


@dataclass(frozen=True)
class Times:
    """Minimum processor time and median wall-clock time of many runs, ms."""

    best: float
    median: float


def measure(run: Callable[[], object], seconds: float) -> Times:
    run()
    processor: list[float] = []
    wall: list[float] = []
    while len(wall) < 3 or (sum(wall) < seconds and len(wall) < 200):
        start = time.process_time(), time.perf_counter()
        run()
        processor.append(time.process_time() - start[0])
        wall.append(time.perf_counter() - start[1])
    return Times(1e3 * min(processor), 1e3 * statistics.median(wall))


def two_thread_ratio(run: Callable[[], object], seconds: float) -> float:
    """Speed-up of two threads over one, by the shortest runs of alternating bursts."""
    burst, best = 3, {1: math.inf, 2: math.inf}
    end = time.perf_counter() + seconds
    while True:
        for threads in best:
            torch.set_num_threads(threads)
            run()
            for _ in range(burst):
                start = time.perf_counter()
                run()
                best[threads] = min(best[threads], time.perf_counter() - start)
        if time.perf_counter() > end:
            torch.set_num_threads(1)
            return best[1] / best[2]


def peak_megabytes(run: Callable[[], object]) -> float:
    """Peak memory of the process during a call, less its memory before (Linux)."""
    status, clear = Path("/proc/self/status"), Path("/proc/self/clear_refs")

    def read(key: str) -> float:
        line = next(line for line in status.read_text().splitlines() if line.startswith(key))
        return float(line.split()[1]) / 1024

    ctypes.CDLL(None).malloc_trim(0)
    before = read("VmRSS")
    clear.write_text("5")
    run()
    return read("VmHWM") - before


class PlainBaseline:
    """tests/benchmarks/plain_baseline.cpp, one image, one thread."""

    def __init__(self) -> None:
        source = Path(__file__).with_name("plain_baseline.cpp")
        with tempfile.TemporaryDirectory() as folder:
            library = f"{folder}/plain.so"
            subprocess.run(["g++", "-O3", "-std=c++17", "-shared", "-fPIC", str(source), "-o", library], check=True)
            self.library = ctypes.CDLL(library)

    def times(self, scene: Scene, seconds: float) -> tuple[float, float]:
        """Times of forward pass and full step in ms: the minimum of many runs."""
        (height, width), v = scene.size, scene.vertices.detach()[0].contiguous()
        attributes = scene.attributes.detach()
        counts, channels = (len(scene.faces), height, width), attributes.shape[1]

        def at(x: Tensor) -> ctypes.c_void_p:
            return ctypes.c_void_p(x.data_ptr())

        def forward() -> list[Tensor]:
            shapes = [(height, width, 3), (height, width), (height, width, channels)]
            outputs = [torch.empty(height, width, dtype=torch.int32), *(torch.empty(shape) for shape in shapes)]
            self.library.plain_forward(*counts, channels, at(v), at(scene.faces), at(attributes), *map(at, outputs))
            return outputs

        def full_step() -> None:
            outputs, gradient = forward(), torch.ones(height, width, channels)
            grads = torch.empty_like(v), torch.empty_like(attributes)
            inputs = map(at, (v, scene.faces, attributes, *outputs, gradient, *grads))
            self.library.plain_backward(len(v), height, width, channels, *inputs)

        return measure(forward, seconds).best, measure(full_step, seconds).best


def bandwidth() -> float:
    """Memory bandwidth of streaming, reads and writes together, GB/s."""
    source = torch.ones(64 << 20)
    target = torch.empty_like(source)
    return 2 * source.numel() * 4 / 1e6 / measure(lambda: target.copy_(source), 1.0).best


def fill_ms(case: Case, seconds: float) -> float:
    """Time (ms) to write the outputs of one forward pass (index, barycentrics, depth, image) without computing them."""
    pixels = case.batch, case.size, case.size

    def fill() -> None:
        torch.empty(pixels, dtype=torch.int32).fill_(1)
        for channels in (3, 1, case.channels):
            torch.empty(*pixels, channels).fill_(1.0)

    return measure(fill, seconds).best


def quick_cases() -> list[Case]:
    head = [Case("head", size) for size in SIZES]
    return [
        *head,
        Case("head", 1024, channels=16),
        Case("head", 512, batch=4),
        Case("320", 1024),
        Case("1,000,000", 1024),
    ]


def all_cases() -> list[Case]:
    cases = [Case(*c) for c in product(("head",), SIZES, (1, 4, 16), (3, 16))]
    cases += [Case(*c) for c in product(("320", "1,000,000"), SIZES)]
    return [c for c in cases if c.batch * c.size**2 * c.channels <= MOST_VALUES]


def row(case: Case, plain: PlainBaseline, seconds: float) -> str:
    torch.set_num_threads(1)
    scene = make_scene(case)
    covered = int((rasterize(scene.vertices, scene.faces, scene.size)[0] >= 0).sum())
    gradient = torch.rand(case.batch, *scene.size, case.channels) - 0.5

    def full_step() -> None:
        scene.full_step(gradient)

    forward, full, fill = measure(scene.forward, seconds), measure(full_step, seconds), fill_ms(case, seconds / 4)
    two = two_thread_ratio(scene.forward, seconds), two_thread_ratio(full_step, seconds)
    memory = peak_megabytes(full_step)
    text = (
        f"{case.mesh:>10}{case.size:6}{case.batch:6}{case.channels:6}{covered / case.batch / case.size**2:9.0%}"
        f"{forward.best:9.2f}{full.best:9.2f}{forward.median:9.2f}{full.median:9.2f}"
        f"{1e6 * full.best / covered:7.0f}{1e6 * full.best / case.batch / len(scene.faces):8.0f}{memory:7.0f}"
        f"{fill:8.2f}{two[0]:8.2f}{two[1]:6.2f}"
    )
    if case.batch == 1:
        theirs = plain.times(scene, seconds / 2)
        text += f"{theirs[0] / forward.best:8.1f}{theirs[1] / full.best:6.1f}"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--all", action="store_true", help="every mesh, size, batch and number of channels (half an hour)"
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="for each number")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    plain = PlainBaseline()
    print(f"streaming bandwidth, one thread: {bandwidth():.1f} GB/s")
    print("ms: least processor time on one thread; median: of wall-clock time; ns: of the full step; MB: its peak;")
    print("fill: ms to write a forward's outputs; the last two pairs: forward and full step, how many times faster")
    print(
        f"{'mesh':>10}{'size':>6}{'batch':>6}{'chan.':>6}{'covered':>9}{'forward':>9}{'full':>9}{'median':>9}{'median':>9}"
        f"{'ns/px':>7}{'ns/tri':>8}{'MB':>7}{'fill':>8}{'2 threads':>14}{'vs plain':>14}"
    )
    for case in all_cases() if arguments.all else quick_cases():
        print(row(case, plain, arguments.seconds), flush=True)


if __name__ == "__main__":
    main()
