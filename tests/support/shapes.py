"""Small meshes in front of the camera, in pixels and depth, for tests of the rasterizer."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

SIZE = 40  # pixels, square
F64 = torch.float64


@dataclass
class Mesh:
    """A mesh joined from pieces; `object_of[v]` is the piece to which a vertex belongs."""

    vertices: Tensor
    faces: Tensor
    colours: Tensor
    object_of: Tensor

    @staticmethod
    def join(*pieces: "Mesh") -> "Mesh":
        starts = torch.tensor([0] + [len(p.vertices) for p in pieces]).cumsum(0).tolist()
        return Mesh(
            torch.cat([p.vertices for p in pieces]),
            torch.cat([p.faces + start for p, start in zip(pieces, starts, strict=False)]),
            torch.cat([p.colours for p in pieces]),
            torch.cat([torch.full((len(p.vertices),), n) for n, p in enumerate(pieces)]),
        )


def colours_of(vertices: Tensor, phase: float) -> Tensor:
    """Vertex colours `[V,3]`, smooth over the image, different for each phase."""
    x, y = vertices[:, 0] / SIZE, vertices[:, 1] / SIZE
    red, green = 0.5 + 0.4 * torch.sin(phase + 2 * x + y), 0.5 + 0.4 * torch.cos(2 * phase - x + 2 * y)
    return torch.stack([red, green, 0.3 + 0.2 * (x + y)], -1)


def piece(vertices: Tensor, faces: Tensor, phase: float) -> Mesh:
    return Mesh(vertices, faces.int(), colours_of(vertices, phase), torch.zeros(len(vertices)))


def triangle(depths: tuple[float, float, float]) -> Mesh:
    corners = [(6.3, 8.2), (33.4, 12.1), (15.7, 34.6)]
    vertices = torch.tensor([[x, y, z] for (x, y), z in zip(corners, depths, strict=True)], dtype=F64)
    return piece(vertices, torch.tensor([[0, 1, 2]]), phase=0.0)


def sheet(
    centre: tuple[float, float],
    half: tuple[float, float],
    cells: int,
    inverse_depth: Callable[[Tensor, Tensor], Tensor],
    angle: float = 0.0,
    phase: float = 0.0,
) -> Mesh:
    """A rectangle of cells x cells squares, two triangles each, turned by `angle` on screen."""
    u = torch.linspace(-1, 1, cells + 1, dtype=F64)
    v, u = torch.meshgrid(u, u, indexing="ij")
    s, c = math.sin(angle), math.cos(angle)
    x = centre[0] + c * half[0] * u - s * half[1] * v
    y = centre[1] + s * half[0] * u + c * half[1] * v
    vertices = torch.stack([x, y, 1 / inverse_depth(x, y)], -1).reshape(-1, 3)
    n = torch.arange((cells + 1) ** 2).reshape(cells + 1, cells + 1)
    p, q, r, t = n[:-1, :-1], n[:-1, 1:], n[1:, 1:], n[1:, :-1]
    faces = torch.stack([torch.stack([p, q, r], -1), torch.stack([p, r, t], -1)], 2).reshape(-1, 3)
    return piece(vertices, faces, phase)


def flat(w: float) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, y: torch.full_like(x, w)


def tilted(w: float, gx: float, gy: float) -> Callable[[Tensor, Tensor], Tensor]:
    """Inverse depth w in the middle of the picture, with a gradient per pixel."""
    return lambda x, y: w + gx * (x - SIZE / 2) + gy * (y - SIZE / 2)


def cube(angles: tuple[float, float] = (0.5, 0.4)) -> Mesh:
    """A closed surface of twelve large faces; its outline consists of folds."""
    (sa, ca), (sb, cb) = ((math.sin(angle), math.cos(angle)) for angle in angles)
    ry = torch.tensor([[ca, 0, sa], [0, 1, 0], [-sa, 0, ca]], dtype=F64)
    rx = torch.tensor([[1, 0, 0], [0, cb, -sb], [0, sb, cb]], dtype=F64)
    signs = torch.tensor([-1.0, 1.0], dtype=F64)
    x, y, z = (torch.cartesian_prod(signs, signs, signs) @ (rx @ ry).T).unbind(-1)
    z = z + 5
    vertices = torch.stack([48 * x / z + 20.2, 48 * y / z + 19.7, z], -1)
    sides = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    faces = torch.tensor([f for i, j, k, m in sides for f in ([i, j, k], [i, k, m])])
    return piece(vertices, faces, phase=0.3)


def strips(width: float, count: int = 7, angle: float = 0.3) -> Mesh:
    """Parallel strips, `width` pixels wide, in front of a sheet that fills the image."""
    offsets = [(n - (count - 1) / 2) * 4.37 for n in range(count)]
    s, c = math.sin(angle), math.cos(angle)
    centres = [(SIZE / 2 + c * o, SIZE / 2 + s * o) for o in offsets]
    front = Mesh.join(*(sheet(at, (width / 2, 11), 1, flat(1.0), angle, phase=0.2) for at in centres))
    front.object_of[:] = 0
    return Mesh.join(front, sheet((20, 20), (30, 30), 5, flat(0.5), phase=1.5))


def icosphere(subdivisions: int) -> tuple[Tensor, Tensor]:
    """Unit sphere of 20 * 4^subdivisions triangles: vertices `[V,3]`, faces `[F,3]`."""
    g = (1 + math.sqrt(5)) / 2
    v = torch.tensor([(-1, g), (1, g), (-1, -g), (1, -g)], dtype=F64)
    zero = torch.zeros(4, dtype=F64)
    x, y = v.unbind(-1)
    v = torch.cat([torch.stack(p, -1) for p in ((x, y, zero), (zero, x, y), (y, zero, x))])
    far = torch.cdist(v, v)
    edge = (far > 0.1) & (far < 2.1)
    a, b, c = torch.combinations(torch.arange(12), 3).unbind(-1)
    keep = edge[a, b] & edge[b, c] & edge[a, c]
    faces = torch.stack([a, b, c], -1)[keep]
    for _ in range(subdivisions):
        sides = torch.stack([faces, faces.roll(-1, 1)], -1).sort(-1).values  # `[F,3,2]`: side k runs from corner k
        ends, middle = torch.unique(sides.reshape(-1, 2), dim=0, return_inverse=True)
        m = len(v) + middle.reshape(-1, 3)
        v = torch.cat([v, v[ends].mean(1)])
        cut = [torch.stack([faces[:, k], m[:, k], m[:, k - 1]], -1) for k in range(3)]
        faces = torch.cat([*cut, m])
    return v / v.norm(dim=-1, keepdim=True), faces.int()
