"""Small scenes whose gradients can be checked against finite differences."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from headfit.raster import Topology, edge_grad, interpolate, pixel_loss, rasterize
from headfit.raster.api import PixelLossKind

SIZE = 40  # pixels, square
F64 = torch.float64


@dataclass
class Mesh:
    """Pieces put together; `object_of[v]` tells which piece a vertex came from."""

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
    """[V,3], smooth over the picture, different for each phase."""
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
    """A closed surface of twelve large faces, whose outline is made of folds."""
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


@dataclass
class Scene:
    """Motions are fields of vertex velocities [V,3]; one unit moves the boundaries by about a pixel."""

    mesh: Mesh
    motions: list[Tensor]
    face_colours: Tensor | None = None  # [F,3]: one colour per face instead of the vertices' colours
    group: Tensor | None = None
    topology: Topology = field(init=False)

    def __post_init__(self) -> None:
        self.topology = Topology(self.mesh.faces)

    def loss(self, v_pix: Tensor, target: Tensor, kind: PixelLossKind) -> Tensor:
        """The sum over the picture; `squared` through edge_grad, the others through pixel_loss."""
        index_img, image = self.render(v_pix)
        mesh = (v_pix, self.mesh.faces, index_img)
        if kind == "squared":
            return ((edge_grad(image, *mesh, group=self.group, topology=self.topology) - target) ** 2).sum()
        target = target.expand_as(image)
        return pixel_loss(image, target, *mesh, kind=kind, scale=0.1, group=self.group, topology=self.topology).sum()

    def render(self, v_pix: Tensor) -> tuple[Tensor, Tensor]:
        faces = self.mesh.faces
        index_img, bary, _ = rasterize(v_pix, faces, (SIZE, SIZE))
        if self.face_colours is None:
            image = interpolate(self.mesh.colours.to(v_pix), faces, index_img, bary)
        else:
            colours = self.face_colours.to(v_pix)[index_img.clamp(min=0).long()]
            image = torch.where((index_img >= 0)[..., None], colours, 0.0)
        return index_img, image


def planar_motions(mesh: Mesh, which: int) -> list[Tensor]:
    """Translation in x and y, rotation and scaling on screen of one object."""
    mine = (mesh.object_of == which).to(mesh.vertices)[:, None]
    r = (mesh.vertices[:, :2] - SIZE / 2) / (SIZE / 4)
    one, zero = torch.ones_like(r[:, 0]), torch.zeros_like(r[:, 0])
    fields = [(one, zero), (zero, one), (-r[:, 1], r[:, 0]), (r[:, 0], r[:, 1])]
    return [mine * torch.stack([fx, fy, zero], -1) for fx, fy in fields]


def depth_motions(mesh: Mesh, which: int, scale: float) -> list[Tensor]:
    """Changes of inverse depth: constant, and linear in x and in y. dz = -z^2 dw."""
    mine = (mesh.object_of == which).to(mesh.vertices)
    r = (mesh.vertices[:, :2] - SIZE / 2) / (SIZE / 4)
    z2 = mesh.vertices[:, 2] ** 2
    zero = torch.zeros_like(z2)
    shapes = [torch.ones_like(z2), r[:, 0], r[:, 1]]
    return [torch.stack([zero, zero, -mine * scale * z2 * shape], -1) for shape in shapes]


def target_image() -> Tensor:
    """[H,W,3], with detail down to wavelengths of ten pixels."""
    centres = torch.arange(SIZE, dtype=F64) + 0.5
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    red = 0.5 + 0.3 * torch.sin(0.31 * x + 0.17 * y) + 0.1 * torch.sin(0.5 * y - 0.4 * x)
    green = 0.4 + 0.3 * torch.cos(0.23 * x - 0.35 * y)
    blue = 0.5 + 0.2 * torch.sin(0.6 * x) + 0.2 * torch.cos(0.45 * y)
    return torch.stack([red, green, blue], -1)


def offsets(n: int) -> Tensor:
    """[n^2,3] positions within a pixel, evenly spread about its centre, as shifts of v_pix."""
    steps = (torch.arange(n, dtype=F64) + 0.5) / n - 0.5
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    return torch.stack([x.reshape(-1), y.reshape(-1), torch.zeros(n * n, dtype=F64)], -1)


def gradient_error(scene: Scene, kind: PixelLossKind = "squared", samples: int = 16, h: float = 0.25) -> float:
    """Relative L2 error of the directional derivatives along the scene's motions.

    The reference is central finite differences of the expected loss of the point-sampled picture:
    the mean over samples x samples sub-pixel positions. Ours is the mean over 4 x 4, in float32.
    """
    target, shifts = target_image(), offsets(samples)[:, None]

    def expected_loss(vertices: Tensor) -> float:
        return float(scene.loss(vertices + shifts, target, kind)) / len(shifts)

    v = scene.mesh.vertices
    slopes = [(expected_loss(v + h * m) - expected_loss(v - h * m)) / (2 * h) for m in scene.motions]
    reference = torch.tensor(slopes, dtype=F64)
    v32, shifts32 = v.float().requires_grad_(), offsets(4)[:, None].float()
    loss = scene.loss(v32 + shifts32, target.float(), kind) / len(shifts32)
    (gradient,) = torch.autograd.grad(loss, v32)
    ours = torch.stack([(gradient.double() * m).sum() for m in scene.motions])
    return float((ours - reference).norm() / reference.norm())
