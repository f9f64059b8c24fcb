"""Times of the rasterizer on a head-like sphere. Run: python tests/benchmarks/bench_raster.py"""

import math
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from headfit.raster import Topology, edge_grad, interpolate, rasterize

ROWS, COLUMNS = 100, 200  # 39,600 triangles
CHANNELS = 3
SIZES = ((256, 192), (512, 384), (1024, 1024))  # H, W
BATCH = 4


def uv_sphere(rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """Unit sphere with its poles up and down, and bumps so that it hides parts of itself."""
    theta = torch.linspace(0, math.pi, rows + 1)[1:-1, None]
    phi = torch.arange(columns) * (2 * math.pi / columns)
    radius = 1 + 0.06 * torch.sin(7 * theta) * torch.cos(5 * phi)
    ring = radius[..., None] * torch.stack(
        [theta.sin() * phi.cos(), theta.cos().expand(-1, columns), theta.sin() * phi.sin()], -1
    )
    vertices = torch.cat([ring.reshape(-1, 3), torch.tensor([[0.0, 1, 0], [0, -1, 0]])])
    corner = torch.arange((rows - 1) * columns, dtype=torch.int32).reshape(rows - 1, columns)
    right = corner.roll(-1, 1)
    a, b, c, d = corner[:-1], right[:-1], right[1:], corner[1:]
    north, south = (torch.full((columns,), len(vertices) - k, dtype=torch.int32) for k in (2, 1))
    faces = torch.cat(
        [
            torch.stack([a, b, c], -1).reshape(-1, 3),
            torch.stack([a, c, d], -1).reshape(-1, 3),
            torch.stack([north, right[0], corner[0]], -1),
            torch.stack([south, corner[-1], right[-1]], -1),
        ]
    )
    return vertices, faces


def project(vertices: Tensor, height: int, width: int, angle: float) -> Tensor:
    """Vertices turned about y and seen from 4 units away; the head fills about half of the picture."""
    s, c = math.sin(angle), math.cos(angle)
    x, y, z = (vertices @ torch.tensor([[c, 0, s], [0, 1.3, 0], [-s, 0, c]])).unbind(-1)
    z = z + 4
    focal = 1.1 * min(height / 1.3, width)
    return torch.stack([focal * x / z + width / 2, focal * y / z + height / 2, z], -1)


def median_ms(run: Callable[[], object], repeats: int = 9) -> float:
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def measure(height: int, width: int) -> list[float]:
    """Median ms per image of the operations, in the order of the table's columns."""
    vertices, faces = uv_sphere(ROWS, COLUMNS)
    topology = Topology(faces)
    v_pix = torch.stack([project(vertices, height, width, 0.1 * b) for b in range(BATCH)]).requires_grad_()
    attributes = torch.rand(len(vertices), CHANNELS, requires_grad=True)
    index_img, bary, _ = rasterize(v_pix, faces, (height, width))
    image = interpolate(attributes, faces, index_img, bary)
    flat = image.detach()
    through_edges = edge_grad(flat, v_pix, faces, index_img, topology=topology)
    gradient = torch.rand_like(flat) - 0.5

    def backward(output: Tensor, inputs: list[Tensor], grad: Tensor) -> Callable[[], object]:
        return lambda: torch.autograd.grad(output, inputs, grad, retain_graph=True)

    runs = [
        lambda: rasterize(v_pix, faces, (height, width)),
        backward(bary, [v_pix], torch.rand_like(bary)),
        lambda: interpolate(attributes, faces, index_img, bary),
        backward(interpolate(attributes, faces, index_img, bary.detach()), [attributes], gradient),
        backward(through_edges, [v_pix], gradient),
    ]
    return [median_ms(run) / BATCH for run in runs]


def main() -> None:
    triangles = 2 * COLUMNS * (ROWS - 1)
    print(f"bumpy sphere, {triangles} triangles, {CHANNELS} channels, batch {BATCH}; ms per image")
    columns = ("rasterize", "backward", "interpolate", "backward", "edge_grad backward")
    print("  size      threads" + "".join(f"  {name:>11}" for name in columns))
    for height, width in SIZES:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            row = "".join(f"  {ms:11.2f}" for ms in measure(height, width))
            print(f"{width:5d}x{height:<5d} {threads:5d}  {row}")


if __name__ == "__main__":
    main()
