"""The scenes of the gradient table: how each is made, and the error allowed for it."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from headfit.raster import NEAR
from tests.gradients.harness import Scene
from tests.gradients.heads import mouth, sphere, whole
from tests.support.shapes import F64, SIZE, Mesh, colours_of, cube, flat, sheet, strips, tilted, triangle

TWO_COLOURS = torch.tensor([[0.9, 0.1, 0.3], [0.2, 0.8, 0.6]], dtype=F64)
CLOSE = 0.05  # the bound of most scenes
ROBUST = 0.11  # bound of Charbonnier, Huber and L1 by pixel_loss


@dataclass
class Config:
    make: Callable[[], Scene]
    squared: float = CLOSE
    supersampled: float = CLOSE  # inf: not bounded
    robust: float = ROBUST
    samples: int = 20  # of the reference, per pixel and axis; a multiple of 4
    phases: int = 8  # of our gradient: sub-pixel positions per axis
    per_pixel: int = 4  # of the supersampled gradient: samples per pixel and axis


def planar_motions(mesh: Mesh, which: int = 0) -> list[Tensor]:
    """Translation in x and y, rotation and scaling of one object on screen."""
    mine = (mesh.object_of == which).to(mesh.vertices)[:, None]
    r = (mesh.vertices[:, :2] - SIZE / 2) / (SIZE / 4)
    one, zero = torch.ones_like(r[:, 0]), torch.zeros_like(r[:, 0])
    fields = [(one, zero), (zero, one), (-r[:, 1], r[:, 0]), (r[:, 0], r[:, 1])]
    return [mine * torch.stack([fx, fy, zero], -1) for fx, fy in fields]


def depth_motions(mesh: Mesh, which: int, scale: float) -> list[Tensor]:
    """Changes of inverse depth that are constant, linear in x, and linear in y; dz = -z^2 dw."""
    mine = (mesh.object_of == which).to(mesh.vertices)
    r = (mesh.vertices[:, :2] - SIZE / 2) / (SIZE / 4)
    z2 = mesh.vertices[:, 2] ** 2
    zero = torch.zeros_like(z2)
    shapes = [torch.ones_like(z2), r[:, 0], r[:, 1]]
    return [torch.stack([zero, zero, -mine * scale * z2 * shape], -1) for shape in shapes]


def waves(height: int = SIZE, width: int = SIZE) -> Tensor:
    """A target `[H,W,3]` with detail down to wavelengths of ten pixels."""
    y, x = torch.meshgrid(*(torch.arange(n, dtype=F64) + 0.5 for n in (height, width)), indexing="ij")
    red = 0.5 + 0.3 * torch.sin(0.31 * x + 0.17 * y) + 0.1 * torch.sin(0.5 * y - 0.4 * x)
    green = 0.4 + 0.3 * torch.cos(0.23 * x - 0.35 * y)
    blue = 0.5 + 0.2 * torch.sin(0.6 * x) + 0.2 * torch.cos(0.45 * y)
    return torch.stack([red, green, blue], -1)


def smooth(mesh: Mesh, motions: list[Tensor]) -> Scene:
    """A scene with interpolated vertex colours."""
    return Scene(mesh.vertices, mesh.faces, mesh.colours, motions, waves())


def labelled(mesh: Mesh, motions: list[Tensor], label: Tensor, palette: Tensor) -> Scene:
    """A scene with one colour per label `[F]`; the labels are the groups."""
    return Scene(mesh.vertices, mesh.faces, palette[label], motions, waves(), flat=True, group=label)


def one_triangle(depths: tuple[float, float, float], contrast: float = 1.0) -> Scene:
    mesh = triangle(depths)
    mesh.colours = 0.5 + contrast * (mesh.colours - 0.5)
    return smooth(mesh, planar_motions(mesh) + depth_motions(mesh, 0, 0.02))


def occlusion(cell: float, tilt: float = 0.0) -> Scene:
    """A small moving sheet in front of a large one, both with cells of about this many pixels."""
    front = sheet((19, 21), (11, 12), max(1, round(24 / cell)), tilted(1.0, tilt, -tilt), angle=0.3)
    back = sheet((20, 20), (26, 26), max(1, round(52 / cell)), flat(0.5), angle=0.1, phase=1.5)
    mesh = Mesh.join(front, back)
    return smooth(mesh, planar_motions(mesh))


def crossing(degrees: float, slope: float, cells: int = 1, tilt: float = 0.0, joined: bool = False) -> Scene:
    """Two sheets, wider than the image, that intersect along a line of this direction.

    tilt: slope of inverse depth per pixel that both share. joined: they are connected outside the image.
    """
    c, s = slope * math.sin(math.radians(degrees)), slope * math.cos(math.radians(degrees))
    one = sheet((20.3, 20), (30, 30), cells, tilted(1.0, c + tilt, s))
    other = sheet((20.1, 20), (30, 30), cells, tilted(1.0, tilt - c, -s), angle=0.2, phase=1.5)
    mesh = Mesh.join(one, other)
    if joined:
        border = torch.arange(0, (cells + 1) ** 2, cells + 1)
        a, b = border[:-1], border[1:]
        c, d = a + len(one.vertices), b + len(one.vertices)
        mesh.faces = torch.cat([mesh.faces, torch.stack([a, b, c], -1).int(), torch.stack([b, d, c], -1).int()])
    return smooth(mesh, depth_motions(mesh, 0, slope) + depth_motions(mesh, 1, slope))


def small_sheet(centre: tuple[float, float], half: tuple[float, float], angle: float = 0.0) -> Scene:
    mesh = sheet(centre, half, 2, flat(1.0), angle)
    return smooth(mesh, planar_motions(mesh))


def strip_scene(width: float) -> Scene:
    mesh = strips(width)
    return smooth(mesh, planar_motions(mesh))


def smooth_cube() -> Scene:
    mesh = cube()
    return smooth(mesh, planar_motions(mesh) + depth_motions(mesh, 0, 0.005))


def labelled_cube() -> Scene:
    mesh = cube()
    palette = colours_of(7.0 * torch.arange(6, dtype=F64)[:, None].expand(6, 3), 1.0)
    return labelled(mesh, planar_motions(mesh), torch.arange(6).repeat_interleave(2), palette)


def colour_seam() -> Scene:
    """Two colours on one sheet that fills the image, separated by one straight line of shared edges."""
    mesh = sheet((20.4, 20), (30, 30), 2, flat(1.0), angle=0.2)
    side = torch.tensor([0, 0, 1, 1] * 2)
    return labelled(mesh, planar_motions(mesh), side, TWO_COLOURS)


def label_stripes() -> Scene:
    """Stripes of two labels on one sheet. All of it moves; only borders between colours and the silhouette count."""
    mesh = sheet((20, 20), (15, 14), 6, flat(1.0), angle=0.2)
    label = torch.arange(len(mesh.faces)) // 2 % 6 // 2 % 2
    return labelled(mesh, planar_motions(mesh), label, TWO_COLOURS)


def cut_seam() -> Scene:
    """Two coplanar sheets of different colours that touch, each with its own vertices."""
    left, right = (sheet((x, 20), (8, 13), 3, flat(1.0)) for x in (12.2, 28.2))
    mesh = Mesh.join(left, right)
    side = mesh.object_of[mesh.faces[:, 0].long()].long()
    motions = [a + b for a, b in zip(planar_motions(mesh, 0), planar_motions(mesh, 1), strict=True)]
    return labelled(mesh, motions, side, TWO_COLOURS)


def fold() -> Scene:
    """A sheet folded back on itself: its silhouette on the right is a fold, not a border, and moves the jump."""
    mesh = sheet((20, 20), (15, 12), 8, flat(1.0))
    x, y, z = mesh.vertices.unbind(-1)
    bend = (x - 20) / 15 * 2.0
    mesh.vertices = torch.stack([20 + 14 * torch.sin(bend) + 0.1 * (y - 20), y, 3 - torch.cos(bend)], -1)
    mesh.colours = colours_of(mesh.vertices + z[:, None], 0.8)
    return smooth(mesh, planar_motions(mesh))


def near_plane() -> Scene:
    """A triangle with a vertex behind the camera whose clipped edge is inside the image."""
    points = torch.tensor([[0.03, 0.02, 0.004], [0.0643, 0.0143, 0.004], [-0.0433, 0.0667, -0.006]], dtype=F64)
    vertices = torch.cat([points[:, :2] / points[:, 2:], points[:, 2:]], 1)
    colours = torch.tensor([[0.9, 0.1, 0.4], [0.2, 0.7, 0.5], [0.5, 0.3, 0.9]], dtype=F64)
    motions = (torch.eye(9, dtype=F64) * torch.tensor([1, 1, NEAR / 8] * 3, dtype=F64)).reshape(9, 3, 3)
    faces = torch.tensor([[0, 1, 2]], dtype=torch.int32)
    return Scene(vertices, faces, colours, list(motions), waves())


SCENES = {
    "a1 triangle": Config(lambda: one_triangle((1, 1, 1))),
    "a2 triangle, depths 1:3": Config(lambda: one_triangle((1, 2, 3))),
    "a3 the same, faint colours": Config(lambda: one_triangle((1, 2, 3), contrast=0.3)),
    "b1 occlusion, one cell": Config(lambda: occlusion(99)),
    "b2 occlusion, tilted": Config(lambda: occlusion(99, tilt=0.01)),
    "b3 occlusion, cells of 8 px": Config(lambda: occlusion(8)),
    "b4 occlusion, cells of 4 px": Config(lambda: occlusion(4)),
    "b5 occlusion, cells of 2 px": Config(lambda: occlusion(2)),
    "b6 occlusion, cells of 1 px": Config(lambda: occlusion(1)),
    "c1 intersection at 90 degrees": Config(lambda: crossing(90, 0.004)),
    "c1 intersection at 80 degrees": Config(lambda: crossing(80, 0.004)),
    "c1 intersection at 60 degrees": Config(lambda: crossing(60, 0.004)),
    "c1 intersection at 45 degrees": Config(lambda: crossing(45, 0.004)),
    "c1 intersection at 0 degrees": Config(lambda: crossing(0, 0.004)),
    "c2 intersection, steep": Config(lambda: crossing(45, 0.02)),
    "c3 intersection, perspective": Config(lambda: crossing(45, 0.004, tilt=0.008)),
    "c4 intersection, strong perspective": Config(lambda: crossing(60, 0.004, tilt=0.016)),
    "c5 intersection, cells of 2 px": Config(lambda: crossing(45, 0.01, cells=30)),
    "c5 the same, one component": Config(lambda: crossing(45, 0.01, cells=30, joined=True)),
    "d1 cube": Config(smooth_cube, squared=0.09),
    "d1 cube, a label a side": Config(labelled_cube, squared=0.08),
    "d2 sphere, 1,280 faces": Config(lambda: sphere(3, waves), squared=0.25, phases=4),
    "d3 head, 128 px": Config(lambda: whole(128).smooth(waves), squared=0.07, samples=8, phases=4),
    "d3 labels": Config(lambda: whole(128).labels(waves), squared=0.08, samples=8, phases=4),
    "d4 head, 256 px": Config(lambda: whole(256).smooth(waves), squared=0.05, samples=8, phases=4),
    "d4 labels": Config(lambda: whole(256).labels(waves), squared=0.08, samples=8, phases=4),
    "d5 mouth": Config(lambda: mouth(128).smooth(waves), squared=0.06, samples=8, phases=4),
    "d5 labels": Config(lambda: mouth(128).labels(waves), squared=0.08, samples=8, phases=4),
    "e1 turned square": Config(lambda: small_sheet((20, 20), (11, 11), math.pi / 4)),
    "e2 edge in the last row": Config(lambda: small_sheet((20, 24.1), (11, 15)), squared=0.1),
    "e3 edge in the first row": Config(lambda: small_sheet((20, 15.9), (11, 15)), squared=0.1),
    "e4 edge beyond the last centre": Config(
        lambda: small_sheet((20, 24.8), (11, 15)), squared=math.inf, supersampled=math.inf, robust=math.inf
    ),
    "f1 sphere, 81,920 faces": Config(lambda: sphere(6, waves), squared=0.25, phases=4),
    "f2 strips of 2 px": Config(lambda: strip_scene(2.0), samples=32),
    "f3 strips of 0.5 px": Config(lambda: strip_scene(0.5), squared=0.48, robust=math.inf, samples=32),
    "f4 strips of 0.2 px": Config(lambda: strip_scene(0.2), squared=0.55, robust=math.inf, samples=32, per_pixel=8),
    "g1 colour seam": Config(colour_seam),
    "g2 seam of two sheets": Config(cut_seam),
    "g3 label stripes": Config(label_stripes),
    "h1 fold": Config(fold),
    "h2 near plane": Config(near_plane),
}
