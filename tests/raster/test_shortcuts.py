"""The shortcuts of the CPU path (csrc/cpu/fast_walk.h) against the rule they stand for (csrc/core/boundary.h).

Every pair of neighbouring pixels that a shortcut takes for one surface must have no jump by the full rule.
"""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from headfit.raster import Topology, rasterize

CSRC = Path(__file__).parents[2] / "csrc"
SIZE = (64, 80)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    compiler = os.environ.get("CXX", "c++")
    if shutil.which(compiler) is None:
        pytest.skip(f"needs a C++ compiler, and {compiler} is not one (set CXX)")
    path = tmp_path_factory.mktemp("shortcuts") / "shortcuts.so"
    flags = ["-std=c++17", "-O1", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-I{CSRC}"]
    done = subprocess.run([compiler, *flags, CSRC / "tests/shortcuts.cpp", "-o", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(path))


def sheet(cells: int, noise: float, seed: int) -> tuple[Tensor, Tensor]:
    """Two images of a sheet over the whole picture, its vertices moved by up to `noise` cells and in depth."""
    g = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.linspace(0, 1, cells + 1), torch.linspace(0, 1, cells + 1), indexing="ij")
    v = torch.stack([x * SIZE[1], y * SIZE[0], torch.ones_like(x)], -1).reshape(-1, 3).repeat(2, 1, 1).double()
    spread = torch.tensor([noise * SIZE[1] / cells, noise * SIZE[0] / cells, 0.3], dtype=torch.float64)
    v += (torch.rand(v.shape, generator=g, dtype=v.dtype) - 0.5) * spread
    n = torch.arange((cells + 1) ** 2).reshape(cells + 1, cells + 1)
    p, q, r, t = (c.reshape(-1) for c in (n[:-1, :-1], n[:-1, 1:], n[1:, 1:], n[1:, :-1]))
    return v, torch.cat([torch.stack([p, q, r], -1), torch.stack([p, r, t], -1)]).int()


def on_lattice(v: Tensor) -> Tensor:
    """Vertices on pixel centres and corners: ties, and paths that meet a vertex exactly."""
    return torch.cat([(2 * v[..., :2]).round() / 2, v[..., 2:]], -1)


def through_camera(v: Tensor) -> Tensor:
    """A sheet that comes from behind the camera and crosses the near plane in the left third of the picture."""
    return torch.cat([v[..., :2], 0.02 * (v[..., :1] / SIZE[1] - 0.2) + 0.005 * (v[..., 2:] - 1)], -1)


def with_holes(faces: Tensor, seed: int) -> Tensor:
    return faces[torch.rand(len(faces), generator=torch.Generator().manual_seed(seed)) < 0.9]


def scene(kind: str, seed: int) -> tuple[Tensor, Tensor]:
    cells = (20, 45, 90)[seed % 3]  # faces of several pixels, of one, and smaller
    v, faces = sheet(cells, {"smooth": 0.6, "folded": 3.0}.get(kind, 1.5), seed)
    if kind == "lattice":
        v = on_lattice(v)
    if kind == "near plane":
        v = through_camera(v)
    return v, with_holes(faces, seed) if kind == "holes" else faces


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["smooth", "folded", "holes", "lattice", "near plane"])
def test_what_a_shortcut_skips_has_no_jump(library: ctypes.CDLL, kind: str, dtype: torch.dtype) -> None:
    total = np.zeros(3, np.int64)
    for seed in range(9):
        v, faces = scene(kind, seed)
        v = v.to(dtype).contiguous()
        index_img, _, _ = rasterize(v, faces, SIZE)
        group = torch.randint(0, 2, (len(faces) // 40 + 1,), generator=torch.Generator().manual_seed(seed))
        group = group.repeat_interleave(40)[: len(faces)].int().contiguous()  # patches, so that most pairs share one
        inputs = [v, faces.contiguous(), index_img, Topology(faces).adjacency, group]
        sizes = np.array([len(v), v.shape[1], len(faces), *SIZE], np.int64)
        counts = np.zeros(3, np.int64)
        count = getattr(library, f"count_shortcuts_{str(dtype).removeprefix('torch.')}")
        pointers = [sizes.ctypes.data, *(x.data_ptr() for x in inputs), counts.ctypes.data]
        count(*map(ctypes.c_void_p, pointers))
        total += counts
    adjacent, walked, wrong = total.tolist()
    assert adjacent > 1000 and walked > 1000, "both shortcuts decide many pairs"
    assert wrong == 0
