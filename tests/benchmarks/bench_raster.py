"""The rasterizer's speed and memory, beside a plain baseline and the floors of this machine. Run: make bench

A forward is rasterize, interpolate and edge_grad; a full step is that and the gradients of vertices and attributes.
All of one table is measured in one run: look at ratios, not at milliseconds of different days.
"""

import ctypes
import math
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from headfit.fitting.run import keep_freed_memory
from headfit.head import load
from headfit.raster import Topology, edge_grad, interpolate, rasterize

#: Forward and full step in ms of the authors' library (drtk) on a CPU: one thread, a head of 52,000 triangles,
#: 3 channels, by picture size. Given to us with the task of beating them; not measured here.
AUTHORS = {256: (12.7, 36.0), 512: (29.0, 116.0), 1024: (89.0, 437.0), 2048: (401.0, 1985.0)}


@dataclass(frozen=True)
class Case:
    mesh: str
    size: int
    batch: int = 1
    channels: int = 3
    threads: int = 1


@dataclass
class Scene:
    """One mesh before one camera, batch times."""

    vertices: Tensor  # [B,V,3]
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
    """The mesh fills the picture's height; each image of the batch shows it turned a little further."""
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


def median_ms(run: Callable[[], object], seconds: float = 1.0) -> float:
    run()
    times: list[float] = []
    while len(times) < 5 or (sum(times) < seconds and len(times) < 50):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def peak_megabytes(run: Callable[[], object]) -> float:
    """Highest memory of the process during a call, above what it had before (Linux)."""
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

    def times(self, scene: Scene) -> tuple[float, float]:
        """Forward and full step in ms."""
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

        return median_ms(forward), median_ms(full_step)


def floors(size: int) -> tuple[float, float]:
    """Streaming bandwidth in GB/s (read + write), and ms to fill the outputs of one forward of 3 channels."""
    source = torch.ones(64 << 20)
    target = torch.empty_like(source)
    gigabytes = 2 * source.numel() * 4 / 1e9

    def fill() -> None:
        torch.empty(size, size, dtype=torch.int32).fill_(1)
        for channels in (3, 1, 3):
            torch.empty(size, size, channels).fill_(1.0)

    return gigabytes / (median_ms(lambda: target.copy_(source)) / 1e3), median_ms(fill)


def cases() -> list[Case]:
    head = [Case("head", size) for size in AUTHORS]
    more = [Case("head", 1024, channels=16), Case("head", 512, batch=4), Case("head", 512, batch=16)]
    more += [Case(mesh, 1024) for mesh in ("320", "1,000,000")]
    return [replace(case, threads=threads) for case in head + more for threads in (1, 2)]


def main() -> None:
    keep_freed_memory()
    plain = PlainBaseline()
    torch.set_num_threads(1)
    print(
        "floors, one thread: "
        + "; ".join("{}: copy {:.1f} GB/s, fill outputs {:.2f} ms".format(s, *floors(s)) for s in AUTHORS)
    )
    print("times are medians in ms; ns are of the full step on one thread's clock; MB is a full step's peak")
    print(
        f"{'mesh':>10}{'size':>6}{'batch':>6}{'chan.':>6}{'thr.':>5}{'covered':>9}{'forward':>9}{'full':>9}"
        f"{'ns/px':>7}{'ns/tri':>8}{'MB':>6}{'plain fwd':>10}{'full':>8}{'vs plain':>9}{'vs authors':>16}"
    )
    for case in cases():
        scene = make_scene(case)
        torch.set_num_threads(case.threads)
        covered = int((rasterize(scene.vertices, scene.faces, scene.size)[0] >= 0).sum())
        gradient = torch.rand(case.batch, *scene.size, case.channels) - 0.5
        forward, full = median_ms(scene.forward), median_ms(lambda: scene.full_step(gradient))  # noqa: B023
        memory = peak_megabytes(lambda: scene.full_step(gradient))  # noqa: B023
        row = (
            f"{case.mesh:>10}{case.size:6d}{case.batch:6d}{case.channels:6d}{case.threads:5d}"
            f"{covered / case.batch / case.size**2:9.0%}{forward:9.2f}{full:9.2f}"
            f"{1e6 * full / covered:7.1f}{1e6 * full / case.batch / len(scene.faces):8.1f}{memory:6.0f}"
        )
        if case.threads == 1 and case.batch == 1:
            plain_forward, plain_full = plain.times(scene)
            row += f"{plain_forward:10.2f}{plain_full:8.1f}{plain_full / full:8.1f}x"
            if case.mesh == "head" and case.channels == 3:
                their_forward, their_full = AUTHORS[case.size]
                row += f"{their_forward / forward:8.1f}x/{their_full / full:5.1f}x"
        print(row, flush=True)


if __name__ == "__main__":
    main()
