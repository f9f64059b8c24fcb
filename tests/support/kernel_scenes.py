"""Meshes for the tests of the kernels, inputs computed from them, and comparisons of results."""

import torch
from torch import Tensor

from headfit.raster import Topology, ops
from tests.support.shapes import Mesh, cube, flat, sheet, tilted

F32, F64 = torch.float32, torch.float64
HEIGHT, WIDTH = 45, 70  # neither a multiple of a block, a tile, or a run
STREAM = 4321  # where the tests make the kernels run


def soup(spread: float, seed: int = 0, count: int = 60) -> tuple[Tensor, Tensor]:
    """Two images of random triangles about `spread` pixels large."""
    g = torch.Generator().manual_seed(seed)
    centres = torch.rand(2, count, 1, 2, generator=g) * torch.tensor([WIDTH, HEIGHT])
    xy = centres + (torch.rand(2, count, 3, 2, generator=g) - 0.5) * spread
    z = torch.rand(2, count, 3, 1, generator=g) + 0.5
    return torch.cat([xy, z], -1).reshape(2, -1, 3), torch.arange(3 * count, dtype=torch.int32).reshape(-1, 3)


def lattice() -> tuple[Tensor, Tensor]:
    """Vertices on pixel centres and corners, few depths, each face twice: ties everywhere."""
    g = torch.Generator().manual_seed(1)
    xy = torch.randint(0, 2 * HEIGHT, (1, 90, 2), generator=g) / 2
    z = torch.randint(1, 3, (1, 90, 1), generator=g)
    faces = torch.randint(0, 90, (60, 3), generator=g, dtype=torch.int32)
    return torch.cat([xy, z], -1), torch.cat([faces, faces.flip(0)])


def near_plane() -> tuple[Tensor, Tensor]:
    v, faces = soup(40.0, count=30)
    g = torch.Generator().manual_seed(2)
    sign = torch.randint(0, 2, v.shape[:2], generator=g) * 2 - 1
    v[..., 2] = sign * 10 ** (-5 * torch.rand(v.shape[:2], generator=g))
    return v, faces


def not_finite() -> tuple[Tensor, Tensor]:
    v, faces = soup(30.0)
    bad = torch.tensor([float("nan"), float("inf"), -float("inf"), 0.0])
    for i in range(24):
        v[0, 7 * i, i % 3] = bad[i % 4]
    return v, faces


def collapsed() -> tuple[Tensor, Tensor]:
    """A sphere in which 10 % of the faces have two coincident corners, and so an area of exactly 0.

    In float64: the products of float32 numbers are exact in double, so contraction would have no effect.
    """
    rings, count = 16, 32
    theta, phi = torch.meshgrid(
        torch.linspace(0, torch.pi, rings + 1, dtype=F64),
        torch.linspace(0, 2 * torch.pi, count + 1, dtype=F64)[:-1],
        indexing="ij",
    )
    x, y, z = theta.sin() * phi.cos(), theta.cos(), theta.sin() * phi.sin()
    depth = 1.5 + 0.3 * z
    v = torch.stack([WIDTH / 2 + 30 * x / depth, HEIGHT / 2 + 30 * y / depth, depth], -1).reshape(-1, 3)
    i, j = torch.meshgrid(torch.arange(rings), torch.arange(count), indexing="ij")
    corner = [(i + down) * count + (j + right) % count for down, right in ((0, 0), (1, 0), (1, 1), (0, 1))]
    faces = torch.cat([torch.stack([corner[k] for k in ks], -1).reshape(-1, 3) for ks in ((0, 1, 2), (0, 2, 3))])
    g = torch.Generator().manual_seed(0)
    for face in torch.randperm(len(faces), generator=g)[: len(faces) // 10]:
        v[faces[face, 1]] = v[faces[face, 0]]
    return v[None], faces.int()


def of(mesh: Mesh) -> tuple[Tensor, Tensor]:
    return mesh.vertices[None], mesh.faces


def crossing() -> Mesh:
    """Two sheets that intersect, in front of a third."""
    front = sheet((20, 20), (14, 14), 6, tilted(0.6, 0.01, 0.003), 0.2)
    other = sheet((22, 19), (12, 13), 5, tilted(0.6, -0.01, 0.002), 0.5, 1.0)
    return Mesh.join(front, other, sheet((20, 20), (19, 19), 9, flat(0.3), 0.1, 2.0))


SCENES = {
    "small": lambda: soup(6.0),
    "medium": lambda: soup(25.0),
    "large": lambda: soup(150.0),
    "ties": lattice,
    "near plane": near_plane,
    "not finite": not_finite,
    "collapsed faces": collapsed,
    "cube": lambda: of(cube()),
    "crossing sheets": lambda: of(crossing()),
    "pixel-sized": lambda: of(sheet((20, 20), (17, 15), 30, tilted(0.5, 0.002, 0.001), 0.3)),
}


def assert_same_bits(got: tuple[Tensor, ...], want: tuple[Tensor, ...]) -> None:
    for a, b in zip(got, want, strict=True):
        assert a.dtype == b.dtype and torch.equal(a, b)


def assert_close(got: Tensor, want: Tensor, of_float: float = 1e-5, of_double: float = 1e-11) -> None:
    """Check the relative L2 error against a bound for the type: the order of sums differs."""
    bound = of_float if want.dtype == F32 else of_double
    assert got.shape == want.shape and got.dtype == want.dtype
    assert float((got.double() - want.double()).norm()) <= bound * float(want.double().norm())


def noise(like: Tensor, *shape: int) -> Tensor:
    g = torch.Generator().manual_seed(5)
    return torch.randn(shape or like.shape, generator=g, dtype=F64).to(like.dtype)


def edge_inputs(scene: str, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Inputs of `edge_grad`: image, v_pix, faces, adjacency, group, index_img; two groups in each piece."""
    v, faces = SCENES[scene]()
    v = v.to(dtype)
    index_img, bary, _ = ops.rasterize(v, faces, HEIGHT, WIDTH)
    colours = torch.sin(noise(v)) + 1
    image = ops.interpolate(colours, faces, index_img, bary, None)
    group = (torch.arange(len(faces)) // 11 % 2).int()
    return image, v, faces, Topology(faces).adjacency, group, index_img


def label_inputs(scene: str, dtype: torch.dtype, merged: bool = True) -> tuple[Tensor | None, ...]:
    """Inputs of `label_loss_of`: faces of five classes and of none; in the last view, two classes are merged."""
    _, v, faces, adjacency, _, index_img = edge_inputs(scene, dtype)
    classes = 5
    shares = (255 * noise(v, *index_img.shape, classes).softmax(-1)).to(torch.uint8)
    class_of_face = (torch.arange(len(faces)) // 3 % (classes + 2) - 1).int()
    shown_as = torch.arange(classes, dtype=torch.int32).repeat(len(v), 1)
    shown_as[-1, 2] = 3
    weight = torch.linspace(0.5, 4, classes, dtype=dtype)
    return shares, weight, class_of_face, shown_as if merged else None, v, faces, adjacency, index_img
